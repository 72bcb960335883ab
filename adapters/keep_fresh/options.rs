//! The command line.

pub fn help(example: &str) -> String {
    format!(
        "\
Shows how a credential keeps its token fresh while the issuer of the tokens fails in many ways. The issuer, the resource
and the eight callers are real, on the loopback interface of this machine. The program ends within half a minute.

Usage: {example} [--seconds N] [--long-outage | --calm | --clock-ahead N] [--svg FILE [--width N]]

  --seconds N     stop after N seconds (1 to 3600); if the script ends before that, it starts again
  --long-outage   one outage that is longer than a token is valid: shows what happens when no caller can get a token
  --calm          no outage, until you stop it: you can set the clock or suspend the process, and see what happens
  --clock-ahead N no outage, but the clock of the device is N seconds ahead from the start (negative: behind), by up to ten
                  years; the clock of this machine stays as it is
  --svg FILE      at the end, draw what really happened as a timeline, in SVG, and write it to this file
  --width N       the picture's width in pixels, 320 to 4000 (default: 830)
  --help          print this text

Ctrl-c stops the program. It then prints the summary so far.

Exit status: 0 every promise was kept; 1 a promise was broken (the summary says which); 2 wrong usage, or no sockets."
    )
}

#[derive(Clone, Debug, Default)]
pub struct Options {
    pub seconds: Option<u64>,
    /// Where to write the picture.
    pub svg: Option<String>,
    /// The width of the picture in pixels.
    pub width: Option<u32>,
    pub scenario: Scenario,
    pub clock_ahead: Option<i64>,
}

/// The script.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Scenario {
    #[default]
    Outages,
    LongOutage,
    Calm,
}

impl Options {
    fn play(&mut self, scenario: Scenario) -> Result<(), String> {
        if self.scenario != Scenario::default() && self.scenario != scenario {
            return Err("--long-outage excludes --calm and --clock-ahead".to_owned());
        }
        self.scenario = scenario;
        Ok(())
    }
}

/// In seconds.
const TEN_YEARS: i64 = 10 * 365 * 86_400;

/// Reads the arguments. `None`: the user asks for help.
pub fn read(mut given: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--help" | "-h" => return Ok(None),
            "--long-outage" => options.play(Scenario::LongOutage)?,
            "--calm" => options.play(Scenario::Calm)?,
            "--clock-ahead" => {
                let number = given.next().ok_or("--clock-ahead takes a number of seconds")?;
                let ahead = number.parse().ok().filter(|ahead| (-TEN_YEARS..=TEN_YEARS).contains(ahead));
                options.clock_ahead = Some(ahead.ok_or(format!(
                    "--clock-ahead takes a number from {} to {TEN_YEARS}, not {number:?}",
                    -TEN_YEARS
                ))?);
                options.play(Scenario::Calm)?;
            }
            "--seconds" => {
                let number = given.next().ok_or("--seconds takes a number")?;
                let seconds = number.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
                options.seconds =
                    Some(seconds.ok_or(format!("--seconds takes a number from 1 to 3600, not {number:?}"))?);
            }
            "--svg" => options.svg = Some(given.next().ok_or("--svg takes the name of a file to write")?),
            "--width" => {
                let number = given.next().ok_or("--width takes a number")?;
                let width = number.parse().ok().filter(|width| (320..=4_000).contains(width));
                options.width =
                    Some(width.ok_or_else(|| format!("--width takes a number from 320 to 4000, not {number:?}"))?);
            }
            _ => return Err(format!("unknown argument {argument:?}")),
        }
    }
    if options.width.is_some() && options.svg.is_none() {
        return Err("--width is for --svg".to_owned());
    }
    Ok(Some(options))
}
