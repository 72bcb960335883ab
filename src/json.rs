//! Reading a few fields of a JSON object, and keeping nothing of the rest.

use alloc::string::String;
use core::fmt;

use serde_core::de::{Deserialize as _, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// The JSON text of the named fields of an object; of duplicates the last counts, as in `JSON.parse`. `None` if the text
/// is no JSON object.
///
/// The text, since `serde_json` hands over numbers in another form when anything in the program turns its feature
/// `arbitrary_precision` on; and since the value may be a secret, of which no copy is to be left behind.
pub(crate) fn fields<'a, const N: usize>(json: &'a str, names: [&str; N]) -> Option<[Option<&'a str>; N]> {
    let mut json = serde_json::Deserializer::from_str(json);
    let found = json.deserialize_map(Fields(names)).ok()?;
    json.end().ok()?;
    Some(found)
}

/// A JSON string, unescaped.
pub(crate) fn string(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
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

/// Which of the names a key is.
struct Name<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        // The text: as a string a lone surrogate in another field's name would be an error, and as bytes a control
        // character would be none.
        let key = <&RawValue>::deserialize(deserializer)?.get();
        let index_of = |key: &[u8]| self.0.iter().position(|name| name.as_bytes() == key);
        let [b'"', plain @ .., b'"'] = key.as_bytes() else { return Ok(None) };
        Ok(index_of(plain).or_else(|| {
            // Names are short: a search that is made for long texts takes longer.
            let escaped = plain.iter().copied().any(|byte| byte == b'\\');
            escaped.then(|| string(key).map(Zeroizing::new)).flatten().and_then(|key| index_of(key.as_bytes()))
        }))
    }
}
