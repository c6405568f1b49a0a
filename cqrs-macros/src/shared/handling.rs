use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, GenericArgument, PathArguments, ReturnType, Type};

use crate::shared::decision::{check_generics, check_receiver, parameters, same_item};
use crate::shared::errors::Errors;
use crate::shared::impl_block::Method;
use crate::shared::names::{cfgs, is_named, key, last_segment, plain, show};
use crate::shared::paths::{ends, located};
use crate::shared::set::Member;

/// Whose methods handle events, and what they take.
pub(crate) struct Kind {
    /// The attribute on the block.
    pub(crate) attribute: &'static str,
    /// What messages call it.
    pub(crate) what: &'static str,
    /// The type of the context.
    pub(crate) context: &'static str,
    /// What a method may take `&mut` of beside the event: the variable that has it.
    pub(crate) beside: Option<&'static str>,
    /// The key by which it may take that, if it lacks.
    pub(crate) undeclared: Option<&'static str>,
    /// Whether a method takes `&mut self` and `&mut` of the context, not `&` of both.
    pub(crate) is_mutable: bool,
    /// What the parameters should be.
    pub(crate) wanted: &'static str,
    /// What a method takes behind the event, for a cure.
    pub(crate) behind_event: &'static str,
}

/// A method that handles an event.
pub(crate) struct Handling {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) method: Ident,
    pub(crate) event: Type,
    /// The last segment of the event's path, which names its variant.
    pub(crate) variant: Ident,
    /// What it takes, in this order, and where each of that stands.
    arguments: Vec<(Argument, Span)>,
    is_async: bool,
    output: Output,
    /// Whether the method can be called; otherwise its mistakes have been noted.
    pub(crate) callable: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Argument {
    Event,
    Context,
    Beside(&'static str),
}

/// What a handling method returns.
pub(crate) enum Output {
    Nothing,
    /// A `Result` with this error.
    Result(Type),
    /// Something whose error cannot be seen, such as an alias of `Result`.
    Opaque(Type),
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

impl Handling {
    /// Reads a method; `None` when not even its event can be told.
    pub(crate) fn read(method: &Method, kind: &Kind, errors: &mut Errors) -> Option<Self> {
        let mut mistakes = Errors::default();
        check_self(method, kind, &mut mistakes);
        let (event, arguments) = arguments(method, kind, &mut mistakes);
        let callable = mistakes.is_empty();
        errors.merge(mistakes);
        let event = event?;
        let Some(variant) = last_segment(&event).map(|segment| segment.ident.clone()) else {
            errors.at(&event, "expected the name of an event type");
            return None;
        };
        let signature = &method.signature;
        Some(Self {
            cfgs: cfgs(&method.attrs),
            method: signature.ident.clone(),
            event,
            variant,
            arguments,
            is_async: signature.asyncness.is_some(),
            output: Output::of(&signature.output),
            callable,
        })
    }

    /// The event as a member of the set of all that are handled.
    pub(crate) fn member(&self) -> Member {
        Member { cfgs: self.cfgs.clone(), variant: self.variant.clone(), event: self.event.clone() }
    }

    /// Calls the method with `__event`, `__context` and what is beside them, and makes a `Result` of what it returns.
    pub(crate) fn call(&self) -> TokenStream {
        let method = &self.method;
        let (start, end) = self.output.ends(method);
        let arguments = self.arguments.iter().map(|(argument, span)| match argument {
            Argument::Event => quote_spanned!(end=> __event),
            Argument::Context => quote_spanned!(end=> __context),
            // Its type is the user's choice, so that the user is told if it is not the one wanted.
            Argument::Beside(variable) => Ident::new(variable, *span).into_token_stream(),
        });
        let function = quote_spanned!(start=> Self::#method);
        let arguments = quote_spanned!(end=> (self, #(#arguments),*));
        self.output.convert(&quote!(#function #arguments), self.is_async, end)
    }
}

/// Notes a receiver other than the one wanted, and type parameters.
pub(crate) fn check_self(method: &Method, kind: &Kind, errors: &mut Errors) {
    check_receiver(method, kind.attribute, kind.is_mutable, errors);
    check_generics(method, kind.attribute, errors);
}

fn arguments(method: &Method, kind: &Kind, errors: &mut Errors) -> (Option<Type>, Vec<(Argument, Span)>) {
    let (mut event, mut arguments) = (None, Vec::new());
    let has = |arguments: &[(Argument, Span)], argument| arguments.iter().any(|(one, _)| *one == argument);
    for parameter in parameters(method) {
        let ty = &*parameter.ty;
        let (inner, shared) = match ty {
            Type::Reference(reference) => (&*reference.elem, reference.mutability.is_none()),
            other => (other, false),
        };
        let is_context = is_named(inner, kind.context);
        let is_mutable = !is_context && matches!(ty, Type::Reference(_)) && !shared;
        let beside = kind.beside.map(Argument::Beside).filter(|_| is_mutable);
        if is_context && !has(&arguments, Argument::Context) && event.is_some() {
            arguments.push((Argument::Context, located(ty.span())));
            if shared == kind.is_mutable {
                let wanted = if kind.is_mutable { "&mut " } else { "&" };
                errors.at(ty, format!("the context is taken as `{wanted}{}`", kind.context));
            }
        } else if let Some(beside) = beside.filter(|beside| event.is_some() && !has(&arguments, *beside)) {
            arguments.push((beside, located(ty.span())));
        } else if event.is_none() && !is_context {
            event = Some(inner.clone());
            arguments.push((Argument::Event, located(ty.span())));
            if !shared {
                errors.at(ty, format!("the event is taken by reference: `&{}`", show(inner)));
            }
        } else if let Some(key) = kind.undeclared.filter(|_| is_mutable && event.is_some()) {
            let name = show(inner);
            errors
                .at(ty, format!("an unexpected parameter: to keep it between events, add `{key} = {name}`"));
        } else {
            errors.at(ty, format!("an unexpected parameter: {}", kind.wanted));
        }
    }
    if event.is_none() {
        errors.at(&method.signature.ident, format!("the method lacks the event: {}", kind.wanted));
    }
    (event, arguments)
}

impl Output {
    pub(crate) fn of(output: &ReturnType) -> Self {
        let ReturnType::Type(_, ty) = output else {
            return Self::Nothing;
        };
        if matches!(&**ty, Type::Tuple(tuple) if tuple.elems.is_empty()) {
            return Self::Nothing;
        }
        error_of(ty).map_or_else(|| Self::Opaque((**ty).clone()), Self::Result)
    }

    /// The places on which a call of the method is blamed.
    pub(crate) fn ends(&self, method: &Ident) -> (Span, Span) {
        match self {
            Self::Nothing => ends(method),
            Self::Result(ty) | Self::Opaque(ty) => ends(ty),
        }
    }

    /// The call of a method that returns this, as a `Result` with the error of the impl.
    pub(crate) fn convert(&self, call: &TokenStream, is_async: bool, end: Span) -> TokenStream {
        let wait = is_async.then(|| quote_spanned!(end=> .await));
        match self {
            Self::Nothing => quote!(#call #wait; ::core::result::Result::Ok(())),
            Self::Result(_) | Self::Opaque(_) => {
                let convert = quote_spanned!(end=> .map_err(::core::convert::Into::into));
                quote!(#call #wait #convert)
            }
        }
    }
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

/// Compares the list of events with the methods, both ways.
pub(crate) fn check_events(events: &[Type], handlings: &[Handling], kind: &Kind, errors: &mut Errors) {
    for event in events {
        if !handlings.iter().any(|handling| key(&handling.event) == key(event)) {
            let name = show(event);
            errors.at(
                event,
                format!(
                    "no method handles `{name}`: add `{}async fn {}(&{}self, event: &{name}, {})`",
                    if kind.is_mutable { "#[on(start, by = id)] " } else { "" },
                    method_name(event),
                    if kind.is_mutable { "mut " } else { "" },
                    kind.behind_event
                ),
            );
        }
    }
    for handling in handlings {
        if !events.iter().any(|event| key(event) == key(&handling.event)) {
            let event = &handling.event;
            errors.at(
                event,
                format!(
                    "`{}` handles `{name}`, which is not listed: add `{name}` to `interested_in`",
                    handling.method,
                    name = show(event)
                ),
            );
        }
    }
}

/// `on_account_opened` for `AccountOpened`.
fn method_name(event: &Type) -> String {
    let name = last_segment(event).map_or_else(String::new, |segment| plain(&segment.ident));
    let mut method = "on".to_owned();
    for (index, character) in name.char_indices() {
        if character.is_uppercase() || index == 0 {
            method.push('_');
        }
        method.extend(character.to_lowercase());
    }
    method
}

/// Drops the second of two methods for one event, and notes it.
pub(crate) fn distinct(handlings: Vec<Handling>, errors: &mut Errors) -> Vec<Handling> {
    let mut kept: Vec<Handling> = Vec::with_capacity(handlings.len());
    for handling in handlings {
        if !is_repeated(&kept, &handling, errors) {
            kept.push(handling);
        }
    }
    kept
}

/// Whether there is a method for the same event; notes it.
pub(crate) fn is_repeated(kept: &[Handling], handling: &Handling, errors: &mut Errors) -> bool {
    let event = &handling.event;
    let first = kept.iter().find(|other| same_item(&other.event, &other.cfgs, event, &handling.cfgs));
    if let Some(first) = first {
        errors.at(
            event,
            format!(
                "the event `{}` is handled twice, by `{}` and by `{}`",
                show(event),
                first.method,
                handling.method
            ),
        );
    }
    first.is_some()
}

/// The error that all methods name. Those that differ are not called, for their mistake has been noted.
pub(crate) fn agreed_error(handlings: &mut [Handling], kind: &Kind, errors: &mut Errors) -> Option<Type> {
    let what = kind.what;
    let mut agreed: Option<Type> = None;
    for handling in handlings {
        match (&handling.output, &agreed) {
            (Output::Nothing, _) => {}
            (Output::Opaque(ty), _) => {
                errors.at(ty, format!("the {what}'s error cannot be seen here: return `Result<(), Error>`, or name it with `error = Error`"));
                handling.callable = false;
            }
            (Output::Result(error), None) => agreed = Some(error.clone()),
            (Output::Result(error), Some(first)) if show(first) == show(error) => {}
            (Output::Result(error), Some(first)) => {
                let (first, second) = (show(first), show(error));
                errors.at(
                    error,
                    format!("the methods differ in their errors, `{first}` and `{second}`: name the {what}'s with `error = ..`, made from both by `From`"),
                );
                handling.callable = false;
            }
        }
    }
    agreed
}
