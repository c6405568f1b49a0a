use expect_test::expect;
use quote::quote;

use crate::router::derive;
use crate::shared::testing::{pretty, refused};

#[test]
fn a_plain_router() {
    expect![[r##"
        #[automatically_derived]
        impl ::cqrs::router::Router for BankRouter {
            const NAME: &'static str = "BankRouter";
            type Includes = ();
        }
    "##]]
    .assert_eq(&pretty(&derive(quote! { pub struct BankRouter; })));
}

#[test]
fn everything() {
    let expansion = derive(quote! {
        #[router(middleware = [AuditLog, bank::Limits], includes = [A, b::B], timeout = "2m", consistency = strong,
            consistency_timeout = "1s", retry_attempts = 0, name = "bank")]
        pub struct BankRouter;
    });
    expect![[r##"
        #[automatically_derived]
        impl ::cqrs::router::Router for BankRouter {
            const NAME: &'static str = "bank";
            type Includes = (A, (b::B, ()));
            fn definition() -> ::cqrs::router::RouterDefinition {
                ::cqrs::router::RouterDefinition::of::<Self>()
                    .middleware(
                        ::cqrs::middleware::MiddlewareEntry::new::<
                            AuditLog,
                        >(::cqrs::__private::default_instance!(AuditLog)),
                    )
                    .middleware(
                        ::cqrs::middleware::MiddlewareEntry::new::<
                            bank::Limits,
                        >(::cqrs::__private::default_instance!(bank::Limits)),
                    )
                    .defaults(
                        ::cqrs::dispatch::DispatchDefaults::new()
                            .timeout(::core::time::Duration::from_secs(120u64))
                            .consistency(::cqrs::dispatch::Consistency::Strong)
                            .consistency_timeout(::core::time::Duration::from_secs(1u64))
                            .retry_attempts(0),
                    )
            }
        }
    "##]]
    .assert_eq(&pretty(&expansion));
}

#[test]
fn mistakes() {
    refused(
        &derive(
            quote! { #[router(middleware = [A, A], includes = [B, C, B, R], layers = [X], name = "")] struct R; },
        ),
        &[
            "unknown router key `layers`, expected `middleware`, `includes`, `timeout`, `consistency`, `consistency_timeout`, `retry_attempts`, `name` or `crate`",
            "the router's name is empty",
            "the middleware `A` is listed twice",
            "the router `B` is listed twice",
            "a router cannot include itself",
        ],
    );
    refused(&derive(quote! { enum R {} }), &["a router is a struct: write `struct R;`"]);
    refused(&derive(quote! { struct R<T>(T); }), &["a router has no generics"]);
}
