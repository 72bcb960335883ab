//! What is read of a JWT a piece at a time is what `serde_json` reads of all of it at once.

mod support;

use proptest::prelude::*;

use support::fuzzed::token_string;
use support::rig::jwt;

/// What payloads are made of, right and wrong.
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

/// Bites when any rule of `Reader` stops at the end of a piece.
#[test]
fn nothing_depends_on_where_a_piece_ends() {
    for space in 0..400 {
        token_string(&jwt(format!("{{\"x\":\"{}\",{}", "x".repeat(space), &CLAIMS[2..])));
        let long = "0".repeat(space * 2);
        token_string(&jwt(format!("{}{{\"exp\":1700003600.{long}1}}", " ".repeat(space))));
        token_string(&jwt(format!("{{\"exp\":\"{long}1700003600\"}}")));
        token_string(&jwt(format!("{{\"x\":{}{},\"exp\":1700003600}}", "[".repeat(space), "]".repeat(space))));
    }
}

/// Bites when `Within` forgets one of `outer`, or which of both it was, or takes any end for one.
#[test]
fn what_has_begun_is_ended_by_its_like_however_deep() {
    for depth in (0..8).chain(60..68).chain(124..132).chain([200]) {
        let kinds: Vec<bool> = (0..depth).map(|level| level % 3 == 0 || level % 64 == 7).collect();
        let opened: String = kinds.iter().map(|object| if *object { "{\"a\":" } else { "[" }).collect();
        let closed: String = kinds.iter().rev().map(|object| if *object { '}' } else { ']' }).collect();
        token_string(&jwt(format!("{{\"x\":{opened}1{closed},\"exp\":1700003600}}")));
        token_string(&jwt(format!("{{\"x\":{opened}1{closed}],\"exp\":1700003600}}")));
        for at in 0..depth {
            let other = if closed.as_bytes()[at] == b'}' { "]" } else { "}" };
            let wrong = format!("{}{other}{}", &closed[..at], &closed[at + 1..]);
            token_string(&jwt(format!("{{\"x\":{opened}1{wrong},\"exp\":1700003600}}")));
        }
    }
}

/// Bites when `skip` or `dates` asks for less than there has to be, or for more, or `name` takes one for the other that it
/// begins with.
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

/// Bites when `special` or the rest of `until_special` misses a byte, or takes another for one.
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

/// Bites when `decode` takes what a piece lacks, or has too much of, for the end.
#[test]
fn padding_stands_at_the_end_of_all_only() {
    let whole = jwt(format!("{{\"exp\":1700003600,\"x\":\"{}\"}}", "x".repeat(1_127)));
    let [header, payload, signature] = whole.split('.').collect::<Vec<_>>()[..] else { panic!("{whole}") };
    assert_eq!(payload.len() % 512, 0, "it ends where a piece does");
    for more in ["", "=", "==", "A", "AA", "IA==", "IA=", "IA", "ICA=", "ICAg", "ICAg=", "*"] {
        token_string(&format!("{header}.{payload}{more}.{signature}"));
        for at in (0..payload.len()).filter(|at| at % 512 > 500) {
            let (before, after) = payload.split_at(at);
            token_string(&format!("{header}.{before}{more}{after}.{signature}"));
            token_string(&format!("{header}.{before}{more}{}.{signature}", &after[more.len().min(after.len())..]));
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

    /// Bites when any rule of `Reader` is left out: what may stand where, what ends a number, which escapes there are.
    #[test]
    fn any_payload_reads_as_serde_json_reads_it(payload in payload()) {
        token_string(&jwt(payload));
    }
}
