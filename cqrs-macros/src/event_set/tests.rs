use expect_test::expect;
use quote::quote;

use crate::event_set::derive;
use crate::shared::testing::{pretty, refused};

#[test]
fn an_enum_of_events() {
    let expansion = derive(quote! { enum AccountEvent { Opened(events::Opened), r#Move(r#Move) } });
    expect![[r#"
        #[automatically_derived]
        impl ::cqrs::event::EventSet for AccountEvent {
            fn schemas() -> ::std::vec::Vec<&'static ::cqrs::event::EventSchema> {
                ::core::convert::From::from([
                    <events::Opened as ::cqrs::event::Event>::SCHEMA,
                    <r#Move as ::cqrs::event::Event>::SCHEMA,
                ])
            }
            fn schema(&self) -> &'static ::cqrs::event::EventSchema {
                match *self {
                    Self::Opened(_) => <events::Opened as ::cqrs::event::Event>::SCHEMA,
                    Self::r#Move(_) => <r#Move as ::cqrs::event::Event>::SCHEMA,
                }
            }
            fn decode(
                __schema: &::cqrs::event::EventSchema,
                __payload: ::cqrs::event::Payload<'_>,
            ) -> ::core::result::Result<
                ::core::option::Option<Self>,
                ::cqrs::__private::serde_json::Error,
            > {
                if __schema.name == <events::Opened as ::cqrs::event::Event>::SCHEMA.name {
                    return __payload
                        .decode::<events::Opened>()
                        .map(|__event| ::core::option::Option::Some(Self::Opened(__event)));
                }
                if __schema.name == <r#Move as ::cqrs::event::Event>::SCHEMA.name {
                    return __payload
                        .decode::<r#Move>()
                        .map(|__event| ::core::option::Option::Some(Self::r#Move(__event)));
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
                    Self::r#Move(ref __event) => ::cqrs::__private::encode(__event),
                }
            }
        }
        #[automatically_derived]
        impl ::core::convert::From<events::Opened> for AccountEvent {
            fn from(__event: events::Opened) -> Self {
                Self::Opened(__event)
            }
        }
        #[automatically_derived]
        impl ::core::convert::From<r#Move> for AccountEvent {
            fn from(__event: r#Move) -> Self {
                Self::r#Move(__event)
            }
        }
    "#]]
    .assert_eq(&pretty(&expansion));
}

#[test]
fn a_variant_holds_one_event() {
    refused(
        &derive(quote! { enum E { A, B(X, Y), C { x: X }, D(X) } }),
        &[
            "a variant of an event set holds one event: write `A(A)`",
            "a variant of an event set holds one event: write `B(B)`",
            "a variant of an event set holds one event: write `C(C)`",
        ],
    );
}

#[test]
fn an_event_is_in_a_set_once() {
    refused(&derive(quote! { enum E { A(X), B(X) } }), &["the variant `A` holds `X` already"]);
}

#[test]
fn other_items_are_no_sets() {
    refused(
        &derive(quote! { #[event_set(nme)] struct E; }),
        &[
            "unknown event set key `nme`, expected `crate`",
            "an event set is an enum whose variants hold one event each",
        ],
    );
    refused(&derive(quote! { enum E<T> { A(T) } }), &["an event set has no generics"]);
    refused(
        &derive(quote! { enum E {} }),
        &["an event set needs a variant: add one for each event, like `Opened(Opened)`"],
    );
}
