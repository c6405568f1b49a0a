use expect_test::expect;
use quote::quote;

use crate::command_handler::attribute;
use crate::shared::testing::{pretty, refused};

#[test]
fn a_command_handler() {
    let expansion = attribute(
        quote!(aggregate = Account),
        quote! {
            impl Rates {
                #[execute]
                async fn exchange(&self, state: &Account, command: &Exchange, context: &CommandContext) -> Result<Vec<Exchanged>, BankError> { body }
                #[execute]
                fn quote(&self, account: &Account, command: &Quote, emitter: &mut Emitter<'_, Account>) {}
            }
        },
    );
    expect![[r#"
        impl Rates {
            async fn exchange(
                &self,
                state: &Account,
                command: &Exchange,
                context: &CommandContext,
            ) -> Result<Vec<Exchanged>, BankError> {
                body
            }
            fn quote(
                &self,
                account: &Account,
                command: &Quote,
                emitter: &mut Emitter<'_, Account>,
            ) {}
        }
        #[automatically_derived]
        impl ::cqrs::command::CommandHandler<Exchange> for Rates {
            async fn handle(
                &self,
                __state: &Account,
                __command: &Exchange,
                __emitter: &mut ::cqrs::aggregate::Emitter<'_, Account>,
                __context: &::cqrs::command::CommandContext,
            ) -> ::core::result::Result<(), <Account as ::cqrs::aggregate::Aggregate>::Error> {
                ::cqrs::aggregate::IntoEvents::<
                    Account,
                >::emit_into(
                    Self::exchange(self, __state, __command, __context).await,
                    __emitter,
                )
            }
        }
        #[automatically_derived]
        impl ::cqrs::command::CommandHandler<Quote> for Rates {
            async fn handle(
                &self,
                __state: &Account,
                __command: &Quote,
                __emitter: &mut ::cqrs::aggregate::Emitter<'_, Account>,
                __context: &::cqrs::command::CommandContext,
            ) -> ::core::result::Result<(), <Account as ::cqrs::aggregate::Aggregate>::Error> {
                ::cqrs::aggregate::IntoEvents::<
                    Account,
                >::emit_into(Self::quote(self, __state, __command, __emitter), __emitter)
            }
        }
    "#]]
    .assert_eq(&pretty(&expansion));
}

#[test]
fn mistakes() {
    let wanted = "expected `&self`, the state `&A`, the command `&C`, and if needed `emitter: &mut Emitter<'_, A>` and `context: &CommandContext`";
    refused(
        &attribute(
            quote!(aggregate = Account, name = "x"),
            quote! {
                impl Rates {
                    #[execute] async fn a(&self) {}
                    #[execute] async fn b(&self, state: &Account) {}
                    #[execute] async fn c(&self, state: &Other, command: &C) {}
                    #[execute] async fn d(&self, state: &Account, command: &C) {}
                }
            },
        ),
        &[
            "unknown command handler key `name`, expected `aggregate` or `crate`",
            &format!("the method lacks the state and the command: {wanted}"),
            &format!("the method lacks the command: {wanted}"),
            "the command `C` is executed twice, by `c` and by `d`",
            "the handler is one of `Account`: the state is taken as `&Account`",
        ],
    );
    refused(
        &attribute(quote!(), quote! { impl Rates {} }),
        &[
            "a command handler needs a method for each of its commands: add `#[execute] async fn withdraw(&self, state: &Account, command: &Withdraw)`",
        ],
    );
    refused(&attribute(quote!(), quote! { fn f() {} }), &["expected an `impl` block"]);
}
