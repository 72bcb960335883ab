//! Taking secrets out of other people's words.

use alloc::string::String;

/// What is put in a secret's place.
const REMOVED: &str = "[removed]";

/// Longer runs of the characters tokens are made of than any name, GUID or URL segment has are taken for one.
const LONGEST_RUN: usize = 80;

/// So many characters in a row that are in the secret too are a piece of it, and no chance.
const PIECE: usize = 12;

/// No more of a text is looked at: what is kept of it is shorter by far.
const LONGEST_TEXT: usize = 4_096;

/// The text without `secret`, or a piece of it, and without anything that looks like a token: services quote what they
/// refuse, in part, or percent-encoded.
pub(super) fn scrub(text: &str, secret: &str) -> String {
    // White space round it does not reach the wire.
    let secret = secret.trim_ascii();
    let end = (0..=LONGEST_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    let text = text.get(..end).unwrap_or(text);
    let text = if secret.is_empty() { text.into() } else { text.replace(secret, REMOVED) };
    let is_piece = |window: &[u8]| secret.as_bytes().windows(PIECE).any(|piece| piece == window);
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find(is_token_character) {
        let (before, from) = rest.split_at(start);
        let (run, after) = from.split_at(from.find(|c| !is_token_character(c)).unwrap_or(from.len()));
        clean.push_str(before);
        let suspicious = run.len() >= LONGEST_RUN || run.contains("eyJ") || run.as_bytes().windows(PIECE).any(is_piece);
        clean.push_str(if suspicious { REMOVED } else { run });
        rest = after;
    }
    clean.push_str(rest);
    clean
}

/// Of base64 in both alphabets, percent-encoded or not, and the dots between a JWT's parts.
fn is_token_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '=' | '.' | '%')
}
