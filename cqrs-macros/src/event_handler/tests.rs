use expect_test::expect;
use quote::quote;

use crate::event_handler::attribute;
use crate::shared::testing::{pretty, refused};

#[test]
fn an_event_handler() {
    let expansion = attribute(
        quote!(
            name = "welcome-email",
            interested_in = [AccountOpened, bank::Closed],
            category = "account",
            start_from = position(42),
            consistency = strong
        ),
        quote! {
            impl WelcomeEmail {
                async fn on_opened(&self, event: &AccountOpened, context: &EventContext) -> Result<(), MailError> { body }
                fn farewell(&self, event: &Closed) {}
                async fn on_error(&self, failure: &HandlerFailure<MailError>) -> ErrorAction { ErrorAction::Skip }
                fn mailer(&self) -> &Mailer { &self.0 }
            }
        },
    );
    expect![[r#"
        impl WelcomeEmail {
            async fn on_opened(
                &self,
                event: &AccountOpened,
                context: &EventContext,
            ) -> Result<(), MailError> {
                body
            }
            fn farewell(&self, event: &Closed) {}
            async fn on_error(&self, failure: &HandlerFailure<MailError>) -> ErrorAction {
                ErrorAction::Skip
            }
            fn mailer(&self) -> &Mailer {
                &self.0
            }
        }
        const _: () = {
            ///The events of the handler `WelcomeEmail`.
            #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
            #[allow(
                private_interfaces,
                unreachable_pub,
                clippy::enum_variant_names,
                clippy::large_enum_variant,
                reason = "the enum is made of the user's types, whatever their names, sizes and visibility"
            )]
            pub enum __Event {
                ///The event `AccountOpened`.
                AccountOpened(AccountOpened),
                ///The event `Closed`.
                Closed(Closed),
            }
            #[automatically_derived]
            impl ::cqrs::event::EventSet for __Event {
                fn schemas() -> ::std::vec::Vec<&'static ::cqrs::event::EventSchema> {
                    ::core::convert::From::from([
                        <AccountOpened as ::cqrs::event::Event>::SCHEMA,
                        <Closed as ::cqrs::event::Event>::SCHEMA,
                    ])
                }
                fn schema(&self) -> &'static ::cqrs::event::EventSchema {
                    match *self {
                        Self::AccountOpened(_) => <AccountOpened as ::cqrs::event::Event>::SCHEMA,
                        Self::Closed(_) => <Closed as ::cqrs::event::Event>::SCHEMA,
                    }
                }
                fn decode(
                    __schema: &::cqrs::event::EventSchema,
                    __payload: ::cqrs::event::Payload<'_>,
                ) -> ::core::result::Result<
                    ::core::option::Option<Self>,
                    ::cqrs::__private::serde_json::Error,
                > {
                    if __schema.name == <AccountOpened as ::cqrs::event::Event>::SCHEMA.name {
                        return __payload
                            .decode::<AccountOpened>()
                            .map(|__event| ::core::option::Option::Some(
                                Self::AccountOpened(__event),
                            ));
                    }
                    if __schema.name == <Closed as ::cqrs::event::Event>::SCHEMA.name {
                        return __payload
                            .decode::<Closed>()
                            .map(|__event| ::core::option::Option::Some(Self::Closed(__event)));
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
                        Self::AccountOpened(ref __event) => ::cqrs::__private::encode(__event),
                        Self::Closed(ref __event) => ::cqrs::__private::encode(__event),
                    }
                }
            }
            #[automatically_derived]
            impl ::cqrs::handler::EventHandler for WelcomeEmail {
                const NAME: &'static str = "welcome-email";
                const START_FROM: ::cqrs::handler::StartFrom = ::cqrs::handler::StartFrom::Position(
                    42,
                );
                const CONSISTENCY: ::cqrs::handler::HandlerConsistency = ::cqrs::handler::HandlerConsistency::Strong;
                const SUBSCRIBE_TO: ::cqrs::handler::SubscribeTo = ::cqrs::handler::SubscribeTo::Category(
                    "account",
                );
                type Event = __Event;
                type State = ();
                type Error = MailError;
                async fn handle(
                    &self,
                    __event: __Event,
                    __state: &mut <Self as ::cqrs::handler::EventHandler>::State,
                    __context: &::cqrs::event::EventContext,
                ) -> ::core::result::Result<(), <Self as ::cqrs::handler::EventHandler>::Error> {
                    match __event {
                        __Event::AccountOpened(ref __event) => {
                            Self::on_opened(self, __event, __context)
                                .await
                                .map_err(::core::convert::Into::into)
                        }
                        __Event::Closed(ref __event) => {
                            Self::farewell(self, __event);
                            ::core::result::Result::Ok(())
                        }
                    }
                }
                async fn on_error(
                    &self,
                    __failure: &::cqrs::handler::HandlerFailure<
                        <Self as ::cqrs::handler::EventHandler>::Error,
                    >,
                ) -> ::cqrs::handler::ErrorAction {
                    Self::on_error(self, __failure).await
                }
            }
        };
    "#]]
    .assert_eq(&pretty(&expansion));
}

#[test]
fn events_and_methods_belong_together() {
    refused(
        &attribute(
            quote!(name = "h", interested_in = [AccountOpened, Closed, Closed]),
            quote! {
                impl H {
                    async fn on_closed(&self, event: &Closed) {}
                    async fn closed_again(&self, event: &Closed) {}
                    async fn on_moved(&self, event: &Moved) {}
                }
            },
        ),
        &[
            "the event `Closed` is listed twice",
            "the event `Closed` is handled twice, by `on_closed` and by `closed_again`",
            "no method handles `AccountOpened`: add `async fn on_account_opened(&self, event: &AccountOpened, context: &EventContext)`",
            "`on_moved` handles `Moved`, which is not listed: add `Moved` to `interested_in`",
        ],
    );
}

#[test]
fn t_264_keys_are_checked() {
    let block = quote! { impl H { async fn on_e(&self, event: &E) {} } };
    refused(
        &attribute(
            quote!(name = "", interested_in = [E], start_from = beginning, consistency = ["x"], batches = 5),
            block.clone(),
        ),
        &[
            "expected `origin`, `current` or `position(42)`",
            "expected `strong` or `eventual`",
            "unknown event handler key `batches`, expected `name`, `interested_in`, `events`, `batch_size`, `batch_time`, `category`, `stream`, `start_from`, `consistency`, `partition_by`, `partitions`, `state`, `error` or `crate`",
            "the handler's name is empty",
        ],
    );
    refused(
        &attribute(quote!(), block),
        &[
            "the event handler lacks `name` and `interested_in`: add `#[event_handler(name = \"welcome-email\", interested_in = [AccountOpened])]`",
        ],
    );
}

#[test]
fn subscriptions_are_checked() {
    let mistakes = |keys: proc_macro2::TokenStream, expected: &[&str]| {
        let block = quote! { impl H { async fn on_e(&self, event: &E) {} } };
        refused(&attribute(quote!(name = "h", interested_in = [E], #keys), block), expected);
    };
    mistakes(quote!(stream = "account-42"), &[]);
    mistakes(quote!(category = ""), &["the category is empty"]);
    mistakes(quote!(stream = ""), &["the stream's name is empty"]);
    mistakes(quote!(stream = 42), &["expected a string: write `stream = \"account-42\"`"]);
    mistakes(
        quote!(category = "account-42", stream = "$all"),
        &[
            "`category` and `stream` exclude each other: a stream is of one category",
            "the category holds a `-`, before which it ends: write `category = \"account\"`, or `stream = \"account-42\"` for one stream",
            "the stream's name begins with `$`, which is reserved for the framework",
        ],
    );
    mistakes(quote!(category = "a\nb"), &["the category holds a control character"]);
    let long = "a".repeat(256);
    mistakes(quote!(stream = #long), &["the stream's name has 256 bytes, at most 255 can name a stream"]);
}

#[test]
fn methods_have_the_right_shape() {
    let wanted = "expected `&self`, the event `&E`, and if needed `context: &EventContext`";
    refused(
        &attribute(
            quote!(name = "h", interested_in = [A, B, C]),
            quote! {
                impl H {
                    async fn on_a(&mut self, event: A) {}
                    async fn on_b(&self, event: &B, context: EventContext, more: u8) {}
                    async fn on_c(&self) {}
                    async fn c(&self, event: &C) {}
                    async fn on_error(&self, failure: HandlerFailure<E>) {}
                }
            },
        ),
        &[
            "a method with `#[event_handler]` takes `&self`, not `&mut self`",
            "the event is taken by reference: `&A`",
            "the context is taken as `&EventContext`",
            &format!("an unexpected parameter: {wanted}"),
            &format!("the method lacks the event: {wanted}"),
            "expected `async fn on_error(&self, failure: &HandlerFailure<Error>) -> ErrorAction`",
            "expected `async fn on_error(&self, failure: &HandlerFailure<Error>) -> ErrorAction`",
        ],
    );
}

#[test]
fn the_error_is_one() {
    let block = quote! {
        impl H {
            async fn on_a(&self, event: &A) -> Result<(), X> {}
            async fn on_b(&self, event: &B) -> Result<(), Y> {}
            async fn on_c(&self, event: &C) -> io::Result<()> {}
        }
    };
    refused(
        &attribute(quote!(name = "h", interested_in = [A, B, C]), block.clone()),
        &[
            "the methods differ in their errors, `X` and `Y`: name the handler's with `error = ..`, made from both by `From`",
            "the handler's error cannot be seen here: return `Result<(), Error>`, or name it with `error = Error`",
        ],
    );
    refused(&attribute(quote!(name = "h", interested_in = [A, B, C], error = Z), block), &[]);
}

#[test]
fn hooks_are_called_as_they_are_written() {
    let expansion = attribute(
        quote!(name = "h", events = AccountEvent),
        quote! {
            impl H {
                fn on_batch(&self, events: &[Envelope<AccountEvent>]) {}
                fn init(&self) -> Result<(), MailError> { Ok(()) }
                #[cfg(feature = "warm")]
                async fn after_start(&self, context: &StartContext) -> Result<(), MailError> { body }
                async fn before_reset(&self) -> Result<(), MailError> { body }
            }
        },
    );
    let pretty = pretty(&expansion);
    let (_, hooks) = pretty.split_once("::Ok(())\n").unwrap();
    expect![[r#"
                }
                async fn init(
                    &self,
                ) -> ::core::result::Result<(), <Self as ::cqrs::handler::EventHandler>::Error> {
                    Self::init(self).map_err(::core::convert::Into::into)
                }
                #[cfg(feature = "warm")]
                async fn after_start(
                    &self,
                    __context: &::cqrs::handler::StartContext,
                ) -> ::core::result::Result<(), <Self as ::cqrs::handler::EventHandler>::Error> {
                    Self::after_start(self, __context).await.map_err(::core::convert::Into::into)
                }
                async fn before_reset(
                    &self,
                ) -> ::core::result::Result<(), <Self as ::cqrs::handler::EventHandler>::Error> {
                    Self::before_reset(self).await.map_err(::core::convert::Into::into)
                }
            }
        };
    "#]]
    .assert_eq(hooks);
}

#[test]
fn a_state_stands_where_the_method_has_it() {
    let expansion = attribute(
        quote!(name = "h", interested_in = [A, B, C], state = Totals),
        quote! {
            impl H {
                fn on_a(&self, event: &A, state: &mut Totals, context: &EventContext) {}
                fn on_b(&self, event: &B, context: &EventContext, state: &mut Totals) {}
                fn on_c(&self, event: &C) {}
            }
        },
    );
    let pretty = pretty(&expansion);
    let (_, handler) = pretty.split_once("const NAME").unwrap();
    expect![[r#"
        : &'static str = "h";
                type Event = __Event;
                type State = Totals;
                type Error = ::core::convert::Infallible;
                async fn handle(
                    &self,
                    __event: __Event,
                    __state: &mut <Self as ::cqrs::handler::EventHandler>::State,
                    __context: &::cqrs::event::EventContext,
                ) -> ::core::result::Result<(), <Self as ::cqrs::handler::EventHandler>::Error> {
                    match __event {
                        __Event::A(ref __event) => {
                            Self::on_a(self, __event, __state, __context);
                            ::core::result::Result::Ok(())
                        }
                        __Event::B(ref __event) => {
                            Self::on_b(self, __event, __context, __state);
                            ::core::result::Result::Ok(())
                        }
                        __Event::C(ref __event) => {
                            Self::on_c(self, __event);
                            ::core::result::Result::Ok(())
                        }
                    }
                }
            }
        };
    "#]]
    .assert_eq(handler);
}
