//! Which options does the attribute accept in its parentheses?

use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Ident, Lit, Path, Token, parse_quote};

/// The settings of one entry function.
pub(crate) struct Options {
    pub(crate) workers: Option<Expr>,
    pub(crate) debug: bool,
    pub(crate) virtual_time: bool,
    pub(crate) krate: Path,
}

enum Setting {
    Workers(Expr),
    Debug,
    VirtualTime,
    Crate(Path),
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Options> {
        let given = Punctuated::<Setting, Token![,]>::parse_terminated(input)?;
        let mut options =
            Options { workers: None, debug: false, virtual_time: false, krate: parse_quote!(::selvedge) };
        for option in given {
            match option {
                Setting::Workers(count) => options.workers = Some(count),
                Setting::Debug => options.debug = true,
                Setting::VirtualTime => options.virtual_time = true,
                Setting::Crate(path) => options.krate = path,
            }
        }
        Ok(options)
    }
}

/// Only a literal can be checked here; other numbers are checked when the program starts.
fn workers(input: ParseStream<'_>) -> syn::Result<Expr> {
    let count: Expr = input.parse()?;
    match &count {
        Expr::Lit(ExprLit { lit: Lit::Int(literal), .. }) if literal.base10_digits() == "0" => {
            Err(syn::Error::new(literal.span(), "a loop needs at least one worker"))
        }
        _ => Ok(count),
    }
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> syn::Result<Setting> {
        if input.peek(Token![crate]) {
            input.parse::<Token![crate]>()?;
            input.parse::<Token![=]>()?;
            return Ok(Setting::Crate(Path::parse_mod_style(input)?));
        }
        let name: Ident = input.parse()?;
        match name.to_string().as_str() {
            "workers" => {
                input.parse::<Token![=]>()?;
                Ok(Setting::Workers(workers(input)?))
            }
            "debug" => Ok(Setting::Debug),
            "virtual_time" => Ok(Setting::VirtualTime),
            _ => Err(syn::Error::new(
                name.span(),
                "expected `workers = N`, `debug`, `virtual_time` or `crate = path`",
            )),
        }
    }
}
