use proc_macro2::TokenStream;
use syn::{Attribute, Type};

use crate::shared::decision::{Decision, Place};
use crate::shared::errors::Errors;
use crate::shared::impl_block::{ImplBlock, Part};
use crate::shared::keys::{Keys, Spec};
use crate::shared::names::cfgs;
use crate::shared::paths::Crate;

pub(crate) struct Model {
    pub(crate) krate: Crate,
    pub(crate) block: ImplBlock,
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) aggregate: Option<Type>,
    pub(crate) decisions: Vec<Decision>,
    /// Whether a method has the marker, be it right or wrong.
    pub(crate) marked: bool,
}

pub(crate) const MARKERS: [&str; 1] = ["execute"];

const SPEC: Spec = Spec {
    what: "command handler",
    separator: '=',
    keys: &[("aggregate", "aggregate = YourAggregate"), ("crate", "crate = ::cqrs")],
};

pub(crate) fn model(keys: TokenStream, block: ImplBlock, errors: &mut Errors) -> Model {
    let mut model = Model {
        krate: Crate::default(),
        cfgs: cfgs(&block.attrs),
        block,
        aggregate: None,
        decisions: Vec::new(),
        marked: false,
    };
    Keys::read_all(&SPEC, keys, errors, |entry, _| {
        match entry.key.to_string().as_str() {
            "aggregate" => model.aggregate = Some(entry.value()?),
            _ => model.krate = entry.krate()?,
        }
        Ok(())
    });
    for part in &mut model.block.parts {
        let Part::Method(method) = part else { continue };
        if !method.take_markers(&MARKERS, errors).is_empty() {
            model.marked = true;
            model.decisions.extend(Decision::read(method, Place::CommandHandler, errors));
        }
    }
    model
}
