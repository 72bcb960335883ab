//! Draws what happened to a credential as a timeline: text in SVG, from plain data.
//!
//! A host says what happened, and when, in milliseconds of true time ([`Life::record`]). [`Picture::draw`] gives the SVG. There
//! is no clock, I/O or randomness in here: the same life gives the same text. So a program that plays a scenario, one that
//! watches a real credential, and a page that draws while things happen all use it.
//!
//! ```
//! use acs_common_drawing::{Fact, Life, Picture};
//!
//! let mut life = Life::new("the default policy");
//! life.record(0, Fact::Asked { waiter: "a".to_owned() });
//! life.record(0, Fact::Called { call: 1 });
//! life.record(250, Fact::Returned { call: 1, failure: None });
//! life.record(250, Fact::Held { token: "r1".to_owned(), due: Some(1_800), expires: Some(3_600) });
//! life.record(250, Fact::Answered { waiter: "a".to_owned(), failure: None });
//!
//! let svg = Picture { id: "first", title: "The first token", lives: &[life], from: 0, until: 4_000, width: 830 }.draw();
//! assert!(svg.starts_with("<svg ") && svg.contains("r1"));
//! ```
//!
//! Tokens are known by names that the host gives them. A token's text has no way into a picture.
//!
//! # How it is drawn
//!
//! Everything is to scale. What is too short to be seen is drawn wider, and the picture says from which length on. Marks that
//! would cover each other become one mark with a count. A label stands where it covers nothing; if there is no such place, it is
//! left out, and only the tooltip of its shape has it. Colours are never the only difference: shapes, patterns and rows differ too.
//! The style follows `prefers-color-scheme`. Text is in a font of fixed width, because only then is the room that it takes known.
#![no_std]
#![allow(clippy::exhaustive_structs, clippy::exhaustive_enums, reason = "plain data of an unpublished package")]

extern crate alloc;

mod axis;
mod history;
mod lane;
mod life;
mod marks;
mod panel;
mod picture;
mod svg;

pub use axis::words;
pub use life::{Fact, Life};
pub use picture::Picture;
