use expect_test::expect;
use proc_macro2::TokenStream;
use quote::quote;

use crate::aggregate::attribute;
use crate::shared::testing::{pretty, refused};

#[test]
fn a_plain_aggregate() {
    let expansion = attribute(
        quote!(stream_prefix = "account", error = BankError),
        quote! {
            impl BankAccount {
                /// Docs stay.
                #[execute]
                fn open(&self, command: &Open) -> Result<Opened, BankError> { body }
                #[apply]
                fn opened(&mut self, event: &Opened) {}
                fn helper() {}
            }
        },
    );
    expect![[r#"
        impl BankAccount {
            /// Docs stay.
            fn open(&self, command: &Open) -> Result<Opened, BankError> {
                body
            }
            fn opened(&mut self, event: &Opened) {}
            fn helper() {}
        }
        ///The events of the aggregate `BankAccount`.
        #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
        #[allow(
            private_interfaces,
            unreachable_pub,
            clippy::enum_variant_names,
            clippy::large_enum_variant,
            reason = "the enum is made of the user's types, whatever their names, sizes and visibility"
        )]
        pub enum BankAccountEvent {
            ///The event `Opened`.
            Opened(Opened),
        }
        #[automatically_derived]
        impl ::cqrs::event::EventSet for BankAccountEvent {
            fn schemas() -> ::std::vec::Vec<&'static ::cqrs::event::EventSchema> {
                ::core::convert::From::from([<Opened as ::cqrs::event::Event>::SCHEMA])
            }
            fn schema(&self) -> &'static ::cqrs::event::EventSchema {
                match *self {
                    Self::Opened(_) => <Opened as ::cqrs::event::Event>::SCHEMA,
                }
            }
            fn decode(
                __schema: &::cqrs::event::EventSchema,
                __payload: ::cqrs::event::Payload<'_>,
            ) -> ::core::result::Result<
                ::core::option::Option<Self>,
                ::cqrs::__private::serde_json::Error,
            > {
                if __schema.name == <Opened as ::cqrs::event::Event>::SCHEMA.name {
                    return __payload
                        .decode::<Opened>()
                        .map(|__event| ::core::option::Option::Some(Self::Opened(__event)));
                }
                ::core::result::Result::Ok(::core::option::Option::None)
            }
            fn encode(
                &self,
            ) -> ::core::result::Result<
                ::cqrs::__private::Bytes,
                ::cqrs::__private::serde_json::Error,
            > {
                match *self {
                    Self::Opened(ref __event) => ::cqrs::__private::encode(__event),
                }
            }
        }
        #[automatically_derived]
        impl ::cqrs::aggregate::Aggregate for BankAccount {
            type Event = BankAccountEvent;
            type Error = BankError;
            const NAME: &'static str = "BankAccount";
            const STREAM_PREFIX: &'static str = "account";
            fn apply(&mut self, __event: &BankAccountEvent) {
                match *__event {
                    BankAccountEvent::Opened(ref __event) => Self::opened(self, __event),
                }
            }
        }
        #[automatically_derived]
        impl ::core::convert::From<Opened> for BankAccountEvent {
            fn from(__event: Opened) -> Self {
                Self::Opened(__event)
            }
        }
        #[automatically_derived]
        impl ::cqrs::aggregate::IntoEvents<BankAccount> for BankAccountEvent {
            fn emit_into(
                self,
                __emitter: &mut ::cqrs::aggregate::Emitter<'_, BankAccount>,
            ) -> ::core::result::Result<
                (),
                <BankAccount as ::cqrs::aggregate::Aggregate>::Error,
            > {
                __emitter.emit(self);
                ::core::result::Result::Ok(())
            }
        }
        #[automatically_derived]
        impl ::cqrs::aggregate::IntoEvents<BankAccount> for Opened {
            fn emit_into(
                self,
                __emitter: &mut ::cqrs::aggregate::Emitter<'_, BankAccount>,
            ) -> ::core::result::Result<
                (),
                <BankAccount as ::cqrs::aggregate::Aggregate>::Error,
            > {
                __emitter.emit(self);
                ::core::result::Result::Ok(())
            }
        }
        #[automatically_derived]
        impl ::cqrs::aggregate::Execute<Open> for BankAccount {
            fn execute(
                &self,
                __command: &Open,
                __emitter: &mut ::cqrs::aggregate::Emitter<'_, Self>,
                __context: &::cqrs::command::CommandContext,
            ) -> ::core::result::Result<(), <Self as ::cqrs::aggregate::Aggregate>::Error> {
                ::cqrs::aggregate::IntoEvents::<
                    BankAccount,
                >::emit_into(Self::open(self, __command), __emitter)
            }
        }
    "#]]
    .assert_eq(&pretty(&expansion));
}

#[test]
fn everything() {
    let expansion = attribute(
        quote!(
            name = "account",
            events = Facts,
            snapshot_every = 100,
            snapshot_version = 2,
            lifespan = Short,
            mailbox = 256,
            crate = facade
        ),
        quote! {
            #[cfg(feature = "bank")]
            impl bank::Account {
                const LIMIT: u64 = 5;
                #[execute]
                #[cfg(test)]
                fn r#move(&self, context: &CommandContext, command: &Move, emitter: &mut Emitter<'_, Self>) {}
                #[apply]
                fn moved(&mut self, event: &events::Moved) {}
                #[apply]
                #[cfg(feature = "fees")]
                fn fee(&mut self, _: &Fee) {}
                #[before_execute]
                fn is_open(&self, context: &CommandContext) -> Result<(), Infallible> { Ok(()) }
            }
        },
    );
    expect![[r##"
        #[cfg(feature = "bank")]
        impl bank::Account {
            const LIMIT: u64 = 5;
            #[cfg(test)]
            fn r#move(
                &self,
                context: &CommandContext,
                command: &Move,
                emitter: &mut Emitter<'_, Self>,
            ) {}
            fn moved(&mut self, event: &events::Moved) {}
            #[cfg(feature = "fees")]
            fn fee(&mut self, _: &Fee) {}
            fn is_open(&self, context: &CommandContext) -> Result<(), Infallible> {
                Ok(())
            }
        }
        #[cfg(feature = "bank")]
        ///The events of the aggregate `bank::Account`.
        #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
        #[allow(
            private_interfaces,
            unreachable_pub,
            clippy::enum_variant_names,
            clippy::large_enum_variant,
            reason = "the enum is made of the user's types, whatever their names, sizes and visibility"
        )]
        pub enum Facts {
            ///The event `events::Moved`.
            Moved(events::Moved),
            #[cfg(feature = "fees")]
            ///The event `Fee`.
            Fee(Fee),
        }
        #[cfg(feature = "bank")]
        #[automatically_derived]
        impl facade::event::EventSet for Facts {
            fn schemas() -> ::std::vec::Vec<&'static facade::event::EventSchema> {
                ::core::convert::From::from([
                    <events::Moved as facade::event::Event>::SCHEMA,
                    #[cfg(feature = "fees")]
                    <Fee as facade::event::Event>::SCHEMA,
                ])
            }
            fn schema(&self) -> &'static facade::event::EventSchema {
                match *self {
                    Self::Moved(_) => <events::Moved as facade::event::Event>::SCHEMA,
                    #[cfg(feature = "fees")]
                    Self::Fee(_) => <Fee as facade::event::Event>::SCHEMA,
                }
            }
            fn decode(
                __schema: &facade::event::EventSchema,
                __payload: facade::event::Payload<'_>,
            ) -> ::core::result::Result<
                ::core::option::Option<Self>,
                facade::__private::serde_json::Error,
            > {
                if __schema.name == <events::Moved as facade::event::Event>::SCHEMA.name {
                    return __payload
                        .decode::<events::Moved>()
                        .map(|__event| ::core::option::Option::Some(Self::Moved(__event)));
                }
                #[cfg(feature = "fees")]
                if __schema.name == <Fee as facade::event::Event>::SCHEMA.name {
                    return __payload
                        .decode::<Fee>()
                        .map(|__event| ::core::option::Option::Some(Self::Fee(__event)));
                }
                ::core::result::Result::Ok(::core::option::Option::None)
            }
            fn encode(
                &self,
            ) -> ::core::result::Result<
                facade::__private::Bytes,
                facade::__private::serde_json::Error,
            > {
                match *self {
                    Self::Moved(ref __event) => facade::__private::encode(__event),
                    #[cfg(feature = "fees")]
                    Self::Fee(ref __event) => facade::__private::encode(__event),
                }
            }
        }
        #[cfg(feature = "bank")]
        #[automatically_derived]
        impl facade::aggregate::Aggregate for bank::Account {
            type Event = Facts;
            type Error = ::core::convert::Infallible;
            const NAME: &'static str = "account";
            const STREAM_PREFIX: &'static str = "Account";
            fn apply(&mut self, __event: &Facts) {
                match *__event {
                    Facts::Moved(ref __event) => Self::moved(self, __event),
                    #[cfg(feature = "fees")]
                    Facts::Fee(ref __event) => Self::fee(self, __event),
                }
            }
            fn before_execute(
                &self,
                __context: &facade::command::CommandContext,
            ) -> ::core::result::Result<(), <Self as facade::aggregate::Aggregate>::Error> {
                Self::is_open(self, __context)
            }
            fn settings() -> facade::aggregate::AggregateSettings<Self> {
                facade::aggregate::AggregateSettings::new()
                    .snapshots(facade::aggregate::SnapshotPolicy::Every(100), 2)
                    .lifespan::<Short>()
                    .mailbox(256)
            }
        }
        #[cfg(feature = "bank")]
        #[automatically_derived]
        impl ::core::convert::From<events::Moved> for Facts {
            fn from(__event: events::Moved) -> Self {
                Self::Moved(__event)
            }
        }
        #[cfg(feature = "bank")]
        #[cfg(feature = "fees")]
        #[automatically_derived]
        impl ::core::convert::From<Fee> for Facts {
            fn from(__event: Fee) -> Self {
                Self::Fee(__event)
            }
        }
        #[cfg(feature = "bank")]
        #[automatically_derived]
        impl facade::aggregate::IntoEvents<bank::Account> for Facts {
            fn emit_into(
                self,
                __emitter: &mut facade::aggregate::Emitter<'_, bank::Account>,
            ) -> ::core::result::Result<
                (),
                <bank::Account as facade::aggregate::Aggregate>::Error,
            > {
                __emitter.emit(self);
                ::core::result::Result::Ok(())
            }
        }
        #[cfg(feature = "bank")]
        #[automatically_derived]
        impl facade::aggregate::IntoEvents<bank::Account> for events::Moved {
            fn emit_into(
                self,
                __emitter: &mut facade::aggregate::Emitter<'_, bank::Account>,
            ) -> ::core::result::Result<
                (),
                <bank::Account as facade::aggregate::Aggregate>::Error,
            > {
                __emitter.emit(self);
                ::core::result::Result::Ok(())
            }
        }
        #[cfg(feature = "bank")]
        #[cfg(feature = "fees")]
        #[automatically_derived]
        impl facade::aggregate::IntoEvents<bank::Account> for Fee {
            fn emit_into(
                self,
                __emitter: &mut facade::aggregate::Emitter<'_, bank::Account>,
            ) -> ::core::result::Result<
                (),
                <bank::Account as facade::aggregate::Aggregate>::Error,
            > {
                __emitter.emit(self);
                ::core::result::Result::Ok(())
            }
        }
        #[cfg(feature = "bank")]
        #[cfg(test)]
        #[automatically_derived]
        impl facade::aggregate::Execute<Move> for bank::Account {
            fn execute(
                &self,
                __command: &Move,
                __emitter: &mut facade::aggregate::Emitter<'_, Self>,
                __context: &facade::command::CommandContext,
            ) -> ::core::result::Result<(), <Self as facade::aggregate::Aggregate>::Error> {
                facade::aggregate::IntoEvents::<
                    bank::Account,
                >::emit_into(Self::r#move(self, __context, __command, __emitter), __emitter)
            }
        }
    "##]]
    .assert_eq(&pretty(&expansion));
}

/// An aggregate that is right but for these methods.
#[expect(clippy::needless_pass_by_value, reason = "a literal at each call")]
fn with(methods: TokenStream) -> TokenStream {
    attribute(quote!(), quote! { impl A { #[apply] fn done(&mut self, event: &Done) {} #methods } })
}

#[test]
fn an_execute_takes_the_command() {
    let wanted = "expected `&self`, the command `&C`, and if needed `emitter: &mut Emitter<'_, Self>` and `context: &CommandContext`";
    refused(
        &with(quote! { #[execute] fn f(&self) {} }),
        &[&format!("the method lacks the command: {wanted}")],
    );
    refused(
        &with(quote! { #[execute] fn f(&self, a: &A, b: &B) {} }),
        &[&format!("an unexpected parameter: {wanted}")],
    );
    refused(&with(quote! { #[execute] fn f(&self, a: A) {} }), &["the command is taken by reference: `&A`"]);
    refused(&with(quote! { #[execute] fn f(&self, a: &mut A) {} }), &["the command is taken as `&A`"]);
    refused(
        &with(quote! { #[execute] fn f(&mut self, a: &A, e: &Emitter<'_, Self>, c: CommandContext) {} }),
        &[
            "a method with `#[execute]` takes `&self`, not `&mut self`",
            "the emitter is taken as `&mut Emitter<'_, ..>`",
            "the context is taken as `&CommandContext`",
        ],
    );
    refused(
        &with(quote! { #[execute] fn f(a: &A, c: &CommandContext, d: &CommandContext) {} }),
        &["a method with `#[execute]` takes `&self`", "a parameter that is there already"],
    );
    refused(
        &with(quote! { #[execute] fn f<T>(&self, a: &A) {} }),
        &["a method with `#[execute]` has no type parameters"],
    );
}

#[test]
fn an_execute_does_not_wait() {
    refused(
        &with(quote! { #[execute] async fn f(&self, a: &A) {} }),
        &["an aggregate decides without waiting: move what is async into a `#[cqrs::command_handler]`"],
    );
}

#[test]
fn an_apply_takes_the_event() {
    let wanted = "a method with `#[apply]` takes `&mut self` and the event `&E`";
    refused(
        &with(quote! { #[apply] fn f(&mut self) {} }),
        &[&format!("the method lacks the event: {wanted}")],
    );
    refused(
        &with(quote! { #[apply] async fn f(&self, event: E, more: u8) -> bool {} }),
        &[
            "a method with `#[apply]` takes `&mut self`, not `&self`",
            "a method with `#[apply]` is not async: it only changes the state",
            "a method with `#[apply]` returns nothing: what happened cannot be refused, so check in `#[execute]`",
            &format!("an unexpected parameter: {wanted}"),
            "the event is taken by reference: `&E`",
        ],
    );
}

#[test]
fn t_032_one_method_for_each_command_and_event() {
    refused(
        &with(quote! {
            #[execute] fn a(&self, command: &C) {}
            #[execute] fn b(&self, command: &commands::C) {}
            #[apply] fn again(&mut self, event: &Done) {}
        }),
        &[
            "the command `commands::C` is executed twice, by `a` and by `b`",
            "the event `Done` is applied twice, by `done` and by `again`",
        ],
    );
    refused(
        &with(quote! { #[apply] fn a(&mut self, e: &X<u8>) {} #[apply] fn b(&mut self, e: &X<u16>) {} }),
        &["`X<u16>` and `X<u8>` would both be the variant `X`: give one of them another name with `type`"],
    );
}

#[test]
fn methods_for_different_configurations_are_alternatives() {
    refused(
        &with(quote! {
            #[cfg(a)] #[execute] fn a(&self, command: &C) {}
            #[cfg(not(a))] #[execute] fn a(&self, command: &C) {}
        }),
        &[],
    );
}

#[test]
fn before_execute_is_one_method() {
    refused(
        &with(quote! {
            #[before_execute] fn a(&self, context: &CommandContext) -> Result<(), E> {}
            #[before_execute] fn b(&self) {}
        }),
        &[
            "a method with `#[before_execute]` takes `&self` and `context: &CommandContext`",
            "a method with `#[before_execute]` returns `Result<(), Error>` with the aggregate's error",
            "there is a method with `#[before_execute]` already",
        ],
    );
}

#[test]
fn marks_are_spelt_right_and_stand_alone() {
    refused(
        &with(quote! {
            #[aply] fn a(&mut self, e: &E) {}
            #[exceute] fn b(&self, c: &C) {}
            #[execute(fast)] fn c(&self, c: &C) {}
            #[execute] #[apply] fn d(&self, c: &D) {}
            #[must_use] #[inline] #[instrument] fn e(&self) {}
        }),
        &[
            "unknown attribute `aply`, expected `execute`, `apply` or `before_execute`",
            "unknown attribute `exceute`, expected `execute`, `apply` or `before_execute`",
            "`#[execute]` takes no arguments",
            "a method has one of `#[execute]`, `#[apply]` and `#[before_execute]`",
        ],
    );
}

#[test]
fn keys_are_checked() {
    let block = quote! { impl A { #[apply] fn done(&mut self, event: &Done) {} } };
    refused(
        &attribute(
            quote!(
                stream_prefix = "a-b",
                snapshot_every = 5,
                state_stored,
                snapshot_on_passivation = 3,
                prefix = "x",
                name = ""
            ),
            block.clone(),
        ),
        &[
            "`snapshot_on_passivation` takes no value",
            "unknown aggregate key `prefix`, expected `stream_prefix`, `error`, `name`, `events`, `snapshot_every`, `snapshot_version`, `snapshot_on_passivation`, `state_stored`, `lifespan`, `mailbox` or `crate`",
            "the aggregate's name is empty",
            "the stream prefix holds a `-`, which separates it from the identity: write `a_b`",
            "`state_stored` excludes `snapshot_every`: decide for one of them",
        ],
    );
    refused(
        &attribute(quote!(snapshot_version = 2, stream_prefix = ""), block),
        &[
            "the stream prefix is empty",
            "`snapshot_version` is of no use without `snapshot_every`, `snapshot_on_passivation` or `state_stored`",
        ],
    );
}

#[test]
fn other_items_are_no_aggregates() {
    refused(
        &attribute(quote!(), quote! { impl A {} }),
        &[
            "an aggregate needs a method for each of its events: add `#[apply] fn opened(&mut self, event: &Opened)`",
        ],
    );
    refused(
        &attribute(quote!(), quote! { impl Default for A { #[apply] fn f(&mut self, e: &E) {} } }),
        &["`#[aggregate]` stands on an `impl` block without a trait, like `impl A { .. }`"],
    );
    refused(
        &attribute(quote!(), quote! { impl<T> A<T> { #[apply] fn f(&mut self, e: &E) {} } }),
        &["`#[aggregate]` needs a type without generics: write the block for one type"],
    );
    refused(&attribute(quote!(), quote! { struct A; }), &["expected an `impl` block"]);
}

#[test]
fn a_half_written_body_goes_through() {
    let expansion = attribute(
        quote!(),
        quote! { impl A { #[execute] fn f(&self, c: &C) -> E { self.balance. } #[apply] fn g(&mut self, e: &E) {} } },
    );
    assert!(expansion.to_string().contains("self . balance ."));
    assert!(!expansion.to_string().contains("compile_error"));
}
