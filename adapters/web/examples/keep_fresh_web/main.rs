//! The example `keep_fresh` as a page: eight callers, one credential, and an issuer that fails at the press of a button.
//!
//! `adapters/web/examples/keep_fresh_web/serve` builds it and serves it. The page is `index.html` with `page.js`; here is what it
//! shows. Issuer and resource live in the page, a tenth of a second away, so it needs no network. Clocks and timers are the
//! browser's, except for two buttons: one sets the wall clock, the other puts the computer to sleep. The picture is drawn by the code
//! that draws scenarios (`drawing/`).
#![allow(unreachable_pub, reason = "the names are those of the page's JavaScript")]

mod callers;
mod device;
mod issuer;
mod play;
mod tally;

use wasm_bindgen::prelude::*;

use crate::play::Play;

/// The page's play.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Page(Play);

#[wasm_bindgen]
impl Page {
    /// Starts it.
    ///
    /// # Errors
    /// None that a page can cause.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Result<Self, JsError> {
        Play::start().map(Self).map_err(|error| JsError::new(&error.to_string()))
    }

    /// Presses the button with this name. Returns what then is, in words.
    pub fn press(&self, button: &str) -> String {
        self.0.press(button)
    }

    /// Each number with its name, as one object.
    pub fn numbers(&self) -> js_sys::Object {
        let numbers = js_sys::Object::new();
        for (name, value) in self.0.numbers() {
            // A new object takes any property.
            let _ = js_sys::Reflect::set(&numbers, &name.into(), &value.into());
        }
        numbers
    }

    /// How each caller fares.
    pub fn callers(&self) -> Vec<String> {
        self.0.callers()
    }

    /// What happened since the last call, a line for each.
    pub fn news(&self) -> Vec<String> {
        self.0.news()
    }

    /// The last half minute as SVG, so many pixels wide.
    pub fn picture(&self, width: u32) -> String {
        self.0.picture(width)
    }
}

/// A page calls what is above.
fn main() {
    if cfg!(not(target_family = "wasm")) {
        println!("This is a page: adapters/web/examples/keep_fresh_web/serve builds it and serves it.");
    }
}
