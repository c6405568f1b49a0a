use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Lit, LitStr, Token, bracketed, token};

use crate::shared::duration::duration;
use crate::shared::keys::Entry;
use crate::shared::paths::Crate;

/// The options of dispatch that commands, routers and applications set.
#[derive(Default)]
pub(crate) struct DispatchOptions {
    timeout: Option<Timeout>,
    consistency: Option<Consistency>,
    consistency_timeout: Option<TokenStream>,
    retry_attempts: Option<Expr>,
}

enum Timeout {
    After(TokenStream),
    Never,
}

enum Consistency {
    Strong,
    Eventual,
    Handlers(Vec<LitStr>),
}

impl DispatchOptions {
    /// Reads the value of one of the four keys.
    pub(crate) fn read(&mut self, entry: &Entry<'_>) -> syn::Result<()> {
        match entry.key.to_string().as_str() {
            "timeout" => self.timeout = Some(entry.value_with(timeout)?),
            "consistency" => self.consistency = Some(entry.value_with(consistency)?),
            "consistency_timeout" => self.consistency_timeout = Some(duration(entry.value()?)?),
            _ => self.retry_attempts = Some(entry.value_with(count)?),
        }
        Ok(())
    }

    /// The value of type `DispatchDefaults`, when something is set.
    pub(crate) fn expand(&self, krate: &Crate) -> Option<TokenStream> {
        let timeout = self.timeout.as_ref().map(|timeout| match timeout {
            Timeout::After(duration) => quote!(.timeout(#duration)),
            Timeout::Never => quote!(.no_timeout()),
        });
        let consistency = self.consistency.as_ref().map(|consistency| {
            let consistency = consistency.expand(krate);
            quote!(.consistency(#consistency))
        });
        let consistency_timeout =
            self.consistency_timeout.as_ref().map(|limit| quote!(.consistency_timeout(#limit)));
        let retry_attempts = self.retry_attempts.as_ref().map(|count| quote!(.retry_attempts(#count)));
        let set = quote!(#timeout #consistency #consistency_timeout #retry_attempts);
        (!set.is_empty()).then(|| quote!(#krate::dispatch::DispatchDefaults::new() #set))
    }
}

impl Consistency {
    fn expand(&self, krate: &Crate) -> TokenStream {
        match self {
            Self::Strong => quote!(#krate::dispatch::Consistency::Strong),
            Self::Eventual => quote!(#krate::dispatch::Consistency::Eventual),
            Self::Handlers(names) => quote! {
                #krate::dispatch::Consistency::Handlers(
                    ::core::convert::From::from([#(::std::borrow::Cow::Borrowed(#names)),*])
                )
            },
        }
    }
}

fn timeout(input: ParseStream<'_>) -> syn::Result<Timeout> {
    let expression: Expr = input.parse()?;
    if matches!(&expression, Expr::Path(path) if path.path.is_ident("never")) {
        return Ok(Timeout::Never);
    }
    duration(expression).map(Timeout::After)
}

fn consistency(input: ParseStream<'_>) -> syn::Result<Consistency> {
    const EXPECTED: &str =
        "expected `strong`, `eventual`, or a list of handler names such as `[\"balances\"]`";
    if input.peek(token::Bracket) {
        let content;
        bracketed!(content in input);
        let names = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?;
        return Ok(Consistency::Handlers(names.into_iter().collect()));
    }
    let word: Ident = input.parse().map_err(|error: syn::Error| syn::Error::new(error.span(), EXPECTED))?;
    match word.to_string().as_str() {
        "strong" => Ok(Consistency::Strong),
        "eventual" => Ok(Consistency::Eventual),
        _ => Err(syn::Error::new_spanned(word, EXPECTED)),
    }
}

/// A whole number, or an expression that gives one.
pub(crate) fn count(input: ParseStream<'_>) -> syn::Result<Expr> {
    let expression: Expr = input.parse()?;
    match &expression {
        Expr::Lit(ExprLit { lit: Lit::Int(_), .. }) => Ok(expression),
        Expr::Lit(_) | Expr::Unary(_) => Err(syn::Error::new_spanned(expression, "expected a whole number")),
        _ => Ok(expression),
    }
}
