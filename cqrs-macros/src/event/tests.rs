use expect_test::{Expect, expect};
use proc_macro2::TokenStream;
use quote::quote;

use crate::event::derive;
use crate::shared::testing::{messages, pretty, refused};

#[expect(clippy::needless_pass_by_value, reason = "a literal at each call")]
fn check(input: TokenStream, expected: Expect) {
    expected.assert_eq(&pretty(&derive(input)));
}

#[test]
fn a_plain_event() {
    check(
        quote! { pub struct AccountOpened { pub account_id: String, r#type: Vec<Option<u64>> } },
        expect![[r##"
            #[automatically_derived]
            impl ::cqrs::event::Event for AccountOpened {
                const SCHEMA: &'static ::cqrs::event::EventSchema = &::cqrs::event::EventSchema::new(
                        "AccountOpened",
                        1u32,
                    )
                    .shape(::cqrs::event::EventShape::Struct)
                    .fields(const {
                        &[
                            ::cqrs::event::EventField::new("account_id", "String"),
                            ::cqrs::event::EventField::new("type", "Vec<Option<u64>>"),
                        ]
                    })
                    .krate(::core::env!("CARGO_PKG_NAME"))
                    .at(::core::file!(), ::core::line!());
            }
            ::cqrs::event::event_set_of_one!(AccountOpened);
            ::cqrs::__private::inventory::submit! {
                ::cqrs::event::EventRegistration::of:: < AccountOpened > ()
            }
        "##]],
    );
}

#[test]
fn everything() {
    check(
        quote! {
            #[event(name = "Withdrawn", version = 3, aliases = ["MoneyTaken"], crate = crate::facade)]
            #[event(upcast(1 => add_currency, 2 => |value| split(value) -> [Fee, events::Tax]))]
            struct MoneyWithdrawn(u64);
        },
        expect![[r##"
            #[automatically_derived]
            impl crate::facade::event::Event for MoneyWithdrawn {
                const SCHEMA: &'static crate::facade::event::EventSchema = &crate::facade::event::EventSchema::new(
                        "Withdrawn",
                        3u32,
                    )
                    .aliases(&["MoneyTaken"])
                    .upcasters(const {
                        &[
                            crate::facade::event::Upcaster::new(
                                1u32,
                                |__payload| crate::facade::event::IntoUpcast::into_upcast(
                                    crate::facade::__private::call(add_currency, __payload),
                                ),
                            ),
                            crate::facade::event::Upcaster::new(
                                    2u32,
                                    |__payload| crate::facade::event::IntoUpcast::into_upcast(
                                        crate::facade::__private::call(
                                            |value| split(value),
                                            __payload,
                                        ),
                                    ),
                                )
                                .producing(const {
                                    &[
                                        <Fee as crate::facade::event::Event>::SCHEMA.name,
                                        <events::Tax as crate::facade::event::Event>::SCHEMA.name,
                                    ]
                                }),
                        ]
                    })
                    .shape(crate::facade::event::EventShape::Newtype)
                    .fields(const { &[crate::facade::event::EventField::new("0", "u64")] })
                    .krate(::core::env!("CARGO_PKG_NAME"))
                    .at(::core::file!(), ::core::line!());
            }
            crate::facade::event::event_set_of_one!(MoneyWithdrawn);
            crate::facade::__private::inventory::submit! {
                crate ::facade::event::EventRegistration::of:: < MoneyWithdrawn > ()
            }
        "##]],
    );
}

#[test]
fn a_version_needs_all_its_upcasters() {
    refused(
        &derive(quote! { #[event(version = 2)] struct E; }),
        &["version 2 needs an upcaster from version 1: add `upcast(1 => function)`"],
    );
    refused(
        &derive(quote! { #[event(version = 4, upcast(2 => f))] struct E; }),
        &["version 4 needs upcasters from the versions 1 and 3: add `upcast(1 => function, 3 => function)`"],
    );
}

#[test]
fn upcasters_lie_below_the_version() {
    refused(
        &derive(quote! { #[event(version = 2, upcast(0 => f, 1 => g, 1 => h, 2 => i))] struct E; }),
        &[
            "versions begin at 1",
            "there is an upcaster from version 1 already",
            "the event has version 2, and an upcaster comes from a version below: set `version = 3`, or remove the upcaster",
        ],
    );
}

#[test]
fn versions_are_whole_numbers_from_1() {
    refused(&derive(quote! { #[event(version = 0)] struct E; }), &["versions begin at 1"]);
    let expected = "expected a version: a whole number from 1";
    refused(&derive(quote! { #[event(version = "2")] struct E; }), &[expected]);
    refused(&derive(quote! { #[event(version = 99999999999)] struct E; }), &[expected]);
    let huge = messages(&derive(quote! { #[event(version = 4_000_000_000)] struct E; }));
    assert_eq!(huge.len(), 1);
}

#[test]
fn names_are_fit_to_be_stored() {
    refused(
        &derive(quote! { #[event(name = "", aliases = ["$all", "a\nb", "Old", "Old"])] struct E; }),
        &[
            "the event's name is empty",
            "the alias begins with `$`, which is reserved for the framework",
            "the alias holds a control character",
            "the alias is given twice",
        ],
    );
    refused(
        &derive(quote! { #[event(aliases = ["E"])] struct E; }),
        &["the alias is the event's name: give a name that it had before"],
    );
}

#[test]
fn several_mistakes_are_told_at_once() {
    refused(
        &derive(quote! { #[event(nme = "A", version, name = 5, version = 1)] struct E; }),
        &[
            "unknown event key `nme`, expected `name`, `version`, `aliases`, `upcast` or `crate`",
            "`version` needs a value: write `version = 2`",
            "expected a string: write `name = \"AccountOpened\"`",
            "`version` is given twice",
        ],
    );
}

#[test]
fn other_items_are_no_events() {
    refused(
        &derive(quote! { struct E<T>(T); }),
        &["an event has no generics: a stored name belongs to one type, so write a struct for each"],
    );
    refused(
        &derive(quote! { union E { a: u8 } }),
        &["a union cannot be an event: make it a struct or an enum"],
    );
    refused(&derive(quote! { #[event = "x"] struct E; }), &["expected `#[event(..)]`"]);
}

#[test]
fn serde_decides_on_names() {
    check(
        quote! {
            #[serde(rename_all = "camelCase", bound = "")]
            struct Moved {
                #[serde(alias = "house", alias = "home")]
                new_address: Address,
                #[serde(rename = "when", with = "iso8601")]
                moved_at: Option<DateTime>,
                #[serde(rename(serialize = "by", deserialize = "actor"), default = "nobody")]
                moved_by: String,
                #[serde(skip)]
                cached: Cache,
                #[serde(flatten)]
                rest: HashMap<String, Value>,
                left: Option<u8>,
            }
        },
        expect![[r##"
            #[automatically_derived]
            impl ::cqrs::event::Event for Moved {
                const SCHEMA: &'static ::cqrs::event::EventSchema = &::cqrs::event::EventSchema::new(
                        "Moved",
                        1u32,
                    )
                    .shape(::cqrs::event::EventShape::Struct)
                    .fields(const {
                        &[
                            ::cqrs::event::EventField::new("newAddress", "Address")
                                .aliases(&["house", "home"]),
                            ::cqrs::event::EventField::new("when", "Option<DateTime>")
                                .with("iso8601"),
                            ::cqrs::event::EventField::new("by", "String")
                                .aliases(&["actor"])
                                .optional(),
                            ::cqrs::event::EventField::new("rest", "HashMap<String, Value>")
                                .optional()
                                .flattened(),
                            ::cqrs::event::EventField::new("left", "Option<u8>").optional(),
                        ]
                    })
                    .krate(::core::env!("CARGO_PKG_NAME"))
                    .at(::core::file!(), ::core::line!());
            }
            ::cqrs::event::event_set_of_one!(Moved);
            ::cqrs::__private::inventory::submit! {
                ::cqrs::event::EventRegistration::of:: < Moved > ()
            }
        "##]],
    );
}

#[test]
fn a_default_of_the_type_is_one_of_each_field() {
    let expansion = derive(quote! { #[serde(default)] struct Moved { to: String } }).to_string();
    assert!(expansion.contains("optional ()"), "{expansion}");
}

#[test]
fn enums_are_told_by_their_variants() {
    check(
        quote! {
            #[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "SCREAMING-KEBAB-CASE")]
            enum Paid {
                ByCard { card_number: String },
                #[serde(rename = "cash", alias = "coins")]
                ByHand,
                Other(u8, Option<u8>),
                #[serde(skip)]
                Never,
            }
        },
        expect![[r##"
            #[automatically_derived]
            impl ::cqrs::event::Event for Paid {
                const SCHEMA: &'static ::cqrs::event::EventSchema = &::cqrs::event::EventSchema::new(
                        "Paid",
                        1u32,
                    )
                    .shape(::cqrs::event::EventShape::Tagged {
                        tag: "kind",
                    })
                    .variants(const {
                        &[
                            ::cqrs::event::EventVariant::new(
                                "by_card",
                                ::cqrs::event::EventShape::Struct,
                                const { &[::cqrs::event::EventField::new("CARD-NUMBER", "String")] },
                            ),
                            ::cqrs::event::EventVariant::new(
                                    "cash",
                                    ::cqrs::event::EventShape::Unit,
                                    const { &[] },
                                )
                                .aliases(&["coins"]),
                            ::cqrs::event::EventVariant::new(
                                "other",
                                ::cqrs::event::EventShape::Tuple,
                                const {
                                    &[
                                        ::cqrs::event::EventField::new("0", "u8"),
                                        ::cqrs::event::EventField::new("1", "Option<u8>"),
                                    ]
                                },
                            ),
                        ]
                    })
                    .krate(::core::env!("CARGO_PKG_NAME"))
                    .at(::core::file!(), ::core::line!());
            }
            ::cqrs::event::event_set_of_one!(Paid);
            ::cqrs::__private::inventory::submit! {
                ::cqrs::event::EventRegistration::of:: < Paid > ()
            }
        "##]],
    );
}

#[test]
fn payloads_as_a_whole() {
    let shapes = [
        (quote! { struct E; }, "EventShape :: Unit"),
        (quote! { struct E(u8); }, "EventShape :: Newtype"),
        (quote! { struct E(u8, u8); }, "EventShape :: Tuple"),
        (quote! { #[serde(transparent)] struct E { id: u8 } }, "EventShape :: Newtype"),
        (
            quote! { #[serde(from = "Old", into = "New")] struct E { id: u8 } },
            "EventShape :: As { ty : \"Old\" }",
        ),
        (quote! { enum E { A } }, "EventShape :: Enum"),
        (quote! { #[serde(untagged)] enum E { A } }, "EventShape :: Untagged"),
        (
            quote! { #[serde(tag = "t", content = "c")] enum E { A } },
            "EventShape :: Adjacent { tag : \"t\" , content : \"c\" }",
        ),
    ];
    for (item, shape) in shapes {
        let expansion = derive(item).to_string();
        assert!(expansion.contains(shape), "{shape}: {expansion}");
    }
}
