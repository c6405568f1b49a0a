use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, Type};

use crate::shared::paths::{Crate, located};

/// An enum of events, and its impls.
pub(crate) struct Set<'a> {
    pub(crate) krate: &'a Crate,
    pub(crate) name: &'a Ident,
    pub(crate) members: &'a [Member],
}

/// One variant with the event that it holds.
pub(crate) struct Member {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) variant: Ident,
    pub(crate) event: Type,
}

impl Member {
    /// The constant with the schema, to be blamed on the user's type when that is not an event.
    fn schema(&self, krate: &Crate) -> TokenStream {
        let event = &self.event;
        let span = located(event.span());
        let krate = krate.at(span);
        quote_spanned!(span=> <#event as #krate::event::Event>::SCHEMA)
    }
}

impl Set<'_> {
    /// The enum itself, for macros whose user did not write it.
    pub(crate) fn declaration(&self, docs: &str) -> TokenStream {
        let name = self.name;
        let variants = self.members.iter().map(|Member { cfgs, variant, event }| {
            let docs = format!("The event `{}`.", crate::shared::names::show(event));
            quote!(#(#cfgs)* #[doc = #docs] #variant(#event))
        });
        quote! {
            #[doc = #docs]
            #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
            #[allow(
                private_interfaces,
                unreachable_pub,
                clippy::enum_variant_names,
                clippy::large_enum_variant,
                reason = "the enum is made of the user's types, whatever their names, sizes and visibility"
            )]
            pub enum #name { #(#variants),* }
        }
    }

    /// `EventSet`, in a form that holds for no members as well.
    pub(crate) fn event_set(&self) -> TokenStream {
        let Self { krate, name, .. } = self;
        let (schemas, schema) = (self.schemas(), self.schema());
        let (decode, encode) = (self.decode(), self.encode());
        quote! {
            #[automatically_derived]
            impl #krate::event::EventSet for #name {
                #schemas
                #schema
                #decode
                #encode
            }
        }
    }

    fn schemas(&self) -> TokenStream {
        let krate = self.krate;
        let schemas = self.members.iter().map(|member| {
            let (cfgs, schema) = (&member.cfgs, member.schema(krate));
            quote!(#(#cfgs)* #schema)
        });
        quote! {
            fn schemas() -> ::std::vec::Vec<&'static #krate::event::EventSchema> {
                ::core::convert::From::from([#(#schemas),*])
            }
        }
    }

    fn schema(&self) -> TokenStream {
        let krate = self.krate;
        let arms = self.members.iter().map(|member| {
            let Member { cfgs, variant, event } = member;
            quote!(#(#cfgs)* Self::#variant(_) => <#event as #krate::event::Event>::SCHEMA,)
        });
        quote! {
            fn schema(&self) -> &'static #krate::event::EventSchema {
                match *self { #(#arms)* }
            }
        }
    }

    fn decode(&self) -> TokenStream {
        let krate = self.krate;
        let attempts = self.members.iter().map(|Member { cfgs, variant, event }| {
            quote! {
                #(#cfgs)*
                if __schema.name == <#event as #krate::event::Event>::SCHEMA.name {
                    return __payload
                        .decode::<#event>()
                        .map(|__event| ::core::option::Option::Some(Self::#variant(__event)));
                }
            }
        });
        quote! {
            fn decode(
                __schema: &#krate::event::EventSchema,
                __payload: #krate::event::Payload<'_>,
            ) -> ::core::result::Result<::core::option::Option<Self>, #krate::__private::serde_json::Error> {
                #(#attempts)*
                ::core::result::Result::Ok(::core::option::Option::None)
            }
        }
    }

    fn encode(&self) -> TokenStream {
        let krate = self.krate;
        let arms = self.members.iter().map(|Member { cfgs, variant, .. }| {
            quote!(#(#cfgs)* Self::#variant(ref __event) => #krate::__private::encode(__event),)
        });
        quote! {
            fn encode(
                &self,
            ) -> ::core::result::Result<#krate::__private::Bytes, #krate::__private::serde_json::Error> {
                match *self { #(#arms)* }
            }
        }
    }

    /// `From` for each member.
    pub(crate) fn conversions(&self) -> impl Iterator<Item = TokenStream> {
        self.members.iter().map(|Member { cfgs, variant, event }| {
            let name = self.name;
            quote! {
                #(#cfgs)*
                #[automatically_derived]
                impl ::core::convert::From<#event> for #name {
                    fn from(__event: #event) -> Self {
                        Self::#variant(__event)
                    }
                }
            }
        })
    }
}

impl ToTokens for Set<'_> {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.event_set());
        tokens.extend(self.conversions());
    }
}
