//! What the benchmarks share.

use acs_common::{Monotonic, NewToken, Now, UnixTime};
use base64::Engine as _;

/// A JWT of about 1 KiB that expires in the year 3000, as Azure Communication Services mints them (but for the date).
#[must_use]
pub fn jwt() -> String {
    let url = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let header = url.encode(
        r#"{"alg":"RS256","kid":"3F2504E04F8911D39A0C0305E82C3301","x5t":"PyUE4E-JEdOaDAMF6CwzAQ","typ":"JWT"}"#,
    );
    let payload = url.encode(
        r#"{"skypeid":"acs:11111111-2222-3333-4444-555555555555_00000000-aaaa-bbbb-cccc-dddddddddddd","scp":1792,"csi":"1700000000","exp":32503680000,"rgn":"emea","acsScope":"chat,voip","resourceId":"11111111-2222-3333-4444-555555555555","resourceLocation":"europe","iat":1700000000}"#,
    );
    format!("{header}.{payload}.{}", url.encode([0x5a_u8; 384]))
}

/// The same token with its expiry given, so that nothing is decoded.
#[must_use]
pub fn lasting() -> NewToken {
    NewToken::new(jwt()).with_expires_on(UnixTime::from_secs(32_503_680_000))
}

/// So many milliseconds after the start, by both clocks.
#[must_use]
pub fn at(millis: u64) -> Now {
    Now::new(
        Monotonic::from_millis(millis),
        UnixTime::from_millis(1_700_000_000_000_i64.saturating_add_unsigned(millis)),
    )
}
