use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, Field, Fields, Type, Variant};

use crate::shared::case::Case;
use crate::shared::names::{is_named, plain, show};
use crate::shared::paths::Crate;
use crate::shared::serde_keys::SerdeKeys;

/// What serde makes of the type, as far as its attributes tell.
pub(crate) struct Payload {
    shape: Shape,
    fields: Vec<PayloadField>,
    variants: Vec<PayloadVariant>,
}

#[derive(Clone)]
enum Shape {
    Unit,
    Struct,
    Tuple,
    Newtype,
    Enum,
    Tagged(String),
    Adjacent(String, String),
    Untagged,
    As(String),
}

struct PayloadField {
    name: String,
    ty: String,
    aliases: Vec<String>,
    optional: bool,
    flattened: bool,
    with: String,
}

struct PayloadVariant {
    name: String,
    aliases: Vec<String>,
    shape: Shape,
    fields: Vec<PayloadField>,
}

/// What the type says for all fields.
struct Defaults {
    case: Option<Case>,
    optional: bool,
}

impl Payload {
    pub(crate) fn read(attrs: &[Attribute], data: &Data) -> Self {
        let keys = SerdeKeys::read(attrs);
        let other = ["from", "try_from", "into"].into_iter().find_map(|key| keys.text(key));
        if let Some(other) = other {
            return Self { shape: Shape::As(other.to_owned()), fields: Vec::new(), variants: Vec::new() };
        }
        match data {
            Data::Struct(data) => {
                let defaults = Defaults { case: keys.case("rename_all"), optional: keys.has("default") };
                let mut fields = fields(&data.fields, &defaults);
                let mut shape = shape(&data.fields);
                if keys.has("transparent") {
                    shape = Shape::Newtype;
                    fields.iter_mut().for_each(|field| field.name = "0".to_owned());
                }
                Self { shape, fields, variants: Vec::new() }
            }
            Data::Enum(data) => Self {
                shape: tagging(&keys),
                fields: Vec::new(),
                variants: data.variants.iter().filter_map(|variant| read_variant(variant, &keys)).collect(),
            },
            Data::Union(_) => Self { shape: Shape::Unit, fields: Vec::new(), variants: Vec::new() },
        }
    }

    /// The calls that say it in the schema.
    pub(crate) fn expand(&self, krate: &Crate) -> TokenStream {
        let shape = self.shape.expand(krate);
        let fields = (!self.fields.is_empty()).then(|| {
            let fields = expand_fields(&self.fields, krate);
            quote!(.fields(#fields))
        });
        let variants = self.variants.iter().map(|variant| variant.expand(krate));
        let variants = (!self.variants.is_empty()).then(|| quote!(.variants(const { &[#(#variants),*] })));
        quote!(.shape(#shape) #fields #variants)
    }
}

fn shape(fields: &Fields) -> Shape {
    match fields {
        Fields::Named(_) => Shape::Struct,
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Shape::Newtype,
        Fields::Unnamed(_) => Shape::Tuple,
        Fields::Unit => Shape::Unit,
    }
}

fn tagging(keys: &SerdeKeys) -> Shape {
    match (keys.text("tag"), keys.text("content")) {
        (Some(tag), Some(content)) => Shape::Adjacent(tag.to_owned(), content.to_owned()),
        (Some(tag), None) => Shape::Tagged(tag.to_owned()),
        _ if keys.has("untagged") => Shape::Untagged,
        _ => Shape::Enum,
    }
}

fn read_variant(variant: &Variant, of_enum: &SerdeKeys) -> Option<PayloadVariant> {
    let keys = SerdeKeys::read(&variant.attrs);
    if is_skipped(&keys) {
        return None;
    }
    let name = match keys.written("rename") {
        Some(name) => name.to_owned(),
        None => {
            let name = plain(&variant.ident);
            of_enum.case("rename_all").map_or(name.clone(), |case| case.of_variant(&name))
        }
    };
    let case = keys.case("rename_all").or_else(|| of_enum.case("rename_all_fields"));
    let aliases = aliases(&keys, &name);
    let fields = fields(&variant.fields, &Defaults { case, optional: false });
    Some(PayloadVariant { name, aliases, shape: shape(&variant.fields), fields })
}

fn fields(fields: &Fields, defaults: &Defaults) -> Vec<PayloadField> {
    let stored = fields.iter().map(|field| (field, SerdeKeys::read(&field.attrs)));
    let stored = stored.filter(|(_, keys)| !is_skipped(keys));
    stored.enumerate().map(|(index, (field, keys))| read_field(field, index, &keys, defaults)).collect()
}

fn read_field(field: &Field, index: usize, keys: &SerdeKeys, defaults: &Defaults) -> PayloadField {
    let name = keys.name_of(field.ident.as_ref(), index, defaults.case);
    let with: Vec<_> =
        ["with", "serialize_with", "deserialize_with"].into_iter().filter_map(|key| keys.text(key)).collect();
    let flattened = keys.has("flatten");
    let optional = defaults.optional
        || keys.has("default")
        || keys.has("skip_deserializing")
        || (field.ident.is_some() && may_lack(&field.ty, flattened) && with.is_empty());
    let (ty, aliases, with) = (show(&field.ty), aliases(keys, &name), with.join(", "));
    PayloadField { name, ty, aliases, optional, flattened, with }
}

/// Whether serde reads the type where nothing is written.
fn may_lack(ty: &Type, flattened: bool) -> bool {
    let collects_the_rest = ["HashMap", "BTreeMap", "Map", "Value"];
    is_named(ty, "Option") || (flattened && collects_the_rest.iter().any(|name| is_named(ty, name)))
}

/// Other names under which it is read, that of `rename(deserialize = ..)` among them.
fn aliases(keys: &SerdeKeys, name: &str) -> Vec<String> {
    let read = keys.texts("alias").chain(keys.texts("rename.deserialize"));
    read.filter(|alias| *alias != name).map(str::to_owned).collect()
}

fn is_skipped(keys: &SerdeKeys) -> bool {
    keys.has("skip") || (keys.has("skip_serializing") && keys.has("skip_deserializing"))
}

impl Shape {
    fn expand(&self, krate: &Crate) -> TokenStream {
        let shape = match self {
            Self::Unit => quote!(Unit),
            Self::Struct => quote!(Struct),
            Self::Tuple => quote!(Tuple),
            Self::Newtype => quote!(Newtype),
            Self::Enum => quote!(Enum),
            Self::Tagged(tag) => quote!(Tagged { tag: #tag }),
            Self::Adjacent(tag, content) => quote!(Adjacent { tag: #tag, content: #content }),
            Self::Untagged => quote!(Untagged),
            Self::As(ty) => quote!(As { ty: #ty }),
        };
        quote!(#krate::event::EventShape::#shape)
    }
}

impl PayloadVariant {
    fn expand(&self, krate: &Crate) -> TokenStream {
        let Self { name, shape, fields, .. } = self;
        let (shape, fields) = (shape.expand(krate), expand_fields(fields, krate));
        let aliases = expand_aliases(&self.aliases);
        quote!(#krate::event::EventVariant::new(#name, #shape, #fields) #aliases)
    }
}

fn expand_fields(fields: &[PayloadField], krate: &Crate) -> TokenStream {
    let fields = fields.iter().map(|field| {
        let PayloadField { name, ty, with, .. } = field;
        let aliases = expand_aliases(&field.aliases);
        let optional = field.optional.then(|| quote!(.optional()));
        let flattened = field.flattened.then(|| quote!(.flattened()));
        let with = (!with.is_empty()).then(|| quote!(.with(#with)));
        quote!(#krate::event::EventField::new(#name, #ty) #aliases #optional #flattened #with)
    });
    quote!(const { &[#(#fields),*] })
}

fn expand_aliases(aliases: &[String]) -> Option<TokenStream> {
    (!aliases.is_empty()).then(|| quote!(.aliases(&[#(#aliases),*])))
}
