//! Plays scenario files through the machine alone, in virtual time.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

#[path = "../tests/support/mod.rs"]
mod support;

use support::play::Played;
use support::scenario::{Base, Credential, Scenario};
use support::{check, play, scenario};

const HELP: &str = "\
Plays scenario files (tests/scenarios/README.md) through the machine alone, in virtual time, and prints one JSON object
for each scenario, on one line: {\"name\": …, \"timeline\": […]}; for an Entra user also \"requests\", the HTTP
requests of the exchange with tokens by their names.

Usage: simulate [--check] [--policy default|reference] FILE...    (- is standard input)

  --check      compare with the scenarios' `expected` instead, and print the first differences
  --policy P   play all scenarios under this policy
  --help       this text

Exit status: 0 success; 1 a timeline differs; 2 bad input or usage (the message says what is wrong and where).";

/// For how many scenarios to print differences, and how many for each.
const SHOWN: (usize, usize) = (10, 3);

struct Arguments {
    check: bool,
    policy: Option<Base>,
    files: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = match arguments(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            return writeln!(io::stdout(), "{HELP}").map_or_else(|error| unwritten(&error), |()| ExitCode::SUCCESS);
        }
        Err(wrong) => return refuse(&format!("{wrong}\n\n{HELP}")),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut scenarios_played, mut different) = (0, 0);
    for file in &arguments.files {
        let scenarios = match read(file).and_then(|text| {
            scenario::read(&text, arguments.policy).map_err(|wrong| format!("{}: {wrong}", name(file)))
        }) {
            Ok(scenarios) => scenarios,
            Err(wrong) => {
                let _ = out.flush();
                return refuse(&wrong);
            }
        };
        for scenario in scenarios {
            let played = play::play(&scenario);
            scenarios_played += 1;
            let written = if !arguments.check {
                writeln!(out, "{}", line(&scenario, played))
            } else if let Some(expected) = &scenario.expected {
                let differences = check::differences(expected, &played.timeline);
                if differences.is_empty() {
                    continue;
                }
                different += 1;
                if different > SHOWN.0 {
                    continue;
                }
                let shown = differences.iter().take(SHOWN.1).map(|difference| format!("\n  {difference}"));
                let more = differences.len().saturating_sub(SHOWN.1);
                let more = if more > 0 { format!("\n  … and {more} more") } else { String::new() };
                writeln!(out, "{}: {}:{}{more}", name(file), scenario.name, shown.collect::<String>())
            } else {
                let _ = out.flush();
                return refuse(&format!("{}: scenario {:?}: expected: missing", name(file), scenario.name));
            };
            if let Err(error) = written {
                return unwritten(&error);
            }
        }
    }
    if arguments.check {
        let _ = writeln!(out, "{} of {scenarios_played} scenarios as expected", scenarios_played - different);
    }
    match out.flush() {
        Ok(()) if different == 0 => ExitCode::SUCCESS,
        Ok(()) => ExitCode::from(1),
        Err(error) => unwritten(&error),
    }
}

fn line(scenario: &Scenario, played: Played) -> Value {
    let mut line = json!({"name": scenario.name, "timeline": played.timeline});
    if matches!(scenario.credential, Credential::Entra { .. }) {
        line["requests"] = Value::Array(played.requests);
    }
    line
}

/// A closed output is not an error to report.
fn unwritten(error: &io::Error) -> ExitCode {
    if error.kind() == io::ErrorKind::BrokenPipe {
        ExitCode::from(2)
    } else {
        refuse(&format!("standard output: {error}"))
    }
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut arguments = Arguments { check: false, policy: None, files: Vec::new() };
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--help" | "-h" => return Ok(None),
            "--check" => arguments.check = true,
            "--policy" => match given.next().as_deref() {
                Some("default") => arguments.policy = Some(Base::Default),
                Some("reference") => arguments.policy = Some(Base::Reference),
                other => {
                    return Err(format!("--policy takes default or reference, not {}", other.unwrap_or("nothing")));
                }
            },
            "-" => arguments.files.push(argument),
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            _ => arguments.files.push(argument),
        }
    }
    if arguments.files.is_empty() { Err("no file given".to_owned()) } else { Ok(Some(arguments)) }
}

fn name(file: &str) -> &str {
    if file == "-" { "standard input" } else { file }
}

fn read(file: &str) -> Result<String, String> {
    if file == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    }
    .map_err(|error| format!("{}: {error}", name(file)))
}

fn refuse(wrong: &str) -> ExitCode {
    eprintln!("simulate: {wrong}");
    ExitCode::from(2)
}
