//! Markdown.

use std::process::Command;
use std::time::{Duration, SystemTime};

/// The facts that every table needs: the date, the machine, and the versions.
pub fn preamble(what: &str) {
    println!("# Comparison with other libraries\n");
    println!("`cargo run --release --manifest-path benches/peers/Cargo.toml -- {what}`\n");
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    println!("- {}, {} processors ({})", today(), processors, processor.map_or("unknown", |(_, name)| name));
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc =
        rustc.map_or_else(|_| "rustc unknown".into(), |rustc| String::from_utf8_lossy(&rustc.stdout).into_owned());
    println!("- {}, release build", rustc.trim());
}

fn today() -> String {
    chrono::DateTime::<chrono::Utc>::from(SystemTime::now()).format("%F").to_string()
}

/// The version of a package in the lock file; the first one, if there are several.
pub fn version(package: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{package}\""));
    let version = lines.nth(1).and_then(|line| line.strip_prefix("version = \""));
    version.map_or("?", |version| version.trim_end_matches('"'))
}

pub fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// The first column has words, the others have numbers.
pub fn head(cells: &[&str]) {
    row(&cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
    println!("|---{}|", "|--:".repeat(cells.len() - 1));
}

pub fn millis(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

/// Whether ours reaches its goals.
pub struct Verdict {
    pub what: String,
    pub held: bool,
}

pub fn verdicts(verdicts: &[Verdict]) {
    println!("\nWhat ours is to reach:\n");
    for Verdict { what, held } in verdicts {
        println!("- {} {what}", if *held { "reached:" } else { "**missed:**" });
    }
}
