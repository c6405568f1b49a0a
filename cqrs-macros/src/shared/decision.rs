use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{Attribute, FnArg, GenericParam, PatType, Receiver, ReceiverKind, ReturnType, Type};

use crate::shared::errors::Errors;
use crate::shared::impl_block::Method;
use crate::shared::names::{cfgs, is_named, show};
use crate::shared::paths::{Crate, ends};

/// A method with `#[execute]`.
pub(crate) struct Decision {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) method: Ident,
    pub(crate) state: Option<Type>,
    pub(crate) command: Type,
    arguments: Vec<Argument>,
    output: ReturnType,
    is_async: bool,
    /// Whether the method can be called; otherwise its mistakes have been noted, and the impl made of it
    /// does nothing.
    callable: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Argument {
    State,
    Command,
    Emitter,
    Context,
}

/// Who decides, and what its methods take.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Place {
    Aggregate,
    CommandHandler,
}

impl Place {
    fn wanted(self) -> &'static str {
        match self {
            Self::Aggregate => {
                "expected `&self`, the command `&C`, and if needed `emitter: &mut Emitter<'_, Self>` and `context: &CommandContext`"
            }
            Self::CommandHandler => {
                "expected `&self`, the state `&A`, the command `&C`, and if needed `emitter: &mut Emitter<'_, A>` and `context: &CommandContext`"
            }
        }
    }

    fn values(self) -> &'static [Argument] {
        match self {
            Self::Aggregate => &[Argument::Command],
            Self::CommandHandler => &[Argument::State, Argument::Command],
        }
    }
}

impl Decision {
    /// Reads a method; `None` when not even its command can be told.
    pub(crate) fn read(method: &Method, place: Place, errors: &mut Errors) -> Option<Self> {
        let mut mistakes = Errors::default();
        check_receiver(method, "execute", false, &mut mistakes);
        check_generics(method, "execute", &mut mistakes);
        let signature = &method.signature;
        if let (Place::Aggregate, Some(token)) = (place, &signature.asyncness) {
            mistakes.at(
                token,
                "an aggregate decides without waiting: move what is async into a `#[cqrs::command_handler]`",
            );
        }
        let (arguments, values) = read_arguments(method, place, &mut mistakes);
        let callable = mistakes.is_empty();
        errors.merge(mistakes);
        let state = (place == Place::CommandHandler).then(|| values.first().cloned()).flatten();
        let command = values.get(place.values().len() - 1)?.clone();
        Some(Self {
            cfgs: cfgs(&method.attrs),
            method: signature.ident.clone(),
            state,
            command,
            arguments,
            output: signature.output.clone(),
            is_async: signature.asyncness.is_some(),
            callable,
        })
    }

    /// Takes the state for one of another type, whose mistake has been noted.
    pub(crate) fn correct_state(&mut self, state: &Type) {
        self.state = Some(state.clone());
        self.callable = false;
    }

    /// The body: calls the method and emits what it gives. A shape that it cannot give is blamed on its
    /// return type.
    pub(crate) fn body(&self, krate: &Crate, aggregate: &Type) -> TokenStream {
        if !self.callable {
            return quote!(::core::result::Result::Ok(()));
        }
        let method = &self.method;
        let (start, end) = match &self.output {
            ReturnType::Default => ends(method),
            ReturnType::Type(_, ty) => ends(ty),
        };
        let arguments = self.arguments.iter().map(|argument| match argument {
            Argument::State => quote!(__state),
            Argument::Command => quote!(__command),
            Argument::Emitter => quote!(__emitter),
            Argument::Context => quote!(__context),
        });
        let function = quote_spanned!(start=> Self::#method);
        let arguments = quote_spanned!(end=> (self, #(#arguments),*));
        let wait = self.is_async.then(|| quote_spanned!(end=> .await));
        let krate = krate.at(start);
        let emit = quote_spanned!(start=> #krate::aggregate::IntoEvents::<#aggregate>::emit_into);
        quote!(#emit(#function #arguments #wait, __emitter))
    }
}

/// Notes a receiver other than `&self`, or than `&mut self`.
pub(crate) fn check_receiver(method: &Method, marker: &str, mutable: bool, errors: &mut Errors) {
    let wanted = if mutable { "&mut self" } else { "&self" };
    let Some(receiver) = method.signature.receiver() else {
        errors.at(&method.signature.ident, format!("a method with `#[{marker}]` takes `{wanted}`"));
        return;
    };
    if !is_reference(receiver, mutable) {
        let found = show(receiver);
        errors.at(receiver, format!("a method with `#[{marker}]` takes `{wanted}`, not `{found}`"));
    }
}

fn is_reference(receiver: &Receiver, mutable: bool) -> bool {
    matches!(&receiver.kind, ReceiverKind::Reference(_, _, mutability) if mutability.is_some() == mutable)
}

/// Notes type parameters, which nobody could fill in.
pub(crate) fn check_generics(method: &Method, marker: &str, errors: &mut Errors) {
    for parameter in &method.signature.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            errors.at(parameter, format!("a method with `#[{marker}]` has no type parameters"));
        }
    }
}

/// The parameters behind the receiver.
pub(crate) fn parameters(method: &Method) -> impl Iterator<Item = &PatType> {
    method.signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    })
}

fn read_arguments(method: &Method, place: Place, errors: &mut Errors) -> (Vec<Argument>, Vec<Type>) {
    let (mut arguments, mut values) = (Vec::new(), Vec::new());
    for parameter in parameters(method) {
        let ty = &*parameter.ty;
        let argument = match special(ty, errors) {
            Some(argument) => argument,
            None => match place.values().get(values.len()) {
                Some(argument) => {
                    values.push(referenced(ty, *argument, errors));
                    *argument
                }
                None => {
                    errors.at(ty, format!("an unexpected parameter: {}", place.wanted()));
                    continue;
                }
            },
        };
        if arguments.contains(&argument) {
            errors.at(ty, "a parameter that is there already");
        }
        arguments.push(argument);
    }
    if values.len() < place.values().len() {
        let missing = if place == Place::CommandHandler && values.is_empty() {
            "the state and the command"
        } else {
            "the command"
        };
        errors.at(&method.signature.ident, format!("the method lacks {missing}: {}", place.wanted()));
    }
    (arguments, values)
}

/// The emitter or the context, told by its type.
fn special(ty: &Type, errors: &mut Errors) -> Option<Argument> {
    let inner = match ty {
        Type::Reference(reference) => &*reference.elem,
        other => other,
    };
    let mutable = matches!(ty, Type::Reference(reference) if reference.mutability.is_some());
    let shared = matches!(ty, Type::Reference(reference) if reference.mutability.is_none());
    if is_named(inner, "Emitter") {
        if !mutable {
            errors.at(ty, "the emitter is taken as `&mut Emitter<'_, ..>`");
        }
        return Some(Argument::Emitter);
    }
    if is_named(inner, "CommandContext") {
        if !shared {
            errors.at(ty, "the context is taken as `&CommandContext`");
        }
        return Some(Argument::Context);
    }
    None
}

/// The `C` of `&C`.
fn referenced(ty: &Type, argument: Argument, errors: &mut Errors) -> Type {
    let what = if argument == Argument::State { "state" } else { "command" };
    match ty {
        Type::Reference(reference) => {
            if let Some(token) = &reference.mutability {
                errors.at(token, format!("the {what} is taken as `&{}`", show(&reference.elem)));
            }
            (*reference.elem).clone()
        }
        other => {
            errors.at(other, format!("the {what} is taken by reference: `&{}`", show(other)));
            other.clone()
        }
    }
}

/// Drops the second of two methods for one command, and notes it.
pub(crate) fn without_duplicates(decisions: Vec<Decision>, errors: &mut Errors) -> Vec<Decision> {
    let mut kept: Vec<Decision> = Vec::with_capacity(decisions.len());
    for decision in decisions {
        let command = &decision.command;
        match kept.iter().find(|other| same_item(&other.command, &other.cfgs, command, &decision.cfgs)) {
            Some(other) => errors.at(
                command,
                format!(
                    "the command `{}` is executed twice, by `{}` and by `{}`",
                    show(command),
                    other.method,
                    decision.method
                ),
            ),
            None => kept.push(decision),
        }
    }
    kept
}

/// Whether two methods are for one type. Two that are configured differently may well be alternatives.
pub(crate) fn same_item(
    left: &Type,
    left_cfgs: &[Attribute],
    right: &Type,
    right_cfgs: &[Attribute],
) -> bool {
    let alternatives =
        (!left_cfgs.is_empty() || !right_cfgs.is_empty()) && shown(left_cfgs) != shown(right_cfgs);
    crate::shared::names::key(left) == crate::shared::names::key(right) && !alternatives
}

fn shown(cfgs: &[Attribute]) -> Vec<String> {
    cfgs.iter().map(|cfg| cfg.to_token_stream().to_string()).collect()
}
