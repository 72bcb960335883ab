//! Removes secrets and control characters from texts that come from outside.

use alloc::string::String;
use alloc::vec::Vec;

use zeroize::Zeroizing;

/// Replaces a secret.
const REMOVED: &str = "[removed]";

/// The longest run of token characters that is not taken for a token. No name, GUID or segment of a URL is longer.
const LONGEST_RUN: usize = 80;

/// This many characters in a row that are also in the secret are a piece of it, not a coincidence.
const PIECE: usize = 12;

/// How much of a text is looked at, in bytes. What is kept is much shorter.
const LONGEST_TEXT: usize = 4_096;

/// How much of all texts of one response is looked at, in bytes.
const LONGEST_RESPONSE: usize = 32_768;

/// The most bytes of a text that are kept.
const LONGEST: usize = 1_024;

/// Makes the texts of one response fit to be shown. The work does not grow with the response: a bounded part of it is
/// looked at, and each piece of that is searched for in an index of each secret.
pub(crate) struct Scrubber<'s> {
    secrets: Vec<Indexed<'s>>,
    /// How many bytes may still be looked at.
    left: usize,
}

struct Indexed<'s> {
    secret: &'s str,
    /// Where the secret's pieces start, sorted by the pieces. This makes no copy of the secret.
    pieces: Option<Vec<usize>>,
}

impl<'s> Scrubber<'s> {
    pub(crate) fn new(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let secrets = secrets.into_iter().map(|secret| Indexed { secret, pieces: None });
        Self { secrets: secrets.collect(), left: LONGEST_RESPONSE }
    }

    /// The text on one line, without a secret or a piece of one, and without anything that looks like a token: services
    /// quote what they refuse, in part, or percent-encoded. Cut at 1 KiB.
    pub(crate) fn scrub(&mut self, text: &str) -> String {
        let start = start_of(text, LONGEST_TEXT.min(self.left));
        self.left = self.left.saturating_sub(start.len());
        // First, because a dropped character may stand between the characters of a token.
        let text = visible(start);
        let mut clean = String::new();
        let mut rest = text.as_str();
        while clean.len() <= LONGEST
            && let Some(start) = rest.find(is_token_character)
        {
            let (before, from) = rest.split_at(start);
            let (run, after) = from.split_at(from.find(|c| !is_token_character(c)).unwrap_or(from.len()));
            clean.push_str(before);
            clean.push_str(if self.is_suspicious(run) { REMOVED } else { run });
            rest = after;
        }
        clean.push_str(rest);
        if clean.len() > LONGEST {
            clean.truncate(start_of(&clean, LONGEST).len());
            clean.push('…');
        }
        clean
    }

    fn is_suspicious(&mut self, run: &str) -> bool {
        run.len() >= LONGEST_RUN || run.contains("eyJ") || self.secrets.iter_mut().any(|secret| secret.is_in(run))
    }
}

impl Indexed<'_> {
    /// Whether the secret, or a piece of it, is in this run.
    fn is_in(&mut self, run: &str) -> bool {
        if self.secret.len() < PIECE {
            return !self.secret.is_empty() && run.contains(self.secret);
        }
        let secret = self.secret.as_bytes();
        let pieces = self.pieces.get_or_insert_with(|| {
            let mut starts: Vec<usize> = (0..=secret.len().saturating_sub(PIECE)).collect();
            starts.sort_unstable_by_key(|start| piece(secret, *start));
            starts
        });
        run.as_bytes()
            .windows(PIECE)
            .any(|window| pieces.binary_search_by_key(&Some(window), |start| piece(secret, *start)).is_ok())
    }
}

fn piece(secret: &[u8], start: usize) -> Option<&[u8]> {
    secret.get(start..)?.get(..PIECE)
}

/// Cuts after the last whole character that fits.
fn start_of(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// Puts a space for each line break, and drops what cannot be seen: in a log, both could imitate other text.
fn visible(text: &str) -> Zeroizing<String> {
    // It does not grow, so it leaves no copy behind.
    let mut line = Zeroizing::new(String::with_capacity(text.len()));
    for c in text.chars() {
        match c {
            '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => line.push(' '),
            c if c.is_control() || is_invisible(c) => {}
            c => line.push(c),
        }
    }
    line
}

/// Marks of direction, and characters without width.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// Characters of base64 in both alphabets, percent-encoded or not, the dots between a JWT's parts, and all others of a bearer
/// token.
fn is_token_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '=' | '.' | '%' | '~')
}
