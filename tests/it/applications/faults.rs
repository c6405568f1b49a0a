//! What `start()` refuses, all of it at once.

use cqrs::MemoryStore;
use cqrs::application::{StartError, StartFault};
use cqrs::handler::SubscribeTo;
use cqrs::prelude::*;

use crate::handlers::domain::*;

/// A handler without a `Default`.
struct NeedsMailer;

#[event_handler(name = "mail", interested_in = [Noted])]
impl NeedsMailer {
    async fn on_noted(&self, _event: &Noted) {}
}

/// A layer without a `Default`.
struct NeedsLedger;

impl Middleware for NeedsLedger {}

application! {
    struct Incomplete {
        routers: [DeskRouter, DeskRouterTwice],
        event_handlers: [NeedsMailer],
        middleware: [NeedsLedger],
    }
}

/// Includes a router that the application lists as well.
#[derive(Router)]
#[router(includes = [DeskRouter])]
struct DeskRouterTwice;

fn faults<T: std::fmt::Debug>(started: Result<T, StartError>) -> (Vec<StartFault>, String) {
    match started {
        Err(error @ StartError::Invalid { .. }) => {
            let text = error.to_string();
            let StartError::Invalid { faults, .. } = error else { unreachable!() };
            (faults, text)
        }
        other => panic!("expected faults, got {other:?}"),
    }
}

// CA-001 (4), CA-002 (1), T-264
#[tokio::test]
async fn ca_001_all_faults_are_told_at_once() {
    let (script, _inbox) = Script::telling();
    let store = MemoryStore::new();
    let started = Incomplete::builder(store.clone())
        .event_handler_as("twin", Eager(script.clone()))
        .event_handler_as("twin", Careful(script.clone()))
        .event_handler_as("", Newcomer(script))
        .start()
        .await;
    let (faults, text) = faults(started);
    let no_instance = |wanted: &'static str| {
        faults.iter().any(|fault| {
            matches!(fault, StartFault::NoInstance { kind, type_name, .. }
                if *kind == wanted && type_name.contains("Needs"))
        })
    };
    assert!(no_instance("event handler") && no_instance("middleware"), "{text}");
    assert!(
        faults.iter().any(|fault| matches!(fault, StartFault::DuplicateHandler { name, first, second }
            if name == "twin" && first.ends_with("Eager") && second.ends_with("Careful"))),
        "{text}"
    );
    assert!(faults.iter().any(|fault| matches!(fault, StartFault::UnnamedHandler { .. })), "{text}");
    assert!(
        faults.iter().any(|fault| matches!(fault, StartFault::DuplicateRouter { name: "DeskRouter" })),
        "{text}"
    );
    assert_eq!(faults.len(), 5, "{text}");
    // Each is a line of the message, which says what to do.
    assert_eq!(text.lines().count(), 6, "{text}");
    for cure in ["`.event_handler(..)`", "`.middleware(..)`", "\"twin\""] {
        assert!(text.contains(cure), "{cure} is missing in {text}");
    }
    // Nothing was bound or left running.
    Desk::builder(store).name("other").start().await.unwrap().shutdown().await;
}

// CA-001 (4), T-234
#[tokio::test]
async fn ca_001_a_handler_given_under_the_name_of_a_listed_one_is_refused() {
    let (script, _inbox) = Script::telling();
    let started = Desk::builder(MemoryStore::new())
        .event_handler(Eager(script.clone()))
        .event_handler_as("eager", Careful(script))
        .start()
        .await;
    let (faults, text) = faults(started);
    assert!(matches!(faults.as_slice(), [StartFault::DuplicateHandler { .. }]), "{text}");
}

/// Subscribed to what can be no stream: the attribute would have refused it.
struct Astray;

impl EventHandler for Astray {
    const NAME: &'static str = "astray";
    const SUBSCRIBE_TO: SubscribeTo = SubscribeTo::Category("book-a");
    type Event = Noted;
    type State = ();
    type Error = Broken;

    async fn handle(&self, _event: Noted, _: &mut (), _context: &EventContext) -> Result<(), Broken> {
        Ok(())
    }
}

/// The same as a projection, which is told of once, though it consists of two handlers.
struct Nowhere(MemoryRows<(), u64>);

impl Projection for Nowhere {
    const NAME: &'static str = "nowhere";
    const SUBSCRIBE_TO: SubscribeTo = SubscribeTo::Stream("$all");
    type Event = Noted;
    type Rows = MemoryRows<(), u64>;
    type Error = Broken;

    fn rows(&self) -> &Self::Rows {
        &self.0
    }

    async fn handle(
        &self,
        _event: &Noted,
        _rows: &mut RowsMut<(), u64>,
        _context: &ProjectionContext,
    ) -> Result<(), Broken> {
        Ok(())
    }
}

#[tokio::test]
async fn a_subscription_to_no_stream_is_refused_with_the_handler_s_name() {
    let started = Desk::builder(MemoryStore::new())
        .event_handler_as("lost", Astray)
        .projection(Nowhere(MemoryRows::default()))
        .start()
        .await;
    let (faults, text) = faults(started);
    let mut handlers: Vec<_> = faults
        .iter()
        .map(|fault| match fault {
            StartFault::InvalidSubscription { handler, subscribe_to, .. } => {
                (handler.as_str(), *subscribe_to)
            }
            other => panic!("{other}"),
        })
        .collect();
    handlers.sort_by_key(|(handler, _)| *handler);
    assert_eq!(
        handlers,
        [("lost", SubscribeTo::Category("book-a")), ("nowhere", SubscribeTo::Stream("$all"))],
        "{text}"
    );
    assert!(text.contains("handler \"lost\" cannot be subscribed to category \"book-a\""), "{text}");
    assert!(text.contains("\"$all\" starts with `$`"), "{text}");
}

// CA-002 (1): two aggregates with one stream prefix.
mod shared_prefix {
    use cqrs::prelude::*;
    use serde::{Deserialize, Serialize};

    macro_rules! aggregate_with_prefix {
        ($module:ident, $prefix:literal, $wire_name:literal) => {
            pub mod $module {
                use super::*;

                #[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
                #[event(name = $wire_name)]
                pub struct Done {}

                #[derive(Command, Serialize, Deserialize, Clone, Debug)]
                #[command(router = SharedRouter, aggregate = Agg, identify_by = id, name = $wire_name)]
                pub struct Do {
                    pub id: String,
                }

                #[derive(Default, Clone, Debug)]
                pub struct Agg;

                #[aggregate(stream_prefix = $prefix)]
                impl Agg {
                    #[execute]
                    fn run(&self, _command: &Do) -> Done {
                        Done {}
                    }

                    #[apply]
                    fn done(&mut self, _event: &Done) {}
                }
            }
        };
    }

    aggregate_with_prefix!(first, "same", "faults.FirstDone");
    aggregate_with_prefix!(second, "same", "faults.SecondDone");

    #[derive(Router)]
    pub struct SharedRouter;

    application! {
        pub struct Shared {
            routers: [SharedRouter],
        }
    }
}

#[tokio::test]
async fn ca_002_two_aggregates_with_one_stream_prefix_are_refused() {
    let (faults, text) = faults(shared_prefix::Shared::builder(MemoryStore::new()).start().await);
    let [StartFault::SharedPrefix { prefix, first, second }] = faults.as_slice() else {
        panic!("{text}");
    };
    assert_eq!(prefix, "same");
    assert!(first.contains("first::Agg") && second.contains("second::Agg"), "{text}");
}

// CA-002 (1): two commands with one name.
mod shared_command_name {
    use cqrs::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::{DeskBook, Noted};

    #[derive(Router)]
    pub struct NamesRouter;

    #[derive(Command, Serialize, Deserialize, Clone, Debug)]
    #[command(router = NamesRouter, aggregate = DeskBook, identify_by = id, name = "Twin")]
    pub struct One {
        pub id: String,
    }

    #[derive(Command, Serialize, Deserialize, Clone, Debug)]
    #[command(router = NamesRouter, aggregate = DeskBook, identify_by = id, name = "Twin")]
    pub struct Two {
        pub id: String,
    }

    #[aggregate(stream_prefix = "twin")]
    impl DeskBook {
        #[execute]
        fn one(&self, _command: &One) {}

        #[execute]
        fn two(&self, _command: &Two) {}

        #[apply]
        fn noted(&mut self, _event: &Noted) {}
    }

    application! {
        pub struct Names {
            routers: [NamesRouter],
        }
    }
}

#[derive(Default, Clone, Debug)]
pub struct DeskBook;

#[tokio::test]
async fn ca_002_two_commands_with_one_name_are_refused_with_both_places() {
    let (faults, text) = faults(shared_command_name::Names::builder(MemoryStore::new()).start().await);
    let [StartFault::DuplicateCommand { name, first, second }] = faults.as_slice() else {
        panic!("{text}");
    };
    assert_eq!(*name, "Twin");
    assert!(first.contains("faults.rs:") && second.contains("faults.rs:") && first != second, "{text}");
    assert!(text.contains("#[command(name ="), "{text}");
}

/// A handler for commands that the builder must be given.
mod needs_service {
    use cqrs::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Router)]
    pub struct ServiceRouter;

    #[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
    #[event(name = "faults.Served")]
    pub struct Served {}

    #[derive(Command, Serialize, Deserialize, Clone, Debug)]
    #[command(router = ServiceRouter, aggregate = Guest, identify_by = id, handler = Waiter)]
    pub struct Serve {
        pub id: String,
    }

    #[derive(Default, Clone, Debug)]
    pub struct Guest;

    #[aggregate(stream_prefix = "guest")]
    impl Guest {
        #[apply]
        fn served(&mut self, _event: &Served) {}
    }

    /// Has no `Default`.
    pub struct Waiter {
        pub _name: String,
    }

    #[command_handler]
    impl Waiter {
        #[execute]
        async fn serve(&self, _guest: &Guest, _command: &Serve) -> Served {
            Served {}
        }
    }

    application! {
        pub struct Restaurant {
            routers: [ServiceRouter],
        }
    }
}

#[tokio::test]
async fn a_command_handler_without_an_instance_is_refused() {
    use needs_service::{Restaurant, Serve, Waiter};
    let (faults, text) = faults(Restaurant::builder(MemoryStore::new()).start().await);
    let [StartFault::NoInstance { kind, type_name, method }] = faults.as_slice() else {
        panic!("{text}");
    };
    assert_eq!((*kind, *method), ("command handler", "command_handler"));
    assert!(type_name.ends_with("Waiter"), "{text}");

    let waiter = Waiter { _name: "Ada".into() };
    let restaurant = Restaurant::builder(MemoryStore::new()).command_handler(waiter).start().await.unwrap();
    assert_eq!(restaurant.dispatch(Serve { id: "1".into() }).await.unwrap().version(), 1);
    restaurant.shutdown().await;
}
