use proc_macro2::TokenStream;
use syn::{File, Item, LitStr};

/// What a macro makes, as a person would write it.
pub(crate) fn pretty(expansion: &TokenStream) -> String {
    prettyplease::unparse(&parsed(expansion))
}

/// The messages of a macro, in order.
pub(crate) fn messages(expansion: &TokenStream) -> Vec<String> {
    let errors = parsed(expansion).items.into_iter().filter_map(|item| match item {
        Item::Macro(item) if item.mac.path.segments.last().unwrap().ident == "compile_error" => {
            Some(item.mac.parse_body::<LitStr>().unwrap().value())
        }
        _ => None,
    });
    errors.collect()
}

/// Checks that a macro gives these messages, and no others.
#[track_caller]
pub(crate) fn refused(expansion: &TokenStream, expected: &[&str]) {
    assert_eq!(messages(expansion), expected);
}

fn parsed(expansion: &TokenStream) -> File {
    match syn::parse2(expansion.clone()) {
        Ok(file) => file,
        Err(error) => panic!("the expansion is no Rust ({error}): {expansion}"),
    }
}
