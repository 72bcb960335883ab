//! acs-common compared with other libraries, measured in one process: its cost, its behaviour, and its scale.
//! `cargo run --release --manifest-path benches/peers/Cargo.toml -- speed|overhead|behaviour|refused|scale|all`, which prints Markdown.

mod behaviour;
mod contender;
mod floors;
mod hosts;
mod issuer;
mod ours;
mod overhead;
mod peers;
mod plot;
mod refused;
mod report;
mod scale;
mod speed;
mod verdicts;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let what = arguments.first().map_or("", String::as_str);
    if what == scale::CHILD {
        scale::child(&arguments[1..]);
        return ExitCode::SUCCESS;
    }
    let parts: [(&str, fn()); 5] = [
        ("speed", speed::run),
        ("overhead", overhead::run),
        ("behaviour", behaviour::run),
        ("refused", refused::run),
        ("scale", scale::run),
    ];
    let parts = parts.into_iter().filter(|part| what == "all" || what == part.0).collect::<Vec<_>>();
    if parts.is_empty() {
        eprintln!("usage: peers speed|overhead|behaviour|refused|scale|all");
        return ExitCode::FAILURE;
    }
    report::preamble(what);
    parts.iter().for_each(|part| part.1());
    ExitCode::SUCCESS
}
