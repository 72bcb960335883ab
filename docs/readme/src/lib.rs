//! The examples of the workspace's README: `cargo test -p acs-common-readme`.

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
