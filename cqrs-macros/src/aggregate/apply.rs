use proc_macro2::Ident;
use syn::{Attribute, ReturnType, Type};

use crate::shared::decision::{check_generics, check_receiver, parameters};
use crate::shared::errors::Errors;
use crate::shared::impl_block::Method;
use crate::shared::names::{cfgs, is_named, last_segment, show};

/// A method with `#[apply]`.
pub(crate) struct Apply {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) method: Ident,
    pub(crate) event: Type,
    /// The last segment of the event's path, which names its variant.
    pub(crate) variant: Ident,
    /// Whether the method can be called; otherwise its mistakes have been noted.
    pub(crate) callable: bool,
}

impl Apply {
    /// Reads a method; `None` when not even its event can be told.
    pub(crate) fn read(method: &Method, errors: &mut Errors) -> Option<Self> {
        let mut mistakes = Errors::default();
        check_receiver(method, "apply", true, &mut mistakes);
        check_generics(method, "apply", &mut mistakes);
        let signature = &method.signature;
        if let Some(token) = &signature.asyncness {
            mistakes.at(token, "a method with `#[apply]` is not async: it only changes the state");
        }
        if let ReturnType::Type(_, ty) = &signature.output {
            mistakes.at(
                ty,
                "a method with `#[apply]` returns nothing: what happened cannot be refused, so check in `#[execute]`",
            );
        }
        let event = event(method, &mut mistakes);
        let callable = mistakes.is_empty();
        errors.merge(mistakes);
        let event = event?;
        let Some(variant) = last_segment(&event).map(|segment| segment.ident.clone()) else {
            errors.at(&event, "expected the name of an event type");
            return None;
        };
        Some(Self { cfgs: cfgs(&method.attrs), method: signature.ident.clone(), event, variant, callable })
    }
}

const WANTED: &str = "a method with `#[apply]` takes `&mut self` and the event `&E`";

fn event(method: &Method, errors: &mut Errors) -> Option<Type> {
    let mut parameters = parameters(method);
    let Some(first) = parameters.next() else {
        errors.at(&method.signature.ident, format!("the method lacks the event: {WANTED}"));
        return None;
    };
    for more in parameters {
        errors.at(more, format!("an unexpected parameter: {WANTED}"));
    }
    match &*first.ty {
        Type::Reference(reference) => {
            if let Some(token) = &reference.mutability {
                errors.at(token, format!("the event is taken as `&{}`", show(&reference.elem)));
            }
            Some((*reference.elem).clone())
        }
        other => {
            errors.at(other, format!("the event is taken by reference: `&{}`", show(other)));
            Some(other.clone())
        }
    }
}

/// The method with `#[before_execute]`.
pub(crate) struct BeforeExecute {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) method: Ident,
    pub(crate) callable: bool,
}

impl BeforeExecute {
    pub(crate) fn read(method: &Method, errors: &mut Errors) -> Self {
        let mut mistakes = Errors::default();
        check_receiver(method, "before_execute", false, &mut mistakes);
        check_generics(method, "before_execute", &mut mistakes);
        let signature = &method.signature;
        let takes_context = {
            let types: Vec<_> = parameters(method).map(|parameter| &*parameter.ty).collect();
            matches!(types.as_slice(), [Type::Reference(reference)]
                if reference.mutability.is_none() && is_named(&reference.elem, "CommandContext"))
        };
        if !takes_context {
            mistakes.at(
                &signature.inputs,
                "a method with `#[before_execute]` takes `&self` and `context: &CommandContext`",
            );
        }
        if let Some(token) = &signature.asyncness {
            mistakes.at(token, "a method with `#[before_execute]` is not async");
        }
        if matches!(signature.output, ReturnType::Default) {
            mistakes.at(
                &signature.ident,
                "a method with `#[before_execute]` returns `Result<(), Error>` with the aggregate's error",
            );
        }
        let callable = mistakes.is_empty();
        errors.merge(mistakes);
        Self { cfgs: cfgs(&method.attrs), method: signature.ident.clone(), callable }
    }
}
