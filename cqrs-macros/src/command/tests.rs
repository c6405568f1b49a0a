use expect_test::expect;
use quote::quote;

use crate::command::derive;
use crate::shared::testing::{messages, pretty, refused};

#[test]
fn a_plain_command() {
    let expansion = derive(quote! {
        #[command(router = BankRouter, aggregate = BankAccount, identify_by = account_id)]
        pub struct Withdraw { pub account_id: String, pub amount: u64 }
    });
    expect![[r##"
        #[automatically_derived]
        impl ::cqrs::command::Command for Withdraw {
            type Router = BankRouter;
            type Aggregate = BankAccount;
            type Handler = ::cqrs::command::Direct;
            const NAME: &'static str = "Withdraw";
            fn identity(&self) -> impl ::core::fmt::Display {
                &self.account_id
            }
        }
        ::cqrs::__private::register_command!(Withdraw);
    "##]]
    .assert_eq(&pretty(&expansion));
}

#[test]
fn everything() {
    let expansion = derive(quote! {
        #[command(
            router = bank::BankRouter, aggregate = BankAccount, identify_by = self.account.id(),
            prefix = tenant_prefix, handler = Rates, name = "withdraw", validate, timeout = "500ms",
            consistency = ["balances", "audit"], consistency_timeout = LIMIT, retry_attempts = 3,
            crate = facade
        )]
        enum Withdraw { All, Some(u64) }
    });
    expect![[r##"
        #[automatically_derived]
        impl facade::command::Command for Withdraw {
            type Router = bank::BankRouter;
            type Aggregate = BankAccount;
            type Handler = Rates;
            const NAME: &'static str = "withdraw";
            fn identity(&self) -> impl ::core::fmt::Display {
                self.account.id()
            }
            fn stream_prefix() -> ::std::borrow::Cow<'static, str> {
                ::core::convert::Into::into((tenant_prefix)())
            }
            fn validate(&self) -> ::core::result::Result<(), facade::command::ValidationErrors> {
                #[allow(
                    unused_imports,
                    reason = "the trait is only found when the method is missing"
                )]
                use facade::__private::InherentValidateIsMissing as _;
                Self::validate(self)
            }
            fn defaults() -> facade::dispatch::DispatchDefaults {
                facade::dispatch::DispatchDefaults::new()
                    .timeout(::core::time::Duration::from_millis(500u64))
                    .consistency(
                        facade::dispatch::Consistency::Handlers(
                            ::core::convert::From::from([
                                ::std::borrow::Cow::Borrowed("balances"),
                                ::std::borrow::Cow::Borrowed("audit"),
                            ]),
                        ),
                    )
                    .consistency_timeout(LIMIT)
                    .retry_attempts(3)
            }
        }
        facade::__private::register_command!(Withdraw);
    "##]]
    .assert_eq(&pretty(&expansion));
}

#[test]
fn functions_in_place_of_fields() {
    let expansion = derive(quote! {
        #[command(router = R, aggregate = A, identify_by = |command| &command.0, prefix = "p", validate = check, timeout = never)]
        struct C(String);
    });
    expect![[r##"
        #[automatically_derived]
        impl ::cqrs::command::Command for C {
            type Router = R;
            type Aggregate = A;
            type Handler = ::cqrs::command::Direct;
            const NAME: &'static str = "C";
            fn identity(&self) -> impl ::core::fmt::Display {
                ::cqrs::__private::call(|command| &command.0, self)
            }
            fn stream_prefix() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed("p")
            }
            fn validate(&self) -> ::core::result::Result<(), ::cqrs::command::ValidationErrors> {
                ::cqrs::__private::call(check, self)
            }
            fn defaults() -> ::cqrs::dispatch::DispatchDefaults {
                ::cqrs::dispatch::DispatchDefaults::new().no_timeout()
            }
        }
        ::cqrs::__private::register_command!(C);
    "##]]
    .assert_eq(&pretty(&expansion));
}

#[test]
fn t_034_what_is_missing_is_named() {
    refused(
        &derive(quote! { struct C { id: u8 } }),
        &[
            "the command lacks `router`, `aggregate` and `identify_by`: add `#[command(router = YourRouter, aggregate = YourAggregate, identify_by = your_field)]`",
        ],
    );
    refused(
        &derive(quote! { #[command(router = R, identify_by = id)] struct C { id: u8 } }),
        &["the command lacks `aggregate`: add `#[command(aggregate = YourAggregate)]`"],
    );
}

#[test]
fn t_033_an_unknown_option_gets_the_list_of_those_there_are() {
    refused(
        &derive(
            quote! { #[command(router = R, aggregate = A, identify_by = id, retries = 3)] struct C { id: u8 } },
        ),
        &[
            "unknown command key `retries`, expected `router`, `aggregate`, `identify_by`, `prefix`, `handler`, `name`, `validate`, `redact`, `timeout`, `consistency`, `consistency_timeout`, `retry_attempts` or `crate`",
        ],
    );
}

#[test]
fn the_identity_is_one_of_the_fields() {
    let missing =
        |item| messages(&derive(quote! { #[command(router = R, aggregate = A, identify_by = id)] #item }));
    assert_eq!(
        missing(quote! { struct C { a: u8, b: u8 } }),
        ["`C` has no field `id`: its fields are `a` and `b`"]
    );
    assert_eq!(missing(quote! { struct C { a: u8 } }), ["`C` has no field `id`: its field is `a`"]);
    assert_eq!(missing(quote! { struct C; }), ["`C` has no field `id`: it has no fields"]);
    assert_eq!(
        missing(quote! { enum C { A } }),
        [
            "an enum has no fields: identify it by a function such as `Self::id`, or by an expression with `self` such as `self.id()`"
        ]
    );
}

#[test]
fn several_mistakes_are_told_at_once() {
    refused(
        &derive(quote! {
            #[command(
                router = R, aggregate = A, identify_by = "id", prefix = "a-b", timeout = "soon",
                consistency = sometimes, retry_attempts = "3", validate(x), name = ""
            )]
            struct C { id: u8 }
        }),
        &[
            "expected a field such as `account_id`, an expression with `self` such as `self.account.id()`, or a function such as `Self::id`",
            "expected a length of time such as `\"500ms\"`, `\"5s\"`, `\"2m\"` or `\"1h\"`, or an expression of type `Duration`",
            "expected `strong`, `eventual`, or a list of handler names such as `[\"balances\"]`",
            "expected a whole number",
            "`validate` takes no value",
            "the command's name is empty",
            "the stream prefix holds a `-`, which separates it from the identity: write `a_b`",
        ],
    );
}

#[test]
fn other_items_are_no_commands() {
    refused(
        &derive(quote! { #[command(router = R, aggregate = A, identify_by = id)] struct C<T> { id: T } }),
        &["a command has no generics: write a type for each"],
    );
    refused(
        &derive(quote! { #[command(router = R, aggregate = A, identify_by = Self::id)] union C { id: u8 } }),
        &["a union cannot be a command: make it a struct or an enum"],
    );
}

#[test]
fn what_is_redacted_is_told_by_the_names_of_the_json_form() {
    let expansion = derive(quote! {
        #[command(router = R, aggregate = A, identify_by = id)]
        #[command(redact = [password, card_data.number, notes."secret-text".r#type])]
        #[serde(rename_all = "camelCase")]
        struct Pay {
            id: String,
            #[serde(rename = "pw")]
            password: String,
            card_data: Card,
            notes: Vec<Note>,
        }
    });
    let expected =
        "Redaction::of(&[&[\"pw\"], &[\"cardData\", \"number\"], &[\"notes\", \"secret-text\", \"type\"]])";
    let found: String = pretty(&expansion).split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = |text: &str| text.replace([' ', ','], "");
    assert!(plain(&found).contains(&plain(expected)), "{found}");
}

#[test]
fn a_command_is_redacted_as_a_whole() {
    for item in [
        quote!(
            struct Pay {
                id: String,
            }
        ),
        quote!(
            enum Pay {
                One,
            }
        ),
        quote!(
            struct Pay(String);
        ),
    ] {
        let expansion = derive(quote! {
            #[command(router = R, aggregate = A, identify_by = Self::id, redact)]
            #item
        });
        assert!(pretty(&expansion).contains("::cqrs::command::Redaction::ALL"), "{expansion}");
    }
}

#[test]
fn what_has_no_name_in_the_json_form_cannot_be_redacted() {
    let attribute =
        quote!(#[command(router = R, aggregate = A, identify_by = Self::id, redact = [secret, id.x])]);
    refused(
        &derive(quote!(#attribute struct Pay { id: String, other: u8 })),
        &["`Pay` has no field `secret`: its fields are `id` and `other`"],
    );
    let of_enum =
        "an enum has no fields to be named: write `redact` alone, for all of it, or make it a struct";
    refused(&derive(quote!(#attribute enum Pay { One })), &[of_enum, of_enum]);
    let unnamed = "the JSON form of `Pay` does not name its fields: write `redact` alone, for all of it";
    refused(
        &derive(quote!(#attribute #[serde(into = "Other")] struct Pay { secret: u8, id: u8 })),
        &[unnamed, unnamed],
    );
    refused(
        &derive(quote!(#attribute struct Pay { #[serde(flatten)] secret: Secret, id: String })),
        &[
            "the field `secret` is flattened, and has no name in the JSON form: write `redact` alone, for all of it",
        ],
    );
    let misspelt = derive(quote!(
        #[command(router = R, aggregate = A, identify_by = id, redact = "id")]
        struct Pay {
            id: String,
        }
    ));
    assert_eq!(messages(&misspelt), ["expected square brackets"]);
}
