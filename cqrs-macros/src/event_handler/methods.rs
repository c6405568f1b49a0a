use proc_macro2::Ident;
use quote::ToTokens as _;
use syn::{Attribute, GenericArgument, PathArguments, ReturnType, Type};

use crate::shared::decision::{check_generics, check_receiver, parameters};
use crate::shared::errors::Errors;
use crate::shared::impl_block::Method;
use crate::shared::names::{cfgs, is_named, key, last_segment, plain, show};

/// A method that handles an event.
pub(crate) struct Handling {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) method: Ident,
    pub(crate) event: Type,
    /// The last segment of the event's path, which names its variant.
    pub(crate) variant: Ident,
    pub(crate) takes_context: bool,
    pub(crate) is_async: bool,
    pub(crate) output: Output,
    /// Whether the method can be called; otherwise its mistakes have been noted.
    pub(crate) callable: bool,
}

/// What a handling method returns.
pub(crate) enum Output {
    Nothing,
    /// A `Result` with this error.
    Result(Type),
    /// Something whose error cannot be seen, such as an alias of `Result`.
    Opaque(Type),
}

/// The method `on_error`.
pub(crate) struct OnError {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) is_async: bool,
    pub(crate) callable: bool,
}

/// `before_reset`, as far as it can be called.
pub(crate) struct BeforeReset {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) is_async: bool,
    pub(crate) callable: bool,
}

/// Whether a method is meant to handle an event: by its name, or by what it takes.
pub(crate) fn handles(method: &Method, events: &[Type]) -> bool {
    let by_name = plain(&method.signature.ident).starts_with("on_");
    by_name
        || method.signature.receiver().is_some()
            && parameters(method).next().is_some_and(|first| {
                matches!(&*first.ty, Type::Reference(reference)
                    if events.iter().any(|event| key(event) == key(&reference.elem)))
            })
}

const WANTED: &str = "expected `&self`, the event `&E`, and if needed `context: &EventContext`";

/// Reads a method; `None` when not even its event can be told.
pub(crate) fn handling(method: &Method, errors: &mut Errors) -> Option<Handling> {
    let mut mistakes = Errors::default();
    check_self(method, &mut mistakes);
    let (event, takes_context) = arguments(method, &mut mistakes);
    let callable = mistakes.is_empty();
    errors.merge(mistakes);
    let event = event?;
    let Some(variant) = last_segment(&event).map(|segment| segment.ident.clone()) else {
        errors.at(&event, "expected the name of an event type");
        return None;
    };
    let signature = &method.signature;
    Some(Handling {
        cfgs: cfgs(&method.attrs),
        method: signature.ident.clone(),
        event,
        variant,
        takes_context,
        is_async: signature.asyncness.is_some(),
        output: output(&signature.output),
        callable,
    })
}

fn check_self(method: &Method, errors: &mut Errors) {
    check_receiver(method, "event_handler", false, errors);
    check_generics(method, "event_handler", errors);
}

fn arguments(method: &Method, errors: &mut Errors) -> (Option<Type>, bool) {
    let (mut event, mut takes_context) = (None, false);
    for parameter in parameters(method) {
        let ty = &*parameter.ty;
        let (inner, shared) = match ty {
            Type::Reference(reference) => (&*reference.elem, reference.mutability.is_none()),
            other => (other, false),
        };
        let is_context = is_named(inner, "EventContext");
        if is_context && !takes_context && event.is_some() {
            takes_context = true;
            if !shared {
                errors.at(ty, "the context is taken as `&EventContext`");
            }
        } else if event.is_none() && !is_context {
            event = Some(inner.clone());
            if !shared {
                errors.at(ty, format!("the event is taken by reference: `&{}`", show(inner)));
            }
        } else {
            errors.at(ty, format!("an unexpected parameter: {WANTED}"));
        }
    }
    if event.is_none() {
        errors.at(&method.signature.ident, format!("the method lacks the event: {WANTED}"));
    }
    (event, takes_context)
}

fn output(output: &ReturnType) -> Output {
    let ReturnType::Type(_, ty) = output else {
        return Output::Nothing;
    };
    if matches!(&**ty, Type::Tuple(tuple) if tuple.elems.is_empty()) {
        return Output::Nothing;
    }
    error_of(ty).map_or_else(|| Output::Opaque((**ty).clone()), Output::Result)
}

/// The `E` of `Result<_, E>`.
fn error_of(ty: &Type) -> Option<Type> {
    let segment = last_segment(ty).filter(|segment| segment.ident == "Result")?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    match arguments.args.iter().nth(1)? {
        GenericArgument::Type(error) => Some(error.clone()),
        _ => None,
    }
}

impl OnError {
    pub(crate) fn read(method: &Method, errors: &mut Errors) -> Self {
        const WANTED: &str =
            "expected `async fn on_error(&self, failure: &HandlerFailure<Error>) -> ErrorAction`";
        let mut mistakes = Errors::default();
        check_self(method, &mut mistakes);
        let signature = &method.signature;
        let types: Vec<_> = parameters(method).map(|parameter| &*parameter.ty).collect();
        let takes_failure = matches!(types.as_slice(), [Type::Reference(reference)]
            if reference.mutability.is_none() && is_named(&reference.elem, "HandlerFailure"));
        if !takes_failure {
            mistakes.at(&signature.inputs, WANTED);
        }
        match &signature.output {
            ReturnType::Default => mistakes.at(&signature.ident, WANTED),
            ReturnType::Type(_, ty) if !is_named(ty, "ErrorAction") => {
                mistakes.at(ty.to_token_stream(), WANTED);
            }
            ReturnType::Type(..) => {}
        }
        let callable = mistakes.is_empty();
        errors.merge(mistakes);
        Self { cfgs: cfgs(&method.attrs), is_async: signature.asyncness.is_some(), callable }
    }
}

impl BeforeReset {
    pub(crate) fn read(method: &Method, errors: &mut Errors) -> Self {
        const WANTED: &str = "expected `async fn before_reset(&self) -> Result<(), Error>`";
        let mut mistakes = Errors::default();
        check_self(method, &mut mistakes);
        let signature = &method.signature;
        if parameters(method).next().is_some() {
            mistakes.at(&signature.inputs, WANTED);
        }
        match &signature.output {
            ReturnType::Type(_, ty) if is_named(ty, "Result") => {}
            ReturnType::Type(_, ty) => mistakes.at(ty.to_token_stream(), WANTED),
            ReturnType::Default => mistakes.at(&signature.ident, WANTED),
        }
        let callable = mistakes.is_empty();
        errors.merge(mistakes);
        Self { cfgs: cfgs(&method.attrs), is_async: signature.asyncness.is_some(), callable }
    }
}
