//! Reads a few fields of a JSON object, and leaves no copy of them behind.

use alloc::string::String;
use core::fmt;
use core::str::Chars;

use serde_core::de::{Deserialize as _, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// The JSON text of the named fields of an object. Of duplicates the last one counts, as in `JSON.parse`. `None` if the text is
/// not a JSON object.
///
/// It returns the text for two reasons. `serde_json` returns numbers in another form if anything in the program enables its
/// feature `arbitrary_precision`. And the value may be a secret, so no copy may stay behind.
pub(crate) fn fields<'a, const N: usize>(json: &'a str, names: [&str; N]) -> Option<[Option<&'a str>; N]> {
    // The error about another kind of value would repeat the value.
    if !json.trim_ascii_start().starts_with('{') {
        return None;
    }
    let mut json = serde_json::Deserializer::from_str(json);
    let found = json.deserialize_map(Fields(names)).ok()?;
    json.end().ok()?;
    Some(found)
}

struct Fields<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> Visitor<'de> for Fields<'_, N> {
    type Value = [Option<&'de str>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(index) = map.next_key_seed(Name(&self.0))? {
            match index.and_then(|index| found.get_mut(index)) {
                Some(place) => *place = Some(map.next_value::<&RawValue>()?.get()),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// Finds a key among the names.
struct Name<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        // Read as text: as a string, a lone surrogate in another field's name is an error; as bytes, a control character is
        // not an error.
        let key = <&RawValue>::deserialize(deserializer)?.get();
        let index_of = |key: &[u8]| self.0.iter().position(|name| name.as_bytes() == key);
        let [b'"', plain @ .., b'"'] = key.as_bytes() else { return Ok(None) };
        Ok(index_of(plain).or_else(|| {
            // Names are short, and a search for long texts is slower on them.
            let escaped = plain.iter().copied().any(|byte| byte == b'\\');
            escaped.then(|| string(key)).flatten().and_then(|key| index_of(key.as_bytes()))
        }))
    }
}

/// What a JSON string says. Unescaped by hand: `serde_json` leaves copies of what it unescapes behind.
pub(crate) fn string(json: &str) -> Option<Zeroizing<String>> {
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
