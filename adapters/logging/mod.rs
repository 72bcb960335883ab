//! Logging for the examples, as in the Azure SDKs: `AZURE_LOG_LEVEL` is `verbose`, `info`, `warning` or `error`.
//! `RUST_LOG`, if it is set, selects events more exactly (`acs_common=debug,hyper=info`). If neither is set, nothing
//! is logged.

use std::io;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Writes events to standard error from now on.
///
/// # Errors
/// The value of one of the variables is not valid.
pub(crate) fn init() -> Result<(), String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let filter = if let Some(value) = variable("RUST_LOG") {
        value.parse::<Targets>().map_err(|error| format!("RUST_LOG={value}: {error}"))?
    } else if let Some(value) = variable("AZURE_LOG_LEVEL") {
        Targets::new().with_default(
            level(&value)
                .ok_or_else(|| format!("AZURE_LOG_LEVEL={value}: the value must be verbose, info, warning or error"))?,
        )
    } else {
        return Ok(());
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
    Ok(())
}

fn level(value: &str) -> Option<LevelFilter> {
    Some(match value.to_ascii_lowercase().as_str() {
        "verbose" => LevelFilter::DEBUG,
        "info" | "informational" => LevelFilter::INFO,
        "warning" | "warn" => LevelFilter::WARN,
        "error" => LevelFilter::ERROR,
        _ => return None,
    })
}
