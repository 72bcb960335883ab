//! Text of JSON strings.

use alloc::string::String;
use core::str::Chars;

use zeroize::Zeroizing;

/// What a JSON string says. Unescaped by hand: `serde_json` leaves copies of what it unescapes behind.
pub(super) fn string(json: &str) -> Option<Zeroizing<String>> {
    let mut rest = json.strip_prefix('"')?.strip_suffix('"')?;
    // What an escape stands for is shorter, so it does not grow and leave itself behind.
    let mut text = Zeroizing::new(String::with_capacity(rest.len()));
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut chars = escape.chars();
        text.push(match chars.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => unicode(&mut chars)?,
            c @ ('"' | '\\' | '/') => c,
            _ => return None,
        });
        rest = chars.as_str();
    }
    text.push_str(rest);
    Some(text)
}

/// One or, if the first is the half of a character, two units of UTF-16.
fn unicode(chars: &mut Chars<'_>) -> Option<char> {
    let first = unit(chars)?;
    if let Ok(c) = char::decode_utf16([first]).next()? {
        return Some(c);
    }
    *chars = chars.as_str().strip_prefix("\\u")?.chars();
    char::decode_utf16([first, unit(chars)?]).next()?.ok()
}

fn unit(chars: &mut Chars<'_>) -> Option<u16> {
    let (digits, rest) = chars.as_str().split_at_checked(4)?;
    *chars = rest.chars();
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok()).flatten()
}
