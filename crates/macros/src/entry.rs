//! Which function does the attribute generate from an `async fn`?

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ItemFn, ReturnType, Visibility};

use crate::options::Options;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Main,
    Test,
}

pub(crate) fn expand(kind: Kind, options: TokenStream, function: TokenStream) -> TokenStream {
    let parsed: ItemFn = match syn::parse2(function.clone()) {
        Ok(parsed) => parsed,
        Err(error) => {
            let error = error.into_compile_error();
            return quote! { #error #function };
        }
    };
    let options = syn::parse2(options).and_then(|options| check(kind, &parsed, &options).map(|()| options));
    match options {
        Ok(options) => wrap(kind, &options, parsed),
        Err(error) => {
            let (error, stub) = (error.into_compile_error(), stub(kind, parsed));
            quote! { #error #stub }
        }
    }
}

/// Replaces a function that has been reported as wrong. Without it, every mention of the function
/// would be another error. The replacement is a plain function, because an `async fn main`, or one
/// with arguments, would be an error too. The function itself is nested in it, so that the mistakes
/// in its body are still reported.
fn stub(kind: Kind, mut function: ItemFn) -> TokenStream {
    if kind == Kind::Test {
        return quote! { #[allow(dead_code)] #function };
    }
    let (visibility, name) =
        (std::mem::replace(&mut function.vis, Visibility::Inherited), &function.sig.ident);
    quote! {
        #visibility fn #name() {
            #[allow(dead_code)]
            #function
        }
    }
}

fn check(kind: Kind, function: &ItemFn, options: &Options) -> syn::Result<()> {
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        return Err(syn::Error::new(
            signature.fn_token.span,
            "this needs an `async fn`: write `async` before `fn`",
        ));
    }
    if let Some(parameter) = signature.inputs.first() {
        return Err(syn::Error::new(parameter.span(), "nobody could give it arguments"));
    }
    if let Some(parameter) = signature.generics.params.first() {
        return Err(syn::Error::new(parameter.span(), "nobody could choose its types"));
    }
    if kind == Kind::Main && options.virtual_time {
        return Err(syn::Error::new(signature.ident.span(), "`virtual_time` is for tests"));
    }
    Ok(())
}

fn wrap(kind: Kind, options: &Options, mut function: ItemFn) -> TokenStream {
    let krate = &options.krate;
    let body = &function.block;
    let returns_nothing = matches!(function.sig.output, ReturnType::Default);
    // Spanned at the body, so that the compiler points at the place where a wrong type is written.
    let span = body.span();
    let coroutine = match &function.sig.output {
        ReturnType::Default => quote_spanned! { span=>
            async move {
                // The body is a separate block: a body that ends in a panic must not make the code
                // after it unreachable.
                let body = async move #body;
                let () = body.await;
                #krate::Result::Ok(())
            }
        },
        ReturnType::Type(_, returned) => quote_spanned! { span=>
            async move {
                let body = async move #body;
                let returned: #returned = body.await;
                returned
            }
        },
    };
    let settings = settings(options);
    let run = quote! { #krate::__private::RunnerBuilder::#settings };
    let enter = match (kind, returns_nothing) {
        (Kind::Main, true) => quote! { #krate::__private::main_without_result(#run, #coroutine) },
        (Kind::Main, false) => quote! { #krate::__private::main_with_result(#run, #coroutine) },
        (Kind::Test, true) => quote! { #krate::__private::test_without_result(#run, #coroutine) },
        (Kind::Test, false) => quote! { #krate::__private::test_with_result(#run, #coroutine) },
    };
    function.sig.asyncness = None;
    let (attributes, visibility, signature) = (&function.attrs, &function.vis, &function.sig);
    let test = (kind == Kind::Test).then(|| quote! { #[::core::prelude::v1::test] });
    quote! {
        #test
        #(#attributes)*
        #visibility #signature {
            #enter
        }
    }
}

fn settings(options: &Options) -> TokenStream {
    let (debug, virtual_time) = (options.debug, options.virtual_time);
    let workers = options.workers.as_ref().map(|count| quote! { .workers(#count) });
    quote! { default().debug(#debug).virtual_time(#virtual_time) #workers }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of errors in an expansion, and whether the remaining items would be accepted as
    /// `main`.
    fn refused(options: TokenStream, function: TokenStream) -> (usize, bool) {
        let file: syn::File = syn::parse2(expand(Kind::Main, options, function)).expect("it is Rust");
        let errors = file.items.iter().filter(|item| matches!(item, syn::Item::Macro(_))).count();
        let is_main = |item: &syn::Item| match item {
            syn::Item::Fn(function) => {
                let signature = &function.sig;
                signature.ident == "main" && signature.asyncness.is_none() && signature.inputs.is_empty()
            }
            _ => false,
        };
        (errors, file.items.iter().any(is_main))
    }

    #[test]
    fn a_mistake_is_one_error_and_leaves_a_main() {
        assert_eq!(refused(quote!(workers = 0), quote! { async fn main() {} }), (1, true));
        assert_eq!(refused(quote!(wrkers = 1), quote! { async fn main() {} }), (1, true));
        assert_eq!(refused(quote!(virtual_time), quote! { async fn main() {} }), (1, true));
        assert_eq!(refused(quote!(), quote! { async fn main(x: u32) {} }), (1, true));
        assert_eq!(refused(quote!(), quote! { fn main() {} }), (1, true));
    }

    #[test]
    fn what_is_right_has_no_error() {
        assert_eq!(refused(quote!(workers = 1, debug), quote! { async fn main() {} }), (0, true));
        assert_eq!(refused(quote!(workers = COUNT), quote! { async fn main() {} }), (0, true));
    }
}
