//! Which 401s are about the token (contract, rule 8.3).

use acs_common::call::CallResponse;
use proptest::prelude::*;

use crate::support::fuzzed;

fn refuses(lines: &[&str]) -> bool {
    lines
        .iter()
        .fold(CallResponse::new(401), |response, line| response.with_challenge(line.as_bytes()))
        .refuses_the_token()
}

/// Fails when a scheme or a name is compared with regard to case, when white space, commas or backslashes confuse the reader,
/// or when only the first line or the first challenge is read.
#[test]
fn a_bearer_challenge_counts_unless_it_says_that_something_else_is_wrong() {
    for lines in [
        &["Bearer"][..],
        &["BEARER realm=\"chat\""],
        &["Bearer error=invalid_token"],
        &["Bearer ERROR = \"invalid_token\""],
        &["Bearer error=\"invalid\\_token\""],
        &["  ,, Bearer\t\trealm=\"a\\\"b, Basic\" ,, error=\"invalid_token\" , "],
        &["Basic realm=\"x\", Bearer"],
        &["Basic dGVzdA==, Bearer error=\"invalid_token\""],
        &["Negotiate abc=, Bearer realm=x"],
        &["Bearer error=\"insufficient_scope\", Bearer error=\"invalid_token\""],
        &["Bearer error=\"insufficient_scope\"", "Bearer"],
        &["Basic", "Bearer"],
        &["HMAC-SHA256", "Bearer error_description=\"error=insufficient_scope\""],
        &["Bearer abc"],
        &["Bearer error=\"invalid_token\", error=\"insufficient_scope\""],
    ] {
        assert!(refuses(lines), "{lines:?}");
    }
}

/// Fails when another code counts, or a challenge without Bearer.
#[test]
fn any_other_challenge_is_the_callers() {
    for lines in [
        &["Bearer error=\"insufficient_scope\""][..],
        &["Bearer error=insufficient_scope, scope=\"a b\""],
        &["bearer realm=\"x\", Error=\"invalid_request\""],
        &["Bearer error=\"Invalid_Token\""],
        &["Bearer error=\"\""],
        &["Basic realm=\"Bearer\""],
        &["Basic realm=\"x\", error=\"invalid_token\""],
        &["BearerX"],
        &["Digest nonce=\"a\", qop=\"auth\"", "Basic realm=\"x\""],
        &["DPoP error=\"invalid_token\""],
        &["Bearer error=\"insufficient_scope\"", "\"garbage"],
        &["Basic realm=x, Bearer error=\"unterminated"],
    ] {
        assert!(!refuses(lines), "{lines:?}");
    }
}

/// Fails when a mistake makes a challenge out of nothing.
#[test]
fn without_a_readable_challenge_a_401_is_about_the_token() {
    for lines in [
        &[][..],
        &[""],
        &[" , "],
        &["\"Bearer error=insufficient_scope\""],
        &["Bearer error=\"insufficient_scope"],
        &["Bearer error=\"insufficient_scope\" scope=\"x\""],
        &["Bearer error=insufficient_scope; scope=x"],
        &["error=\"insufficient_scope\""],
        &["Bearer error=\"insufficient_\u{1}scope\""],
        &["Bearer error="],
        &["B\u{e4}rer error=\"insufficient_scope\""],
    ] {
        assert!(refuses(lines), "{lines:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Fails when `read` disagrees with the crate `http-auth` about a line that both can read.
    #[test]
    fn lines_are_read_as_another_reader_reads_them(
        line in r#"((Basic|[bB]earer|x-y) ?|((realm|error|ERROR|e) ?= ?("(a|,|\\"|\\a| |=|invalid_token|Bearer)*"|a|invalid_token))|,|, | ){0,8}"#
    ) {
        fuzzed::challenge(line.as_bytes());
    }
}
