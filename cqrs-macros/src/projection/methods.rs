use proc_macro2::{Ident, Span};
use syn::spanned::Spanned;
use syn::{Attribute, ReturnType, Type};

use crate::projection::KIND;
use crate::shared::decision::parameters;
use crate::shared::errors::Errors;
use crate::shared::handling::{Output, check_self};
use crate::shared::impl_block::Method;
use crate::shared::names::cfgs;
use crate::shared::paths::located;

/// The method `rows`.
pub(crate) struct Rows {
    pub(crate) cfgs: Vec<Attribute>,
    /// Where the rows lie.
    pub(crate) ty: Type,
}

impl Rows {
    /// Reads the method; `None` when it does not tell where the rows lie.
    pub(crate) fn read(method: &Method, errors: &mut Errors) -> Option<Self> {
        const WANTED: &str = "expected `fn rows(&self) -> &Rows`, with the type of what holds the rows, such as `&MemoryRows<String, u64>` or `&PostgresRows`";
        let mut mistakes = Errors::default();
        check_self(method, &KIND, &mut mistakes);
        let signature = &method.signature;
        if let Some(token) = &signature.asyncness {
            mistakes.at(token, WANTED);
        }
        if parameters(method).next().is_some() {
            mistakes.at(&signature.inputs, WANTED);
        }
        let ty = match &signature.output {
            ReturnType::Type(_, ty) => match &**ty {
                Type::Reference(reference) if reference.mutability.is_none() => {
                    Some((*reference.elem).clone())
                }
                other => {
                    mistakes.at(other, WANTED);
                    None
                }
            },
            ReturnType::Default => {
                mistakes.at(&signature.ident, WANTED);
                None
            }
        };
        let callable = mistakes.is_empty();
        errors.merge(mistakes);
        Some(Self { cfgs: cfgs(&method.attrs), ty: ty.filter(|_| callable)? })
    }
}

/// A method that is given the rows: `create`, or `on_batch`.
pub(crate) struct Given {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) method: Ident,
    /// Where the type of the rows stands.
    pub(crate) rows: Span,
    pub(crate) is_async: bool,
    pub(crate) output: Output,
    /// Whether the method can be called; otherwise its mistakes have been noted.
    pub(crate) callable: bool,
}

impl Given {
    pub(crate) fn create(method: &Method, errors: &mut Errors) -> Self {
        Self::read(
            method,
            &[Parameter::Rows],
            "expected `async fn create(&self, rows: &mut ..) -> Result<(), Error>`",
            errors,
        )
    }

    pub(crate) fn on_batch(method: &Method, errors: &mut Errors) -> Self {
        Self::read(
            method,
            &[Parameter::Events, Parameter::Rows],
            "expected `async fn on_batch(&self, events: &[Projected<Events>], rows: &mut ..) -> Result<(), Error>`",
            errors,
        )
    }

    fn read(method: &Method, wanted: &[Parameter], text: &str, errors: &mut Errors) -> Self {
        let mut mistakes = Errors::default();
        check_self(method, &KIND, &mut mistakes);
        let signature = &method.signature;
        let types: Vec<_> = parameters(method).map(|parameter| &*parameter.ty).collect();
        let fits =
            types.len() == wanted.len() && types.iter().zip(wanted).all(|(ty, wanted)| wanted.fits(ty));
        if !fits {
            mistakes.at(&signature.inputs, text);
        }
        let callable = mistakes.is_empty();
        errors.merge(mistakes);
        let rows = types.last().map_or_else(|| signature.ident.span(), Spanned::span);
        Self {
            cfgs: cfgs(&method.attrs),
            method: signature.ident.clone(),
            rows: located(rows),
            is_async: signature.asyncness.is_some(),
            output: Output::of(&signature.output),
            callable,
        }
    }
}

enum Parameter {
    /// `&[..]`.
    Events,
    /// `&mut ..`.
    Rows,
}

impl Parameter {
    fn fits(&self, ty: &Type) -> bool {
        let Type::Reference(reference) = ty else { return false };
        match self {
            Self::Events => reference.mutability.is_none() && matches!(&*reference.elem, Type::Slice(_)),
            Self::Rows => reference.mutability.is_some(),
        }
    }
}
