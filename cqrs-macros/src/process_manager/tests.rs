use expect_test::expect;
use quote::quote;

use crate::process_manager::attribute;
use crate::shared::testing::{pretty, refused};

/// What is made beside the set of events, which is the same as for an event handler.
fn manager(expansion: &str) -> &str {
    let start = expansion.find("impl ::cqrs::process_manager").expect("it is implemented");
    &expansion[start..]
}

#[test]
fn a_process_manager() {
    let expansion = attribute(
        quote!(
            name = "money-transfer",
            interested_in = [Requested, Withdrawn, Ended],
            category = "transfer",
            by = transfer,
            idle_timeout = "1h",
            consistency = strong
        ),
        quote! {
            impl MoneyTransfer {
                #[on(start)]
                fn requested(&mut self, event: &Requested, process: &mut Process) -> Result<(), Refused> { body }
                #[on(continue!, each = transfers)]
                async fn withdrawn(&mut self, event: &Withdrawn) {}
                #[on(with = Self::whom)]
                fn ended(&mut self, event: &Ended) {}
                fn on_idle(&mut self, process: &mut Process) {}
                fn on_error(&mut self, failure: &ProcessFailure<Refused>) -> ProcessAction { ProcessAction::Skip }
                fn other(&self) {}
            }
        },
    );
    let pretty = pretty(&expansion);
    assert!(!pretty.contains("#[on("), "the marks are taken off");
    expect![[r#"
        impl ::cqrs::process_manager::ProcessManager for MoneyTransfer {
                const NAME: &'static str = "money-transfer";
                const CONSISTENCY: ::cqrs::handler::HandlerConsistency = ::cqrs::handler::HandlerConsistency::Strong;
                const SUBSCRIBE_TO: ::cqrs::handler::SubscribeTo = ::cqrs::handler::SubscribeTo::Category(
                    "transfer",
                );
                const IDLE_TIMEOUT: ::core::option::Option<::core::time::Duration> = ::core::option::Option::Some(
                    ::core::time::Duration::from_secs(3600u64),
                );
                type Event = __Event;
                type Error = Refused;
                fn interest(
                    __event: &__Event,
                    __context: &::cqrs::event::EventContext,
                ) -> ::cqrs::process_manager::Interest {
                    match *__event {
                        __Event::Requested(ref __event) => {
                            let _ = __event;
                            ::cqrs::process_manager::Interest::of(
                                ::cqrs::process_manager::Role::Start,
                                [&__event.transfer],
                            )
                        }
                        __Event::Withdrawn(ref __event) => {
                            let _ = __event;
                            ::cqrs::process_manager::Interest::of(
                                ::cqrs::process_manager::Role::ContinueStrict,
                                &__event.transfers,
                            )
                        }
                        __Event::Ended(ref __event) => {
                            let _ = __event;
                            Self::whom(__event, __context)
                        }
                    }
                }
                async fn handle(
                    &mut self,
                    __event: __Event,
                    __context: &mut ::cqrs::process_manager::Process,
                ) -> ::core::result::Result<
                    (),
                    <Self as ::cqrs::process_manager::ProcessManager>::Error,
                > {
                    match __event {
                        __Event::Requested(ref __event) => {
                            Self::requested(self, __event, __context)
                                .map_err(::core::convert::Into::into)
                        }
                        __Event::Withdrawn(ref __event) => {
                            Self::withdrawn(self, __event).await;
                            ::core::result::Result::Ok(())
                        }
                        __Event::Ended(ref __event) => {
                            Self::ended(self, __event);
                            ::core::result::Result::Ok(())
                        }
                    }
                }
                async fn on_idle(
                    &mut self,
                    __process: &mut ::cqrs::process_manager::Process,
                ) -> ::core::result::Result<
                    (),
                    <Self as ::cqrs::process_manager::ProcessManager>::Error,
                > {
                    Self::on_idle(self, __process);
                    ::core::result::Result::Ok(())
                }
                async fn on_error(
                    &mut self,
                    __argument: &::cqrs::process_manager::ProcessFailure<
                        <Self as ::cqrs::process_manager::ProcessManager>::Error,
                    >,
                    __process: &mut ::cqrs::process_manager::Process,
                ) -> ::cqrs::process_manager::ProcessAction {
                    Self::on_error(self, __argument)
                }
            }
        };
    "#]].assert_eq(manager(&pretty));
}

#[test]
fn an_interest_is_said_in_full() {
    refused(
        &attribute(
            quote!(name = "p", interested_in = [A, B, C, D]),
            quote! {
                impl P {
                    #[on(start)]
                    fn a(&mut self, event: &A) {}
                    #[on(by = id)]
                    fn b(&mut self, event: &B) {}
                    #[on(stop, with = whom)]
                    fn c(&mut self, event: &C) {}
                    #[on]
                    fn d(&mut self, event: &D) {}
                }
            },
        ),
        &[
            "it lacks what the event does: `start`, `start!`, `continue`, `continue!`, `start_or_continue` or `stop`",
            "the function of `with` says what the event does as well: leave the role out",
            "say what the event does: `#[on(start, by = id)]`, with `start`, `start!`, `continue`, `continue!`, `start_or_continue` or `stop`",
            "it lacks the instances: add `by = field` with the field that names the instance, here or to `#[process_manager(..)]` for all",
        ],
    );
}
