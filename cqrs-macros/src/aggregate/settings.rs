use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Expr, Type};

use crate::shared::errors::Errors;
use crate::shared::paths::{Crate, located};

/// Snapshots, lifespan, bounds.
#[derive(Default)]
pub(crate) struct Settings {
    /// What was said about snapshots, each with its key; there should be one at most.
    pub(crate) snapshots: Vec<(Ident, Snapshots)>,
    pub(crate) snapshot_version: Option<(Ident, Expr)>,
    pub(crate) lifespan: Option<Type>,
    pub(crate) mailbox: Option<Expr>,
}

pub(crate) enum Snapshots {
    Every(Expr),
    OnPassivation,
    StateStored,
}

impl Settings {
    pub(crate) fn check(&self, errors: &mut Errors) {
        for (key, _) in self.snapshots.iter().skip(1) {
            let first = &self.snapshots[0].0;
            errors.at(key, format!("`{key}` excludes `{first}`: decide for one of them"));
        }
        if let (Some((key, _)), true) = (&self.snapshot_version, self.snapshots.is_empty()) {
            errors.at(
                key,
                "`snapshot_version` is of no use without `snapshot_every`, `snapshot_on_passivation` or `state_stored`",
            );
        }
    }

    /// The method `settings`, when something is set.
    pub(crate) fn expand(&self, krate: &Crate) -> Option<TokenStream> {
        let snapshots = self.snapshots.first().map(|(key, snapshots)| self.snapshots(krate, key, snapshots));
        let lifespan = self.lifespan.as_ref().map(|lifespan| quote!(.lifespan::<#lifespan>()));
        let mailbox = self.mailbox.as_ref().map(|mailbox| quote!(.mailbox(#mailbox)));
        let set = quote!(#snapshots #lifespan #mailbox);
        (!set.is_empty()).then(|| {
            quote! {
                fn settings() -> #krate::aggregate::AggregateSettings<Self> {
                    #krate::aggregate::AggregateSettings::new() #set
                }
            }
        })
    }

    fn snapshots(&self, krate: &Crate, key: &Ident, snapshots: &Snapshots) -> TokenStream {
        let policy = match snapshots {
            Snapshots::Every(events) => quote!(Every(#events)),
            Snapshots::OnPassivation => quote!(OnPassivation),
            Snapshots::StateStored => quote!(StateStored),
        };
        let version =
            self.snapshot_version.as_ref().map_or_else(|| quote!(1), |(_, version)| quote!(#version));
        // A state that has no JSON form is blamed on the key that asked for one.
        let span = located(key.span());
        quote_spanned!(span=> .snapshots(#krate::aggregate::SnapshotPolicy::#policy, #version))
    }
}
