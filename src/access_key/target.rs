//! The signed part of a URL: its path and query, in the form that the reference's URL parser gives them.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

pub(super) fn canonical(path: &str, query: &str) -> String {
    let mut target = resolve(path);
    for (index, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        target.push(if index == 0 { '?' } else { '&' });
        encode(&decode(name), &mut target);
        target.push('=');
        encode(&decode(value), &mut target);
    }
    target
}

/// Drops `.`, and `..` with the segment before it ([URL, path state](https://url.spec.whatwg.org/#path-state)).
fn resolve(path: &str) -> String {
    let mut kept = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let dots = match &*segment.to_ascii_lowercase().replace("%2e", ".") {
            "." => true,
            ".." => {
                kept.pop();
                true
            }
            _ => {
                kept.push(segment);
                false
            }
        };
        if dots && segments.peek().is_none() {
            kept.push("");
        }
    }
    kept.iter().flat_map(|segment| ["/", segment]).collect()
}

/// The bytes of a form's text ([URL, parsing](https://url.spec.whatwg.org/#urlencoded-parsing)).
fn decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, others)) = rest.split_first() {
        rest = others;
        decoded.push(match (byte, others) {
            (b'+', _) => b' ',
            (b'%', [high, low, others @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = others;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => *byte,
        });
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Bytes that are not UTF-8 are replaced ([URL, serialising](https://url.spec.whatwg.org/#urlencoded-serializing)).
fn encode(bytes: &[u8], form: &mut String) {
    let text: Cow<'_, str> = String::from_utf8_lossy(bytes);
    for byte in text.bytes() {
        match byte {
            b' ' => form.push('+'),
            b'*' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => form.push(char::from(byte)),
            _ => {
                // Writing to a string does not fail.
                let _ = write!(form, "%{byte:02X}");
            }
        }
    }
}
