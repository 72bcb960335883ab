//! The example `keep_fresh_smol`, run as a process. The test of the example on tokio runs the whole script.

const EXAMPLE: &str = "keep_fresh_smol";

#[path = "../../keep_fresh/suite.rs"]
mod suite;
