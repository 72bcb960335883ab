//! The code that the benchmarks share.

pub mod authorized;

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use acs_common::{Action, Machine, Monotonic, NewToken, Now, Policy, RequestId, UnixTime};
use acs_common_driver::{Clock, CommunicationTokenCredential, RefresherError, Token};
use base64::Engine as _;

/// A JWT of about 1 KiB that expires in the year 3000. Except for the date it is like those of Azure Communication Services.
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

/// The same token with an explicit expiry, so that nothing is decoded.
#[must_use]
pub fn lasting() -> NewToken {
    NewToken::new(jwt()).with_expires_on(UnixTime::from_secs(32_503_680_000))
}

/// This many milliseconds after the start, by both clocks.
#[must_use]
pub fn at(millis: u64) -> Now {
    Now::new(
        Monotonic::from_millis(millis),
        UnixTime::from_millis(1_700_000_000_000_i64.saturating_add_unsigned(millis)),
    )
}

/// A machine with this token, on demand.
///
/// # Panics
/// If the token is invalid.
#[must_use]
pub fn machine(token: NewToken) -> Machine<u32> {
    Machine::new(Some(token), Policy::default(), at(0)).expect("a good token")
}

/// Takes all actions. Returns the call among them.
#[inline]
pub fn drain(machine: &mut Machine<u32>) -> Option<RequestId> {
    let mut called = None;
    while let Some(action) = machine.poll_action() {
        if let Action::CallRefresher { request, .. } = &action {
            called = Some(*request);
        }
        black_box(action);
    }
    called
}

/// A refresher that is never called, because the token held is valid.
pub fn refresher() -> std::future::Pending<Result<NewToken, RefresherError>> {
    std::future::pending()
}

/// A credential with a token that stays valid, and its runtime. Keep the runtime as long as the credential.
///
/// # Panics
/// If the runtime cannot be built.
#[must_use]
pub fn on_tokio() -> (tokio::runtime::Runtime, acs_common_tokio::CommunicationTokenCredential) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let within = runtime.enter();
    let builder = acs_common_tokio::CommunicationTokenCredential::with_refresher(refresher);
    let credential = builder.initial_token(lasting()).spawn().expect("a credential");
    drop(within);
    (runtime, credential)
}

/// The same on smol.
///
/// # Panics
/// If its driver cannot be spawned.
#[must_use]
pub fn on_smol() -> acs_common_smol::CommunicationTokenCredential {
    let builder = acs_common_smol::CommunicationTokenCredential::with_refresher(refresher);
    builder.initial_token(lasting()).spawn().expect("a credential")
}

/// The token of a credential that holds one.
///
/// # Panics
/// If it holds none.
#[inline]
pub fn get<C: Clock>(credential: &CommunicationTokenCredential<C>) -> Token {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(credential.get_token()).poll(&mut context) {
        Poll::Ready(Ok(token)) => token,
        other => panic!("no valid token: {other:?}"),
    }
}
