//! What a response costs does not grow with it.

use acs_common::entra::{ErrorDetail, ErrorResponse, HttpResponse};

use super::errors::refused_for;
use super::support::rig::jwt;

/// As long as those of users in many groups.
fn long_token() -> String {
    let groups: Vec<String> = (0..60).map(|group| format!("{group:08x}-0b1d-47ac-866f-91aae00a1d01")).collect();
    jwt(serde_json::json!({"tid": "t", "oid": "o", "groups": groups}).to_string())
}

/// Each object holds as many more as there is room for, down to more levels than are read.
fn nested(bytes: usize) -> String {
    let words = "not the secret but long words. ".repeat(20);
    let leaf = serde_json::json!({"code": words, "message": words, "target": words}).to_string();
    let mut level = leaf.clone();
    while level.len() * 8 < bytes {
        let list = [level.as_str(); 8].join(",");
        level = leaf.replacen('{', &format!("{{\"details\":[{list}],"), 1);
    }
    let wide = vec![level.as_str(); bytes / level.len()].join(",");
    format!(r#"{{"error":{{"code":"x","details":[{wide}]}}}}"#)
}

fn refused(body: String) -> ErrorResponse {
    refused_for(&long_token(), HttpResponse::new(403).with_body(body.into_bytes()))
}

/// How many details, and how many bytes of text, are kept.
fn kept(details: &[ErrorDetail]) -> (usize, usize) {
    details.iter().fold((0, 0), |(count, bytes), detail| {
        let (more, deeper) = kept(&detail.details);
        let texts = [&detail.code, &detail.message, &detail.target].into_iter().flatten();
        (count + 1 + more, bytes + deeper + texts.map(String::len).sum::<usize>())
    })
}

/// Fails when details are counted by level alone, or each text has a bound and all of them together none.
#[test]
fn ten_times_the_body_is_no_more_to_keep() {
    let (small, large) = (nested(100_000), nested(1_000_000));
    assert!(large.len() > 9 * small.len() && large.len() < 1 << 20, "{} and {}", small.len(), large.len());
    for body in [small, large] {
        let length = body.len();
        let (count, bytes) = kept(&refused(body).details);
        assert_eq!(count, 32, "of {length} bytes");
        assert!((16_384..=33_000).contains(&bytes), "{bytes} of {length} bytes");
    }
}

/// Fails when what is past the bound is shown without a look at it.
#[test]
fn a_token_past_the_bound_is_not_shown() {
    let token = long_token();
    let text = "a b ".repeat(1_024) + &token;
    let listed = vec![serde_json::json!({"code": text, "message": text, "target": token}); 8];
    let body = serde_json::json!({"error": {"message": text, "details": listed, "innererror": {"code": token}}});
    let response = HttpResponse::new(403)
        .with_header("x-ms-request-id", &token)
        .with_header("x-ms-error-code", &token)
        .with_body(body.to_string().into_bytes());
    let shown = format!("{:?}", refused_for(&token, response));
    assert!(!token.as_bytes().windows(12).any(|piece| shown.contains(str::from_utf8(piece).unwrap())), "{shown}");
}

/// Fails when the index of a token's pieces misses the first, the last or one in between.
#[test]
fn each_piece_of_a_token_is_found() {
    let token = "Zq3-xY.7_bC~d+E/fG5hJ8kL2mN4pR6s==";
    for start in 0..=token.len() - 12 {
        let piece = &token[start..start + 12];
        let body = serde_json::json!({"error": {"message": format!("got ({piece})")}});
        let error = refused_for(token, HttpResponse::new(403).with_body(body.to_string().into_bytes()));
        assert_eq!(error.message.as_deref(), Some("got ([removed])"), "{start}");
    }
}
