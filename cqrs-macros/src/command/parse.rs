use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::parse::ParseStream;
use syn::{
    Attribute, Data, DeriveInput, Expr, ExprLit, Fields, Generics, Index, Lit, LitStr, Member, Path, Token,
    Type,
};

use crate::command::redact::{self, JsonFields, Redact};
use crate::shared::dispatch::DispatchOptions;
use crate::shared::errors::Errors;
use crate::shared::keys::{Entry, Keys, Spec};
use crate::shared::paths::Crate;

pub(crate) struct Model {
    pub(crate) krate: Crate,
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    pub(crate) shape: Shape,
    /// The `command` of `#[command(..)]`.
    pub(crate) attribute: Option<Path>,
    /// The required keys that are there, be their values right or wrong.
    pub(crate) given: Vec<&'static str>,
    pub(crate) router: Option<Type>,
    pub(crate) aggregate: Option<Type>,
    pub(crate) identify_by: Option<IdentifyBy>,
    pub(crate) prefix: Option<Prefix>,
    pub(crate) handler: Option<Type>,
    pub(crate) name: Option<LitStr>,
    pub(crate) validate: Option<Validate>,
    pub(crate) redact: Option<Redact>,
    pub(crate) json: JsonFields,
    pub(crate) options: DispatchOptions,
}

pub(crate) enum Shape {
    Struct(Vec<Member>),
    Enum,
    Union(Token![union]),
}

pub(crate) enum IdentifyBy {
    Field(Member),
    /// An expression with `self`, and that `self`.
    Expression(Expr, Ident),
    Function(Expr),
}

pub(crate) enum Prefix {
    Text(LitStr),
    Function(Expr),
}

pub(crate) enum Validate {
    /// The method `validate`; the key, to be blamed when there is none.
    Method(Ident),
    Function(Expr),
}

pub(crate) const REQUIRED: [(&str, &str); 3] = [
    ("router", "router = YourRouter"),
    ("aggregate", "aggregate = YourAggregate"),
    ("identify_by", "identify_by = your_field"),
];

const SPEC: Spec = Spec {
    what: "command",
    separator: '=',
    keys: &[
        REQUIRED[0],
        REQUIRED[1],
        REQUIRED[2],
        ("prefix", "prefix = \"account\""),
        ("handler", "handler = YourHandler"),
        ("name", "name = \"Withdraw\""),
        ("validate", "validate = function"),
        ("redact", "redact = [your_field]"),
        ("timeout", "timeout = \"5s\""),
        ("consistency", "consistency = strong"),
        ("consistency_timeout", "consistency_timeout = \"5s\""),
        ("retry_attempts", "retry_attempts = 3"),
        ("crate", "crate = ::cqrs"),
    ],
};

pub(crate) fn model(input: &DeriveInput, errors: &mut Errors) -> Model {
    let mut model = Model {
        krate: Crate::default(),
        ident: input.ident.clone(),
        generics: input.generics.clone(),
        shape: shape(&input.data),
        attribute: attribute(&input.attrs),
        given: Vec::new(),
        router: None,
        aggregate: None,
        identify_by: None,
        prefix: None,
        handler: None,
        name: None,
        validate: None,
        redact: None,
        json: JsonFields::read(&input.attrs, &input.data),
        options: DispatchOptions::default(),
    };
    let mut keys = Keys::new(&SPEC);
    keys.read_attributes(&input.attrs, "command", errors, |entry, _| read(entry, &mut model));
    model.given = REQUIRED.map(|(key, _)| key).into_iter().filter(|key| keys.get(key).is_some()).collect();
    model
}

fn attribute(attrs: &[Attribute]) -> Option<Path> {
    attrs.iter().map(Attribute::path).find(|path| path.is_ident("command")).cloned()
}

fn read(entry: &Entry<'_>, model: &mut Model) -> syn::Result<()> {
    match entry.key.to_string().as_str() {
        "router" => model.router = Some(entry.value()?),
        "aggregate" => model.aggregate = Some(entry.value()?),
        "identify_by" => model.identify_by = Some(entry.value_with(identify_by)?),
        "prefix" => model.prefix = Some(entry.value_with(prefix)?),
        "handler" => model.handler = Some(entry.value()?),
        "name" => model.name = Some(entry.text()?),
        "validate" if entry.has_value() => model.validate = Some(Validate::Function(entry.value()?)),
        "validate" => {
            entry.flag()?;
            model.validate = Some(Validate::Method(entry.key.clone()));
        }
        "redact" if entry.has_value() => model.redact = Some(entry.value_with(redact::paths)?),
        "redact" => {
            entry.flag()?;
            model.redact = Some(Redact::All);
        }
        "crate" => model.krate = entry.krate()?,
        _ => model.options.read(entry)?,
    }
    Ok(())
}

fn identify_by(input: ParseStream<'_>) -> syn::Result<IdentifyBy> {
    const EXPECTED: &str = "expected a field such as `account_id`, an expression with `self` such as `self.account.id()`, or a function such as `Self::id`";
    let expression: Expr = input.parse()?;
    match &expression {
        Expr::Closure(_) => return Ok(IdentifyBy::Function(expression)),
        Expr::Lit(ExprLit { lit: Lit::Int(index), .. }) => {
            let index = Index { index: index.base10_parse()?, span: index.span() };
            return Ok(IdentifyBy::Field(Member::Unnamed(index)));
        }
        _ => {}
    }
    if let Some(token) = find_self(expression.to_token_stream()) {
        return Ok(IdentifyBy::Expression(expression, token));
    }
    match &expression {
        Expr::Path(path) => Ok(match path.path.get_ident() {
            Some(field) => IdentifyBy::Field(Member::Named(field.clone())),
            None => IdentifyBy::Function(expression),
        }),
        _ => Err(syn::Error::new_spanned(expression, EXPECTED)),
    }
}

/// The first `self` among the tokens.
fn find_self(tokens: TokenStream) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) if ident == "self" => Some(ident),
        TokenTree::Group(group) => find_self(group.stream()),
        _ => None,
    })
}

fn prefix(input: ParseStream<'_>) -> syn::Result<Prefix> {
    match input.parse()? {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(Prefix::Text(text)),
        function @ (Expr::Path(_) | Expr::Closure(_)) => Ok(Prefix::Function(function)),
        other => Err(syn::Error::new_spanned(
            other,
            "expected a prefix such as `\"account\"`, or a function that gives one",
        )),
    }
}

fn shape(data: &Data) -> Shape {
    match data {
        Data::Struct(data) => Shape::Struct(members(&data.fields)),
        Data::Enum(_) => Shape::Enum,
        Data::Union(data) => Shape::Union(data.union_token),
    }
}

fn members(fields: &Fields) -> Vec<Member> {
    fields.members().collect()
}
