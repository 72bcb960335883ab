//! The Azure SDK: its credentials as sources of Entra tokens, and our credential for its clients.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use acs_common_driver::azure::AzureTokenSource;
use acs_common_driver::entra::{
    EntraOptions, EntraTokenRequest, EntraTokenSource as _, HttpRequest, HttpResponse, SourceError,
};
use acs_common_driver::{Builder, CommunicationTokenCredential, Error, FailureCause, NewToken, UnixTime};
use acs_common_smol::Smol;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::time::OffsetDateTime;
use futures_lite::future::{block_on, poll_once};
use smol::channel::bounded;

const SCOPE: &str = "https://communication.azure.com/clients/VoIP";

/// Gives a token or fails, and records the requests.
#[derive(Debug)]
struct Identity {
    fails: bool,
    expires_on: OffsetDateTime,
    asked: Mutex<Vec<Vec<String>>>,
}

impl Default for Identity {
    fn default() -> Self {
        Self { fails: false, expires_on: OffsetDateTime::UNIX_EPOCH, asked: Mutex::default() }
    }
}

#[async_trait::async_trait]
impl TokenCredential for Identity {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        self.asked.lock().unwrap().push(scopes.iter().map(ToString::to_string).collect());
        if self.fails {
            return Err(azure_core::Error::with_message(ErrorKind::Credential, "az login has not been run"));
        }
        Ok(AccessToken::new("from-entra", self.expires_on))
    }
}

fn credential(identity: Arc<Identity>) -> CommunicationTokenCredential<Smol> {
    let options = EntraOptions::new("https://contoso.communication.azure.com").unwrap().with_scopes([SCOPE]).unwrap();
    let client = |request: HttpRequest| async move {
        assert!(request.expose_headers().any(|header| header == ("Authorization", "Bearer from-entra")));
        let body = r#"{"accessToken":{"token":"for-calls","expiresOn":"2999-01-01T00:00:00Z"}}"#;
        Ok::<_, std::io::Error>(HttpResponse::new(200).with_body(body.into()))
    };
    Builder::with_entra(Smol::default(), options, AzureTokenSource::new(identity), client).spawn().unwrap()
}

/// The token's expiry that the source gives, in milliseconds.
fn stated(expires_on: OffsetDateTime) -> Option<UnixTime> {
    let (send, receive) = bounded(1);
    let mut source = AzureTokenSource::new(Arc::new(Identity { expires_on, ..Identity::default() }));
    let watched = move |request: EntraTokenRequest| {
        let (answer, send) = (source.entra_token(request), send.clone());
        async move {
            let token = answer.await?;
            send.send(token.expires_on()).await.unwrap();
            Ok::<_, SourceError>(token)
        }
    };
    let options = EntraOptions::new("https://contoso.communication.azure.com").unwrap();
    let client = |_: HttpRequest| std::future::pending::<std::io::Result<HttpResponse>>();
    let _credential = Builder::with_entra(Smol::default(), options, watched, client).spawn().unwrap();
    receive.recv_blocking().unwrap()
}

/// Fails when the source drops the expiry, or cuts it to the second.
#[test]
fn the_expiry_that_the_sdk_knows_is_passed_on() {
    let moment = |secs| OffsetDateTime::from_unix_timestamp(secs).unwrap();
    let precise = moment(7) + Duration::from_micros(1_999);
    for (expires_on, millis) in [
        (precise, 7_001),
        (moment(253_402_300_799), 253_402_300_799_000),
        (moment(-62_135_596_800), -62_135_596_800_000),
    ] {
        assert_eq!(stated(expires_on), Some(UnixTime::from_millis(millis)));
    }
}

/// Fails when `AzureTokenSource` asks for another scope, or changes the token.
#[test]
fn a_credential_of_the_sdk_is_asked_for_exactly_the_scopes_and_its_token_exchanged() {
    let identity = Arc::new(Identity::default());
    let credential = credential(Arc::clone(&identity));
    assert_eq!(block_on(credential.get_token()).unwrap().secret().expose(), "for-calls");
    assert_eq!(*identity.asked.lock().unwrap(), [[SCOPE]]);
}

#[test]
fn the_text_of_the_sdks_error_reaches_the_caller() {
    let error =
        block_on(credential(Arc::new(Identity { fails: true, ..Identity::default() })).get_token()).unwrap_err();
    assert!(error.to_string().contains("az login has not been run"), "{error}");
    let Error::RefreshFailed { cause: FailureCause::Refresher(reported), .. } = error else { panic!() };
    assert!(reported.get_ref().is::<azure_core::Error>());
}

fn as_the_sdk_sees_it(expires_on: UnixTime) -> Arc<dyn TokenCredential> {
    let refresher =
        move || async move { Ok::<_, std::io::Error>(NewToken::new("for-calls").with_expires_on(expires_on)) };
    Arc::new(Builder::new(Smol::default(), refresher).spawn().unwrap())
}

/// Fails when `is_ours` accepts any scope, or when it is case-sensitive.
#[test]
fn the_sdk_gets_our_token_for_our_scopes_only() {
    let credential = as_the_sdk_sees_it(UnixTime::from_secs(4_000_000_000));
    let ours = [SCOPE, "https://communication.azure.com//.default", "HTTPS://Auth.MSFT.communication.azure.US/x"];
    for scopes in [&ours[..], &[]] {
        let token = block_on(credential.get_token(scopes, None)).unwrap();
        assert_eq!((token.token.secret(), token.expires_on.unix_timestamp()), ("for-calls", 4_000_000_000));
    }
    for other in ["https://graph.microsoft.com/.default", "https://communication.azure.com.evil.example/", ""] {
        let error = block_on(credential.get_token(&[SCOPE, other], None)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Credential) && error.to_string().contains(&format!("{other:?}")));
    }
    assert!(!format!("{credential:?}").contains("for-calls"));
}

/// Fails when a moment after the year 9999 is not checked.
#[test]
fn an_expiry_that_the_sdk_cannot_express_is_its_last_day() {
    for (secs, year) in [(253_402_300_800, 9_999), (i64::MAX, 9_999)] {
        let token = block_on(as_the_sdk_sees_it(UnixTime::from_secs(secs)).get_token(&[SCOPE], None)).unwrap();
        assert_eq!(token.expires_on.year(), year);
    }
}

/// Fails when a moment before 1970 becomes the same time after 1970.
#[test]
fn an_expiry_before_1970_is_passed_on_as_1970() {
    for millis in [-1, i64::MIN] {
        let token = NewToken::new("for-calls").with_expires_on(UnixTime::from_millis(millis));
        let held = acs_common_smol::CommunicationTokenCredential::with_static_token(token).unwrap();
        let token = block_on(TokenCredential::get_token(&held, &[SCOPE], None)).unwrap();
        assert_eq!(token.expires_on, OffsetDateTime::UNIX_EPOCH);
    }
}

/// Fails when the call returns only a token that is there at once.
#[test]
fn a_client_of_the_sdk_waits_for_a_refresh_in_flight() {
    let (send, receive) = bounded::<&str>(1);
    let refresher = move || {
        let receive = receive.clone();
        async move { receive.recv().await }
    };
    let credential: Arc<dyn TokenCredential> = Arc::new(Builder::new(Smol::default(), refresher).spawn().unwrap());
    block_on(async {
        let mut waiting = credential.get_token(&[SCOPE], None);
        assert!(poll_once(&mut waiting).await.is_none(), "there is no token yet");
        send.send("at-last").await.unwrap();
        assert_eq!(waiting.await.unwrap().token.secret(), "at-last");
    });
}

/// Fails when our error becomes a string.
#[test]
fn a_client_of_the_sdk_finds_our_error_in_the_sdks_error() {
    let credential = acs_common_smol::CommunicationTokenCredential::with_static_token("for-calls").unwrap();
    credential.dispose();
    let error = block_on(TokenCredential::get_token(&credential, &[SCOPE], None)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Credential));
    assert!(matches!(error.into_inner().unwrap().downcast_ref(), Some(Error::Disposed)));
}

/// Fails when `AzureTokenSource` derives `Debug`: a credential may show its secret.
#[test]
fn a_source_shows_nothing_of_the_credential_it_asks() {
    let asked = Mutex::new(vec![vec!["a-secret".to_owned()]]);
    let revealing = Identity { asked, ..Identity::default() };
    assert!(format!("{revealing:?}").contains("a-secret"));
    assert!(!format!("{:?}", AzureTokenSource::new(Arc::new(revealing))).contains("a-secret"));
}

/// Fails when the builder does not show its options, or when a source shows its credential.
#[test]
fn debug_of_a_source_and_a_builder_shows_no_secret() {
    let source = AzureTokenSource::new(Arc::new(Identity::default()));
    assert_eq!(format!("{source:?}"), "AzureTokenSource { .. }");
    let options = EntraOptions::new("https://contoso.communication.azure.com").unwrap();
    let client = |_: HttpRequest| async { Ok::<_, std::io::Error>(HttpResponse::new(200)) };
    let builder = Builder::with_entra(Smol::default(), options, source, client).refresh_proactively(true);
    let shown = format!("{builder:?}");
    assert!(shown.contains("contoso") && shown.contains("proactive: Some(true)"), "{shown}");
}
