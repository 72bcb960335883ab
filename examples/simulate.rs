//! Plays scenario files through the machine alone, in virtual time: prints their timelines, checks them, or draws one.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

#[path = "../tests/support/picture.rs"]
mod picture;
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
       simulate --svg PICTURE [--width N] [--policy P [--policy P]] FILE

  --check        compare with the scenarios' `expected` instead, and print the first differences
  --policy P     play all scenarios under this policy
  --svg PICTURE  draw the one scenario in FILE as a timeline, in SVG, and write it to this file (- is standard output).
                 With two policies, their timelines stand one below the other
  --width N      the picture's width in pixels, 320 to 4000 (default: 830)
  --help         this text

Exit status: 0 success; 1 a timeline differs; 2 bad input or usage (the message says what is wrong and where).";

/// For how many scenarios to print differences, and how many for each.
const SHOWN: (usize, usize) = (10, 3);

struct Arguments {
    check: bool,
    /// One, or two for a picture.
    policies: Vec<Base>,
    svg: Option<String>,
    width: Option<u32>,
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
    if let Some(file) = &arguments.svg {
        return match draw(&arguments).and_then(|svg| write(file, &svg)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(wrong) => refuse(&wrong),
        };
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut scenarios_played, mut different) = (0, 0);
    for file in &arguments.files {
        let scenarios = match read(file).and_then(|text| {
            scenario::read(&text, arguments.policies.first().copied())
                .map_err(|wrong| format!("{}: {wrong}", name(file)))
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

/// The picture of the one scenario in the one file.
fn draw(arguments: &Arguments) -> Result<String, String> {
    let [file] = arguments.files.as_slice() else {
        return Err(format!("--svg draws one file, not {}", arguments.files.len()));
    };
    let text = read(file)?;
    let one = |policy| {
        let mut scenarios =
            scenario::read(&text, policy).map_err(|wrong| format!("{}: {wrong}", name(file)))?.into_iter();
        match (scenarios.next(), scenarios.len()) {
            (Some(scenario), 0) => Ok(scenario),
            (None, _) => Err(format!("{}: there is no scenario to draw", name(file))),
            (Some(_), more) => Err(format!("{}: --svg draws one scenario, and this file has {more} more", name(file))),
        }
    };
    let played: Vec<_> = match arguments.policies.as_slice() {
        [] => vec![("the scenario's policy".to_owned(), one(None)?)],
        policies => {
            policies.iter().map(|base| Ok((base.heading(), one(Some(*base))?))).collect::<Result<_, String>>()?
        }
    };
    let id = Path::new(file).file_stem().and_then(|stem| stem.to_str()).unwrap_or("picture");
    Ok(picture::draw(id, &played, arguments.width.unwrap_or(picture::WIDTHS[0].1), usize::MAX))
}

fn write(file: &str, svg: &str) -> Result<(), String> {
    if file == "-" {
        return write!(io::stdout(), "{svg}").map_err(|error| format!("standard output: {error}"));
    }
    std::fs::write(file, svg).map_err(|error| format!("{file}: {error}"))
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
    let mut arguments = Arguments { check: false, policies: Vec::new(), svg: None, width: None, files: Vec::new() };
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--help" | "-h" => return Ok(None),
            "--check" => arguments.check = true,
            "--policy" => match given.next().as_deref() {
                Some("default") => arguments.policies.push(Base::Default),
                Some("reference") => arguments.policies.push(Base::Reference),
                other => {
                    return Err(format!("--policy takes default or reference, not {}", other.unwrap_or("nothing")));
                }
            },
            "--svg" => arguments.svg = Some(given.next().ok_or("--svg takes the name of a file to write")?),
            "--width" => {
                let number = given.next().unwrap_or_default();
                let width = number.parse().ok().filter(|width| (320..=4_000).contains(width));
                arguments.width =
                    Some(width.ok_or(format!("--width takes a number from 320 to 4000, not {number:?}"))?);
            }
            "-" => arguments.files.push(argument),
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            _ => arguments.files.push(argument),
        }
    }
    if arguments.files.is_empty() {
        return Err("no file given".to_owned());
    }
    match (&arguments.svg, arguments.policies.len()) {
        (Some(_), _) if arguments.check => Err("--svg and --check exclude each other".to_owned()),
        (None, _) if arguments.width.is_some() => Err("--width is for --svg".to_owned()),
        (Some(_), 0..=2) | (None, 0..=1) => Ok(Some(arguments)),
        (svg, _) => Err(format!("--policy was given more than {}", if svg.is_some() { "twice" } else { "once" })),
    }
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
