use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::{Attribute, ReturnType, Type};

use crate::process_manager::KIND;
use crate::shared::decision::parameters;
use crate::shared::errors::Errors;
use crate::shared::handling::{Output, check_self};
use crate::shared::impl_block::Method;
use crate::shared::names::{cfgs, is_named};
use crate::shared::paths::Crate;

/// A method that is told by its name.
pub(crate) struct Hook {
    pub(crate) which: &'static Which,
    cfgs: Vec<Attribute>,
    is_async: bool,
    takes_process: bool,
    output: Output,
    callable: bool,
}

/// The methods that there are.
pub(crate) struct Which {
    pub(crate) name: &'static str,
    /// What it takes before the process: the name of the parameter, and of its type, and whether that has an argument.
    argument: Option<(&'static str, &'static str)>,
    returns: Returns,
    wanted: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum Returns {
    Result,
    Nothing,
    Action,
}

pub(crate) const HOOKS: [Which; 4] = [
    Which {
        name: "on_deadline",
        argument: Some(("name", "str")),
        returns: Returns::Result,
        wanted: "expected `async fn on_deadline(&mut self, name: &str, process: &mut Process) -> Result<(), Error>`",
    },
    Which {
        name: "on_idle",
        argument: None,
        returns: Returns::Result,
        wanted: "expected `async fn on_idle(&mut self, process: &mut Process) -> Result<(), Error>`",
    },
    Which {
        name: "after_command",
        argument: Some(("command", "SentCommand")),
        returns: Returns::Nothing,
        wanted: "expected `async fn after_command(&mut self, command: &SentCommand, process: &mut Process)`",
    },
    Which {
        name: "on_error",
        argument: Some(("failure", "ProcessFailure")),
        returns: Returns::Action,
        wanted: "expected `async fn on_error(&mut self, failure: &ProcessFailure<Error>, process: &mut Process) -> ProcessAction`",
    },
];

impl Hook {
    /// Reads a method whose name is that of a hook.
    pub(crate) fn read(method: &Method, errors: &mut Errors) -> Option<Self> {
        let which = HOOKS.iter().find(|which| method.signature.ident == which.name)?;
        let mut mistakes = Errors::default();
        check_self(method, &KIND, &mut mistakes);
        let types: Vec<_> = parameters(method).map(|parameter| &*parameter.ty).collect();
        let rest = match (which.argument, types.split_first()) {
            (None, _) => Some(types.as_slice()),
            (Some((_, name)), Some((first, rest))) if is_reference(first, name, false) => Some(rest),
            _ => None,
        };
        let takes_process = matches!(rest, Some([process]) if is_reference(process, "Process", true));
        if !takes_process && !matches!(rest, Some([])) {
            mistakes.at(&method.signature.inputs, which.wanted);
        }
        let output = Output::of(&method.signature.output);
        let is_right = match (which.returns, &method.signature.output) {
            (Returns::Result, _) => true,
            (Returns::Nothing, _) => matches!(output, Output::Nothing),
            (Returns::Action, ReturnType::Type(_, ty)) => is_named(ty, "ProcessAction"),
            (Returns::Action, ReturnType::Default) => false,
        };
        if !is_right {
            match &method.signature.output {
                ReturnType::Type(_, ty) => mistakes.at(ty.to_token_stream(), which.wanted),
                ReturnType::Default => mistakes.at(&method.signature.ident, which.wanted),
            }
        }
        let callable = mistakes.is_empty();
        errors.merge(mistakes);
        Some(Self {
            which,
            cfgs: cfgs(&method.attrs),
            is_async: method.signature.asyncness.is_some(),
            takes_process,
            output,
            callable,
        })
    }

    /// The method of the trait, which calls the user's.
    pub(crate) fn expand(&self, krate: &Crate) -> Option<TokenStream> {
        let Self { which, cfgs, is_async, takes_process, output, callable } = self;
        let name = quote::format_ident!("{}", which.name);
        let error = quote!(<Self as #krate::process_manager::ProcessManager>::Error);
        let argument_type = which.argument.map(|(_, ty)| match ty {
            "str" => quote!(&str),
            "SentCommand" => quote!(&#krate::process_manager::SentCommand),
            _ => quote!(&#krate::process_manager::ProcessFailure<#error>),
        });
        let parameter = argument_type.map(|ty| quote!(__argument: #ty,));
        let argument = which.argument.map(|_| quote!(__argument,));
        let process = takes_process.then(|| quote!(__process));
        let call = quote!(Self::#name(self, #argument #process));
        let (_, end) = output.ends(&name);
        let (returns, body) = match which.returns {
            Returns::Result => {
                (quote!(-> ::core::result::Result<(), #error>), output.convert(&call, *is_async, end))
            }
            Returns::Nothing => {
                let wait = is_async.then(|| quote!(.await));
                (TokenStream::new(), quote!(#call #wait;))
            }
            Returns::Action => {
                let wait = is_async.then(|| quote!(.await));
                (quote!(-> #krate::process_manager::ProcessAction), quote!(#call #wait))
            }
        };
        callable.then(|| {
            quote! {
                #(#cfgs)*
                async fn #name(
                    &mut self,
                    #parameter
                    __process: &mut #krate::process_manager::Process,
                ) #returns {
                    #body
                }
            }
        })
    }

    /// The error that the method names, if it does.
    pub(crate) fn error(&self) -> Option<&Type> {
        match &self.output {
            Output::Result(error) => Some(error),
            _ => None,
        }
    }
}

fn is_reference(ty: &Type, name: &str, is_mutable: bool) -> bool {
    matches!(ty, Type::Reference(reference)
        if reference.mutability.is_some() == is_mutable && is_named(&reference.elem, name))
}
