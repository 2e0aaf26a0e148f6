//! What does an `async fn` become?

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ItemFn, ReturnType};

use crate::options::Options;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Main,
    Test,
}

pub(crate) fn expand(kind: Kind, options: TokenStream, function: TokenStream) -> TokenStream {
    let expanded = syn::parse2(function.clone()).and_then(|parsed: ItemFn| {
        let options: Options = syn::parse2(options)?;
        check(kind, &parsed, &options)?;
        Ok(wrap(kind, &options, parsed))
    });
    // After an error the function itself still goes to the compiler: otherwise every mention of it is one more error.
    expanded.unwrap_or_else(|error| {
        let error = error.into_compile_error();
        quote! { #error #function }
    })
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
    // Spanned at the body, so that a wrong type is shown where it is written.
    let span = body.span();
    let coroutine = match &function.sig.output {
        ReturnType::Default => quote_spanned! { span=>
            async move {
                // A block of its own: one that ends in a panic does not make what follows unreachable.
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
