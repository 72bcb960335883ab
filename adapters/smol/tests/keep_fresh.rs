//! The example `keep_fresh_smol`, run as a process; its twin on tokio plays the whole script.

const EXAMPLE: &str = "keep_fresh_smol";

#[path = "../../keep_fresh/suite.rs"]
mod suite;
