//! The reading of a JWT's payload agrees with `serde_json`, which reads all of it: a JSON object, and its last `exp`
//! and `iat`.

mod support;

use proptest::prelude::*;

use support::fuzzed::token_string;
use support::rig::jwt;

/// Pieces of payloads, valid and invalid.
const PARTS: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"exp\"",
    "\"iat\"",
    "\"\\u0065xp\"",
    "\"ex\"",
    "\"exp0\"",
    "\"\\ud83dexp\"",
    "\"\"",
    "\"1700003600\"",
    "\"17000\\u003036\\u0030\\u0030\"",
    "\"1\\u0661\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\x\"",
    "\"\\u00g0\"",
    "\"žluťoučký 𝄞\"",
    "\"a\u{1}\"",
    "\"",
    "\\",
    "true",
    "false",
    "null",
    "nul",
    "0",
    "-0",
    "-",
    "1700003600",
    "1700003600.5",
    "1.7e9",
    "17E+8",
    "1e-2",
    "1e400",
    "-1e400",
    "00",
    "1.",
    ".5",
    " ",
    "\t\r\n",
    "\u{b}",
    "\u{feff}",
];

const CLAIMS: &str = r#" {"a" : [ {"b":[]} , {} , [1,-2.5e+3, true] ] ,"\u0065xp" :"170000\u00333600" ,"iat":1700000000.25
,"exp":1700003600.125,"n\"":null,"ž":"\ud834\udd1e\\ 𝄞","iat":1.69e9, "last" : false } "#;

/// Fails when `fields` takes the first of two equal names, a name that only begins like the right one, or an object
/// followed by more text.
#[test]
fn what_is_almost_json_is_what_it_is_to_serde_json() {
    for value in [
        "[1,]",
        "[,1]",
        "[,]",
        "[1 1]",
        "[1:1]",
        "[\"a\":1]",
        "[1",
        "]",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\",1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":1}",
        "{\"a\":1:1}",
        "{\"a\":1,\"exp\":1}",
        "{1:1}",
        "{a:1}",
        "{\"exp\\u0061\":1,\"iat\\u0000\":1}",
        "{\"ex\\u0070\":1}",
        "tru",
        "truee",
        "True",
        "nulL",
        "1-1",
        "1e5.5",
        "--1",
        "",
    ] {
        token_string(&jwt(value));
        token_string(&jwt(format!("{{\"exp\":1700003600,\"x\":{value}}}")));
        token_string(&jwt(format!("{{\"x\":[{value},{value}],\"exp\":1700003600}}")));
        token_string(&jwt(format!("{{\"exp\":{value},\"x\":{{\"x\":{value}}}}}")));
    }
}

/// Fails when `Name` is read as bytes (and accepts a control character), or `payload` refuses bytes that are not UTF-8.
#[test]
fn any_byte_in_a_string_is_what_it_is_to_serde_json() {
    for byte in 0..=u8::MAX {
        for (before, after) in (0..9).flat_map(|before| [(before, 0), (before, 9)]) {
            let text = [vec![b'x'; before], vec![byte], vec![b'x'; after]].concat();
            token_string(&jwt([b"{\"exp\":1700003600,\"x\":\"", text.as_slice(), b"\"}"].concat()));
            token_string(&jwt([b"{\"exp\":1700003600,\"", text.as_slice(), b"\":1}"].concat()));
            token_string(&jwt([b"{\"exp\":1700003600}", text.as_slice()].concat()));
        }
    }
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(PARTS.as_slice());
    let members = prop::collection::vec((part.clone(), part.clone()), 0..6).prop_map(|members| {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        format!("{{{},\"exp\":1700003600}}", members.join(",")).into_bytes()
    });
    let spoilt =
        (any::<prop::sample::Index>(), 0_usize..3, 0_usize..2, any::<u8>()).prop_map(|(at, out, more, byte)| {
            let mut claims = CLAIMS.as_bytes().to_vec();
            let at = at.index(claims.len() - 2);
            claims.splice(at..at + out, std::iter::repeat_n(byte, more));
            claims
        });
    prop_oneof![prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat().into_bytes()), members, spoilt,]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Fails when `Name` does not unescape, or `seconds` or `digits` accepts one form more or one form less.
    #[test]
    fn any_payload_reads_as_serde_json_reads_it(payload in payload()) {
        token_string(&jwt(payload));
    }
}
