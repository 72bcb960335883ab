//! What an authorized call must do, in every host and on every runtime (contract, section 8). Each adapter's tests include this
//! beside a module `rt` for the runtime (`Credential`, `run`, `sleep`, `spawn`, `IS_VIRTUAL`).

#[cfg(feature = "azure")]
pub(crate) mod azure_host;
pub(crate) mod service;
#[cfg(feature = "tower")]
pub(crate) mod tower_host;
