//! Runs the adapters' common suites where nothing can block.
//!
//! Their tests read `#[test] fn name() { rt::run(async { … }); }`. In JavaScript a test must return a promise instead. So this
//! crate has a `#[test]` of its own, and a test crate that has `#[macro_use] extern crate suite_test` uses it in place of the
//! standard one. There `rt::run` keeps the future, and `rt::finish` awaits it.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Makes an asynchronous test of a function: it runs the function, then awaits what that gave to `rt::run`.
#[proc_macro_attribute]
pub fn test(_: TokenStream, function: TokenStream) -> TokenStream {
    let name = function.clone().into_iter().skip_while(|token| token.to_string() != "fn").nth(1);
    let name = name.map(|name| name.to_string()).unwrap_or_default();
    let parsed = |code: String| code.parse::<TokenStream>().unwrap_or_default();
    let mut body = function;
    body.extend(parsed(format!("{name}(); crate::rt::finish().await;")));
    let mut test = parsed(format!("#[::wasm_bindgen_test::wasm_bindgen_test] async fn {name}()"));
    test.extend([TokenTree::Group(Group::new(Delimiter::Brace, body))]);
    test
}
