use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Attribute, LitStr, Type};

use crate::shared::consistency::strong;
use crate::shared::errors::Errors;
use crate::shared::handling::{Handling, Kind};
use crate::shared::impl_block::ImplBlock;
use crate::shared::keys::{Entry, Keys, Spec};
use crate::shared::lists::{types, without_duplicates};
use crate::shared::names::{cfgs, check_wire_name, key, listed, plain, show};
use crate::shared::paths::Crate;
use crate::shared::set::Set;
use crate::shared::subscription::Subscription;

/// What event handlers, projections and process managers say alike of themselves.
pub(crate) struct Consumer {
    pub(crate) krate: Crate,
    pub(crate) block: ImplBlock,
    cfgs: Vec<Attribute>,
    name: Option<LitStr>,
    pub(crate) interested_in: Vec<Type>,
    pub(crate) subscription: Subscription,
    /// Whether a dispatch with strong consistency waits for it.
    pub(crate) strong: bool,
    pub(crate) error: Option<Type>,
    pub(crate) handlings: Vec<Handling>,
    /// The required keys that are not there at all.
    missing: Vec<&'static str>,
    /// Whether the list of events could be read.
    pub(crate) events_known: bool,
}

impl Consumer {
    pub(crate) fn new(block: ImplBlock) -> Self {
        Self {
            krate: Crate::default(),
            cfgs: cfgs(&block.attrs),
            block,
            name: None,
            interested_in: Vec::new(),
            subscription: Subscription::default(),
            strong: false,
            error: None,
            handlings: Vec::new(),
            missing: Vec::new(),
            events_known: false,
        }
    }

    /// Reads a key that all of them have.
    pub(crate) fn read(&mut self, entry: &Entry<'_>, errors: &mut Errors) -> syn::Result<()> {
        match entry.key.to_string().as_str() {
            "name" => self.name = Some(entry.text()?),
            "interested_in" => {
                let events = entry.value_with(types)?;
                self.interested_in = without_duplicates(events, "event", key, errors);
                self.events_known = true;
            }
            "category" => self.subscription.category = Some(entry.text()?),
            "stream" => self.subscription.stream = Some(entry.text()?),
            "consistency" => self.strong = entry.value_with(strong)?,
            "error" => self.error = Some(entry.value()?),
            _ => self.krate = entry.krate()?,
        }
        Ok(())
    }

    /// Takes note of what is not there. A set of `events` tells as well what it is interested in.
    pub(crate) fn has_seen(&mut self, seen: &Keys) {
        let is_there =
            |key: &str| seen.get(key).is_some() || key == "interested_in" && seen.get("events").is_some();
        self.missing = ["name", "interested_in"].into_iter().filter(|key| !is_there(key)).collect();
    }

    /// Notes what is wrong with its keys, or lacks.
    pub(crate) fn check(&self, spec: &Spec, kind: &Kind, errors: &mut Errors) {
        if let Some(name) = &self.name {
            check_wire_name(name, &format!("{}'s name", kind.what), errors);
        }
        self.subscription.check(errors);
        if self.missing.is_empty() {
            return;
        }
        let cure: Vec<_> = self.missing.iter().map(|key| spec.example(key)).collect();
        let (what, missing) = (spec.what, listed(&self.missing, "and"));
        let (attribute, cure) = (kind.attribute, cure.join(", "));
        errors.at(&self.block.self_ty, format!("the {what} lacks {missing}: add `#[{attribute}({cure})]`"));
    }

    /// The name under which it keeps what it keeps.
    pub(crate) fn name(&self) -> String {
        let of_type = || self.block.type_name().map_or_else(String::new, plain);
        self.name.as_ref().map_or_else(of_type, LitStr::value)
    }

    pub(crate) fn error(&self) -> TokenStream {
        self.error.as_ref().map_or_else(|| quote!(::core::convert::Infallible), |error| quote!(#error))
    }

    /// The constant, unless it is the default.
    pub(crate) fn consistency(&self) -> Option<TokenStream> {
        let krate = &self.krate;
        self.strong.then(|| {
            quote! {
                const CONSISTENCY: #krate::handler::HandlerConsistency = #krate::handler::HandlerConsistency::Strong;
            }
        })
    }

    /// The block, and behind it the impl that is made for the set of its events: `events` if they have one, or one that is
    /// declared for them.
    pub(crate) fn expand(
        &self,
        kind: &Kind,
        events: Option<&Type>,
        errors: &Errors,
        expand: impl FnOnce(&TokenStream) -> TokenStream,
    ) -> TokenStream {
        let Self { krate, block, cfgs, .. } = self;
        let name = Ident::new("__Event", Span::call_site());
        let (declaration, events) = match events {
            Some(events) => (None, quote!(#events)),
            None => {
                let members: Vec<_> = self.handlings.iter().map(Handling::member).collect();
                let set = Set { krate, name: &name, members: &members };
                let what = format!("The events of the {} `{}`.", kind.what, show(&block.self_ty));
                let (declaration, set) = (set.declaration(&what), set.event_set());
                (Some(quote!(#declaration #set)), quote!(#name))
            }
        };
        let expanded = expand(&events);
        quote! {
            #errors
            #block
            #(#cfgs)*
            const _: () = {
                #declaration
                #expanded
            };
        }
    }
}
