//! No secret shows: not the caller's, not the token, not the one that the service refused.

use acs_common::issuer::{HttpResponse, Issuer};

use super::{at, first, rejected};

const SESSION: &str = "Canary0Session0Qx7vB2mZ9kL4pT8wY3nR6sD1fG5hJ0";
const SHORT: &str = "hunter2";
const CODE: &str = "Canary1Code1Ht5rE8wQ2zX6cV9bN3mK7jL1pO4iU0yT==";
const BODY: &str = "Canary2Body2Pq4wE7rT1yU8iO5aS3dF6gH9jK2lZ0xC";
const REFUSED: &str = "Canary3Refused3Mn6bV3cX8zL1kJ5hG2fD9sA4pO7iU";
const TOKEN: &str = "Canary4Token4Zz9yX8wV7uT6sR5qP4oN3mL2kJ1iH0gF";

/// No piece of a secret of this length shows.
const PIECE: usize = 12;

fn issuer() -> Issuer {
    let url = format!("https://contoso.example/token?code={CODE}&user=jo");
    Issuer::post(&url)
        .and_then(|it| it.with_header("Authorization", &format!("Bearer {SESSION}")))
        .and_then(|it| it.with_header("x-password", SHORT))
        .and_then(|it| it.with_body("application/json", &format!(r#"{{"secret": "{BODY}"}}"#)))
        .and_then(|it| it.with_rejected_token_header("x-refused"))
        .unwrap()
}

#[track_caller]
fn shows_nothing(said: &str) {
    for secret in [SESSION, CODE, BODY, REFUSED, TOKEN] {
        for piece in secret.as_bytes().windows(PIECE).map(|piece| std::str::from_utf8(piece).unwrap()) {
            assert!(!said.contains(piece), "{piece} of {secret} shows: {said}");
        }
    }
    assert!(!said.contains(SHORT), "{said}");
}

/// Fails when a `Debug` is derived, or when the URL is shown with its query.
#[test]
fn no_debug_shows_a_secret() {
    let (issuer, reason) = (issuer(), rejected(REFUSED));
    let request = issuer.request(&reason);
    shows_nothing(&format!("{issuer:?} {request:?} {} {reason:?}", request.display_url()));
    assert!(request.url().contains(CODE) && request.body().contains(BODY));
    let response = HttpResponse::new(200).with_header("x-token", TOKEN).with_body(TOKEN.into());
    shows_nothing(&format!("{response:?} {:?}", issuer.read(&reason, &response, at(0).unix)));
}

/// Fails when a secret is missing from what is removed from the server's texts.
#[test]
fn an_error_that_repeats_a_secret_is_scrubbed() {
    let reason = rejected(REFUSED);
    for secret in [SESSION, CODE, BODY, REFUSED, SHORT] {
        // Half of a long secret is one too.
        let half = if secret == SHORT { "" } else { &secret[secret.len() / 2..] };
        let body = format!(
            r#"{{"error": {{"code": "{secret}", "message": "no: '{secret}', Bearer {secret}, x={secret}", "target": "{half}", "details": [{{"code": "a", "message": "{secret}"}}]}}}}"#
        );
        for status in [200, 403, 500] {
            for body in [body.as_str(), secret, "<html>"] {
                if status == 200 && body == secret {
                    continue;
                }
                let response = quoting(status, secret).with_body(body.into());
                let error = issuer().read(&reason, &response, at(0).unix).unwrap_err();
                shows_nothing(&format!("{error} {error:?}"));
            }
        }
    }
    // What is no secret stays.
    let body = br#"{"error": {"code": "Denied", "message": "jo has no Bearer token in room 7"}}"#.to_vec();
    let error = issuer().read(&first(), &HttpResponse::new(403).with_body(body), at(0).unix).unwrap_err();
    assert_eq!(error.to_string(), "the issuer answered with status 403 (Denied): jo has no Bearer token in room 7");
}

/// Its headers repeat the secret.
fn quoting(status: u16, secret: &str) -> HttpResponse {
    HttpResponse::new(status)
        .with_header("x-ms-error-code", secret)
        .with_header("x-ms-request-id", secret)
        .with_header("Content-Type", secret)
        .with_header("Location", &format!("https://{secret}/"))
        .with_header("WWW-Authenticate", &format!("Bearer error={secret}"))
}

/// Fails when the text of an options' error repeats the value.
#[test]
fn no_error_of_the_options_repeats_a_value() {
    for error in [
        Issuer::get(&format!("https://{SESSION}@contoso.example")).unwrap_err(),
        Issuer::get(&format!("http://contoso.example/?{SESSION}")).unwrap_err(),
        Issuer::get(&format!("https://contoso.example/?{SESSION}#")).unwrap_err(),
        Issuer::get(&format!("https://contoso.example/?{{{SESSION}}}")).unwrap_err(),
        issuer()
            .with_header("x-key", &format!("{SESSION}\r\n"))
            .and_then(|it| it.with_header("x", "\u{7f}"))
            .unwrap_err(),
        issuer().with_header("x-key", &format!("{SESSION}\r\nx: y")).unwrap_err(),
    ] {
        shows_nothing(&format!("{error} {error:?}"));
    }
}
