use expect_test::expect;
use quote::quote;

use crate::application::application;
use crate::shared::testing::{pretty, refused};

#[test]
fn a_plain_application() {
    expect![[r##"
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        struct Bank(::cqrs::application::Running<Bank>);
        #[automatically_derived]
        impl ::core::ops::Deref for Bank {
            type Target = ::cqrs::application::Running<Bank>;
            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
        #[automatically_derived]
        impl ::cqrs::application::Application for Bank {
            const NAME: &'static str = "Bank";
            type Routers = ();
            fn from_running(__running: ::cqrs::application::Running<Self>) -> Self {
                Self(__running)
            }
        }
        #[automatically_derived]
        impl Bank {
            /// Binds an instance to a store; `start()` of what this gives starts it.
            fn builder(store: impl ::cqrs::store::Store) -> ::cqrs::application::Builder<Self> {
                ::cqrs::application::Builder::new(store)
            }
        }
    "##]]
    .assert_eq(&pretty(&application(quote! { struct Bank { routers: [] } })));
}

#[test]
fn everything() {
    let expansion = application(quote! {
        /// One bank.
        #[must_use]
        pub(crate) struct Bank {
            name: "bank",
            routers: [BankRouter, admin::AdminRouter],
            event_handlers: [WelcomeEmail],
            middleware: [RequestId],
            timeout: never,
            consistency: eventual,
            crate: ::facade,
        }
    });
    expect![[r#"
        /// One bank.
        #[must_use]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        pub(crate) struct Bank(::facade::application::Running<Bank>);
        #[automatically_derived]
        impl ::core::ops::Deref for Bank {
            type Target = ::facade::application::Running<Bank>;
            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
        #[automatically_derived]
        impl ::facade::application::Application for Bank {
            const NAME: &'static str = "bank";
            type Routers = (BankRouter, (admin::AdminRouter, ()));
            fn definition() -> ::facade::application::Definition {
                ::facade::application::Definition::new()
                    .event_handler(
                        ::facade::handler::HandlerEntry::new::<
                            WelcomeEmail,
                        >(::facade::__private::default_instance!(WelcomeEmail)),
                    )
                    .middleware(
                        ::facade::middleware::MiddlewareEntry::new::<
                            RequestId,
                        >(::facade::__private::default_instance!(RequestId)),
                    )
                    .defaults(
                        ::facade::dispatch::DispatchDefaults::new()
                            .no_timeout()
                            .consistency(::facade::dispatch::Consistency::Eventual),
                    )
            }
            fn from_running(__running: ::facade::application::Running<Self>) -> Self {
                Self(__running)
            }
        }
        #[automatically_derived]
        impl Bank {
            /// Binds an instance to a store; `start()` of what this gives starts it.
            pub(crate) fn builder(
                store: impl ::facade::store::Store,
            ) -> ::facade::application::Builder<Self> {
                ::facade::application::Builder::new(store)
            }
        }
    "#]]
    .assert_eq(&pretty(&expansion));
}

#[test]
fn mistakes() {
    refused(
        &application(quote! {
            pub struct Bank { routers: [A, A], event_handlers: [H, H], handlers: [X], middleware: [M, M], routers: [B], name = "x" }
        }),
        &[
            "unknown application key `handlers`, expected `name`, `routers`, `event_handlers`, `projections`, `process_managers`, `publishers`, `middleware`, `timeout`, `consistency`, `consistency_timeout`, `retry_attempts` or `crate`",
            "`routers` is given twice",
            "`name` needs a value: write `name: \"bank\"`",
            "the router `A` is listed twice",
            "the event handler `H` is listed twice",
            "the middleware `M` is listed twice",
        ],
    );
    refused(
        &application(quote! { pub struct Bank {} }),
        &[
            "the application lacks `routers`: add `routers: [YourRouter]`, or `routers: []` for one that carries no commands",
        ],
    );
    refused(
        &application(quote! { pub enum Bank {} }),
        &["expected `struct`: an application is written `pub struct Bank { routers: [..] }`"],
    );
    refused(&application(quote! { struct Bank<T> { routers: [] } }), &["an application has no generics"]);
}
