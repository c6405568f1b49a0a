//! Commands that say in every way which aggregate they are for.

use std::fmt;

use cqrs::aggregate::Execute;
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "routing.Stamped")]
pub struct Stamped(pub String);

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "routing.Signed")]
pub struct Signed;

/// Has a country and a number.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct PassportNumber {
    pub country: String,
    pub number: u32,
}

impl fmt::Display for PassportNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.country, self.number)
    }
}

macro_rules! commands {
    ($($(#[$command:meta])* $name:ident { $($field:ident : $type:ty),* })*) => {
        $(
            #[derive(Command, Serialize, Deserialize, Clone, Debug)]
            $(#[$command])*
            pub struct $name {
                $(pub $field: $type),*
            }
        )*

        #[derive(Default, Clone, Debug, PartialEq, Eq)]
        pub struct Passport {
            pub stamps: Vec<String>,
        }

        #[aggregate(stream_prefix = "passport")]
        impl Passport {
            #[apply]
            fn stamped(&mut self, event: &Stamped) {
                self.stamps.push(event.0.clone());
            }
        }

        $(
            impl Execute<$name> for Passport {
                fn execute(
                    &self,
                    _command: &$name,
                    emitter: &mut Emitter<'_, Self>,
                    _context: &CommandContext,
                ) -> Result<(), Self::Error> {
                    emitter.emit(Stamped(stringify!($name).to_owned()));
                    Ok(())
                }
            }
        )*
    };
}

commands! {
    #[command(router = PassportRouter, aggregate = Passport, identify_by = id)]
    ByField { id: String }

    #[command(router = PassportRouter, aggregate = Passport, identify_by = id)]
    ByNumber { id: i64 }

    #[command(router = PassportRouter, aggregate = Passport, identify_by = id)]
    ByChar { id: char }

    #[command(router = PassportRouter, aggregate = Passport, identify_by = id)]
    ByUuid { id: uuid::Uuid }

    #[command(router = PassportRouter, aggregate = Passport, identify_by = number)]
    ByDisplay { number: PassportNumber }

    #[command(router = PassportRouter, aggregate = Passport, identify_by = self.number.country)]
    ByExpression { number: PassportNumber }

    #[command(router = PassportRouter, aggregate = Passport, identify_by = Self::both)]
    ByFunction { country: String, number: u32 }

    #[command(router = PassportRouter, aggregate = Passport, identify_by = |command| format!("{}/{}", command.country, command.number))]
    ByClosure { country: String, number: u32 }

    #[command(prefix = "visa", identify_by = id, aggregate = Passport, router = PassportRouter)]
    PrefixByText { id: String }

    #[command(router = PassportRouter, aggregate = Passport, identify_by = id, prefix = prefix_of_the_year)]
    PrefixByFunction { id: String }

    #[command(timeout = "3s", identify_by = id, retry_attempts = 1, router = PassportRouter, name = "Shuffled", aggregate = Passport)]
    OptionsInAnyOrder { id: String }
}

impl ByFunction {
    fn both(&self) -> String {
        format!("{}-{}", self.country, self.number)
    }
}

fn prefix_of_the_year() -> String {
    format!("passport{}", 1_999 + 1)
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = PassportRouter, aggregate = Visa, identify_by = 0)]
pub struct Sign(pub String);

/// An aggregate without any option: its prefix is its name.
#[derive(Default, Clone, Debug, PartialEq, Eq)]
pub struct Visa {
    pub signatures: u32,
}

#[aggregate]
impl Visa {
    #[execute]
    fn sign(&self, _command: &Sign) -> Signed {
        Signed
    }

    #[apply]
    fn signed(&mut self, _event: &Signed) {
        self.signatures += 1;
    }
}

#[derive(Router)]
pub struct PassportRouter;

application! {
    pub struct Passports {
        routers: [PassportRouter],
    }
}

/// The country that is used all over.
pub fn number() -> PassportNumber {
    PassportNumber { country: "NL".to_owned(), number: 7 }
}
