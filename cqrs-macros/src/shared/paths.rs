use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::Path;

/// The path of the facade, which `crate = path` overrides.
#[derive(Clone, Default)]
pub(crate) struct Crate(Option<Path>);

impl Crate {
    pub(crate) fn new(path: Path) -> Self {
        Self(Some(path))
    }

    /// The path in code that is blamed on the token of this span. An expression or type reaches from its
    /// first token to its last, so that all of them have to lie there.
    pub(crate) fn at(&self, span: Span) -> TokenStream {
        let tokens = self.to_token_stream().into_iter();
        tokens
            .map(|mut token| {
                token.set_span(span);
                token
            })
            .collect()
    }
}

impl ToTokens for Crate {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match &self.0 {
            Some(path) => path.to_tokens(tokens),
            None => tokens.extend(quote!(::cqrs)),
        }
    }
}

/// The place of the user's token, with names resolved as in generated code: rustc points at the token, and
/// lints know that nobody wrote the code by hand.
pub(crate) fn located(span: Span) -> Span {
    Span::call_site().located_at(span)
}

/// The places of the first and the last token, for generated code that shall be blamed on all between.
pub(crate) fn ends(tokens: &impl ToTokens) -> (Span, Span) {
    let mut spans = tokens.to_token_stream().into_iter().map(|token| token.span());
    let first = spans.next().unwrap_or_else(Span::call_site);
    (located(first), located(spans.last().unwrap_or(first)))
}
