//! What tests, examples and fuzz targets share: scenario files and the host that plays them.
#![allow(dead_code, unreachable_pub, reason = "each includer uses a part of it")]

pub mod call_world;
pub mod check;
pub mod credential;
pub mod exchange_world;
pub mod extremes;
pub mod fuzzed;
pub mod node;
pub mod play;
pub mod rig;
pub mod scenario;
pub mod sharing_world;
pub mod table;
pub mod tokens;
pub mod vectors;
pub mod world;
