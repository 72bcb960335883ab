//! The command line.

pub fn help(example: &str) -> String {
    format!(
        "\
Shows a credential keeping its token fresh while the issuer of the tokens fails in every way it can: a real issuer, a real
resource and eight callers, all on this machine's loopback interface. It ends by itself within half a minute.

Usage: {example} [--seconds N] [--long-outage | --calm]

  --seconds N     stop after N seconds (1 to 3600); the script starts over if that is longer than it takes
  --long-outage   one outage, longer than a token lives: what happens when nobody can have a token
  --calm          no outage, until the time is up: to see what setting the clock or suspending the process does
  --help          this text

Ctrl-c stops it, with the summary so far.

Exit status: 0 every promise was kept; 1 a promise was broken, which the summary names; 2 bad usage, or no sockets."
    )
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub seconds: Option<u64>,
    pub piece: Piece,
}

/// What is played.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Piece {
    #[default]
    Outages,
    LongOutage,
    Calm,
}

impl Options {
    fn play(&mut self, piece: Piece) -> Result<(), String> {
        if self.piece != Piece::default() && self.piece != piece {
            return Err("--long-outage and --calm do not go together".to_owned());
        }
        self.piece = piece;
        Ok(())
    }
}

/// `None`: help is wanted.
pub fn read(mut given: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--help" | "-h" => return Ok(None),
            "--long-outage" => options.play(Piece::LongOutage)?,
            "--calm" => options.play(Piece::Calm)?,
            "--seconds" => {
                let number = given.next().ok_or("--seconds takes a number")?;
                let seconds = number.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
                options.seconds =
                    Some(seconds.ok_or(format!("--seconds takes a number from 1 to 3600, not {number:?}"))?);
            }
            _ => return Err(format!("unknown argument {argument:?}")),
        }
    }
    Ok(Some(options))
}
