use proc_macro2::{Ident, TokenStream};
use syn::parse::ParseStream;
use syn::{Attribute, Generics, LitStr, Token, Type, Visibility, braced};

use crate::shared::dispatch::DispatchOptions;
use crate::shared::errors::Errors;
use crate::shared::keys::{Entry, Keys, Spec};
use crate::shared::lists::types;
use crate::shared::paths::Crate;

pub(crate) struct Model {
    pub(crate) krate: Crate,
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) struct_token: Token![struct],
    pub(crate) ident: Ident,
    pub(crate) name: Option<LitStr>,
    pub(crate) routers: Vec<Type>,
    pub(crate) event_handlers: Vec<Type>,
    pub(crate) projections: Vec<Type>,
    pub(crate) process_managers: Vec<Type>,
    pub(crate) publishers: Vec<Type>,
    pub(crate) middleware: Vec<Type>,
    pub(crate) options: DispatchOptions,
    /// Where the routers are listed.
    pub(crate) routers_key: Option<Ident>,
}

const SPEC: Spec = Spec {
    what: "application",
    separator: ':',
    keys: &[
        ("name", "name: \"bank\""),
        ("routers", "routers: [BankRouter]"),
        ("event_handlers", "event_handlers: [WelcomeEmail]"),
        ("projections", "projections: [Balances]"),
        ("process_managers", "process_managers: [MoneyTransfer]"),
        ("publishers", "publishers: [Broker]"),
        ("middleware", "middleware: [RequestId]"),
        ("timeout", "timeout: \"5s\""),
        ("consistency", "consistency: strong"),
        ("consistency_timeout", "consistency_timeout: \"5s\""),
        ("retry_attempts", "retry_attempts: 3"),
        ("crate", "crate: ::cqrs"),
    ],
};

pub(crate) fn model(input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Model> {
    let attrs = input.call(Attribute::parse_outer)?;
    let visibility = input.parse()?;
    if !input.peek(Token![struct]) {
        return Err(
            input.error("expected `struct`: an application is written `pub struct Bank { routers: [..] }`")
        );
    }
    let struct_token = input.parse()?;
    let ident = input.parse()?;
    let generics: Generics = input.parse()?;
    if !generics.params.is_empty() {
        errors.at(&generics, "an application has no generics");
    }
    let mut model = Model {
        krate: Crate::default(),
        attrs,
        visibility,
        struct_token,
        ident,
        name: None,
        routers: Vec::new(),
        event_handlers: Vec::new(),
        projections: Vec::new(),
        process_managers: Vec::new(),
        publishers: Vec::new(),
        middleware: Vec::new(),
        options: DispatchOptions::default(),
        routers_key: None,
    };
    let content;
    braced!(content in input);
    let mut keys = Keys::new(&SPEC);
    keys.read(&content, errors, |entry, _| read(entry, &mut model));
    model.routers_key = keys.get("routers").cloned();
    if !input.is_empty() {
        errors.push(input.error("unexpected: `application!` declares one application"));
        input.parse::<TokenStream>()?;
    }
    Ok(model)
}

fn read(entry: &Entry<'_>, model: &mut Model) -> syn::Result<()> {
    match entry.key.to_string().as_str() {
        "name" => model.name = Some(entry.text()?),
        "routers" => model.routers = entry.value_with(types)?,
        "event_handlers" => model.event_handlers = entry.value_with(types)?,
        "projections" => model.projections = entry.value_with(types)?,
        "process_managers" => model.process_managers = entry.value_with(types)?,
        "publishers" => model.publishers = entry.value_with(types)?,
        "middleware" => model.middleware = entry.value_with(types)?,
        "crate" => model.krate = entry.krate()?,
        _ => model.options.read(entry)?,
    }
    Ok(())
}
