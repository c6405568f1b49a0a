use quote::ToTokens as _;
use syn::{Attribute, ReturnType};

use crate::event_handler::KIND;
use crate::shared::decision::parameters;
use crate::shared::errors::Errors;
use crate::shared::handling::check_self;
use crate::shared::impl_block::Method;
use crate::shared::names::{cfgs, is_named};

/// `before_reset`, as far as it can be called.
pub(crate) struct BeforeReset {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) is_async: bool,
    pub(crate) callable: bool,
}

impl BeforeReset {
    pub(crate) fn read(method: &Method, errors: &mut Errors) -> Self {
        const WANTED: &str = "expected `async fn before_reset(&self) -> Result<(), Error>`";
        let mut mistakes = Errors::default();
        check_self(method, &KIND, &mut mistakes);
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
