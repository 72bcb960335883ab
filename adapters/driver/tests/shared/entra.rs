//! Entra users: each user has an entry.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use acs_common_driver::entra::{EntraOptions, EntraTokenRequest, HttpRequest, HttpResponse, SourceError};
use acs_common_driver::store::{MemoryStore, SharedStore};
use acs_common_driver::{Builder, Policy};
use base64::Engine as _;

use super::{millis, rt, shared};

/// The Entra token of a user. It reads the same for the same number only.
fn entra(user: &str, number: u32) -> String {
    let payload = format!(r#"{{"tid":"tenant","oid":"{user}","n":{number}}}"#);
    format!("eyJ.{}.", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload))
}

/// Who is signed in here, and a service that all devices share. It refuses what is in `refused` with 401.
#[derive(Clone, Default)]
struct Device {
    signed_in: Arc<Mutex<Option<String>>>,
    /// What the source returns for a fresh token.
    fresh: Arc<Mutex<Option<String>>>,
    service: Service,
}

#[derive(Clone, Default)]
struct Service {
    /// The Entra tokens that were exchanged.
    exchanged: Arc<Mutex<Vec<String>>>,
    refused: Arc<Mutex<Vec<String>>>,
}

impl Device {
    fn of(service: &Service, token: String) -> Self {
        Self { signed_in: Arc::new(Mutex::new(Some(token))), service: service.clone(), ..Self::default() }
    }

    fn credential(&self, store: &SharedStore) -> rt::Credential {
        let device = self.clone();
        let source = move |request: EntraTokenRequest| {
            let fresh = device.fresh.lock().unwrap().clone().filter(|_| request.fresh);
            let token = fresh.or_else(|| device.signed_in.lock().unwrap().clone());
            std::future::ready(token.ok_or(SourceError::SignedOut))
        };
        let service = self.service.clone();
        let client = move |request: HttpRequest| {
            let service = service.clone();
            async move {
                rt::sleep(millis(10)).await;
                let authorization =
                    request.expose_headers().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
                let token = authorization.unwrap().1.trim_start_matches("Bearer ").to_owned();
                if service.refused.lock().unwrap().contains(&token) {
                    return Ok::<_, std::io::Error>(HttpResponse::new(401));
                }
                let mut exchanged = service.exchanged.lock().unwrap();
                let user = token.split('.').nth(1).unwrap().to_owned();
                exchanged.push(token);
                let number = exchanged.len();
                let body = format!(
                    r#"{{"accessToken": {{"token": "{number}-{user}", "expiresOn": "2999-01-01T00:00:00Z"}}}}"#
                );
                Ok(HttpResponse::new(200).with_body(body.into()))
            }
        };
        let options = EntraOptions::new("https://contoso.communication.azure.com").unwrap();
        let quick = Policy::builder().min_refresh_interval(Duration::ZERO).build().unwrap();
        let builder = Builder::with_entra(rt::Clock::default(), options, source, client).policy(quick);
        builder.shared_through(store.clone(), "agent").spawn().unwrap()
    }
}

/// The number of the exchange that the token is from.
async fn number(credential: &rt::Credential) -> String {
    let token = credential.get_token().await.unwrap();
    token.secret().expose().split('-').next().unwrap().to_owned()
}

/// Fails when the user is not a part of the name, or when a device of the same user exchanges for itself.
#[test]
fn each_user_has_a_token() {
    rt::run(async {
        let (service, store) = (Service::default(), shared(MemoryStore::new()));
        for (user, expected) in [("ann", "1"), ("bob", "2"), ("ann", "1"), ("bob", "2")] {
            let device = Device::of(&service, entra(user, 1));
            assert_eq!(number(&device.credential(&store)).await, expected, "{user}");
            rt::sleep(millis(20)).await;
        }
    });
}

/// Fails when a token that cannot be read names an entry: two users could share it.
#[test]
fn who_cannot_be_named_is_alone() {
    rt::run(async {
        let (service, store) = (Service::default(), shared(MemoryStore::new()));
        for expected in ["1", "2"] {
            let device = Device::of(&service, "a.opaque.b".to_owned());
            assert_eq!(number(&device.credential(&store)).await, expected);
            rt::sleep(millis(20)).await;
        }
    });
}

/// Fails when the token of a user who signed out stays in use elsewhere: it is marked.
#[test]
fn signing_out_marks_the_record() {
    rt::run(async {
        let (service, store) = (Service::default(), shared(MemoryStore::new()));
        let device = Device::of(&service, entra("ann", 1));
        let credential = device.credential(&store);
        assert_eq!(number(&credential).await, "1");
        rt::sleep(millis(20)).await;
        *device.signed_in.lock().unwrap() = None;
        credential.retry_now();
        rt::sleep(millis(50)).await;
        assert!(credential.get_token().await.is_err());
        let elsewhere = Device::of(&service, entra("ann", 2)).credential(&store);
        assert_eq!(number(&elsewhere).await, "2", "the record is marked");
    });
}

/// Fails when the token of another user is stored under the first one's name: during the exchange the source gave another user's
/// Entra token.
#[test]
fn a_change_of_the_user_during_an_exchange_is_noticed() {
    rt::run(async {
        let (service, store) = (Service::default(), shared(MemoryStore::new()));
        let device = Device::of(&service, entra("ann", 1));
        *device.fresh.lock().unwrap() = Some(entra("bob", 1));
        service.refused.lock().unwrap().push(entra("ann", 1));
        let token = device.credential(&store).get_token().await.unwrap();
        let payload = entra("bob", 1).split('.').nth(1).unwrap().to_owned();
        assert_eq!(token.secret().expose(), format!("1-{payload}"));
        rt::sleep(millis(50)).await;
        let elsewhere = Device::of(&service, entra("ann", 2)).credential(&store);
        assert_eq!(number(&elsewhere).await, "2", "nothing of ann's is there, and no lease");
    });
}
