//! The Azure SDK for Rust (feature `azure`): its credentials as sources of Entra tokens, and this library's credential
//! as a credential for the SDK's clients; and a policy that authorizes their requests.

mod policy;

pub use policy::AuthorizePolicy;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use acs_common::entra::EntraToken;
use acs_common::{Error, UnixTime};
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::time::OffsetDateTime;

use crate::clock::Clock;
use crate::credential::CommunicationTokenCredential;
use crate::entra::{EntraTokenRequest, EntraTokenSource, SourceError};

/// Any [`TokenCredential`] as a source of Entra tokens: for instance every credential of `azure_identity`.
///
/// The SDK's credentials cache their tokens and renew them about five minutes before the expiry. They have no option to
/// skip the cache. So after a 401 they may return the same token again, and then the refresh fails.
///
/// ```
/// use acs_common_driver::azure::AzureTokenSource;
/// use acs_common_driver::entra::{EntraOptions, HttpRequest, HttpResponse};
/// use acs_common_tokio::CommunicationTokenCredential;
/// use azure_core::credentials::TokenCredential;
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # // Stands for a credential of `azure_identity`.
/// # let identity: Arc<dyn TokenCredential> =
/// #     Arc::new(CommunicationTokenCredential::with_static_token("from-Entra")?);
/// # let client = |_: HttpRequest| async {
/// #     let body = r#"{"accessToken": {"token": "for-chat-and-calls", "expiresOn": "2999-01-01T00:00:00Z"}}"#;
/// #     Ok::<_, std::io::Error>(HttpResponse::new(200).with_body(body.into()))
/// # };
/// let options = EntraOptions::new("https://contoso.communication.azure.com")?;
/// let source = AzureTokenSource::new(identity);
/// let credential = CommunicationTokenCredential::with_entra(options, source, client).spawn()?;
/// assert_eq!(credential.get_token().await?.secret().expose(), "for-chat-and-calls");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AzureTokenSource(Arc<dyn TokenCredential>);

impl AzureTokenSource {
    /// A source that asks this credential.
    #[must_use]
    pub fn new(credential: Arc<dyn TokenCredential>) -> Self {
        Self(credential)
    }
}

impl fmt::Debug for AzureTokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureTokenSource").finish_non_exhaustive()
    }
}

impl EntraTokenSource for AzureTokenSource {
    type Future = Pin<Box<dyn Future<Output = Result<EntraToken, SourceError>> + Send>>;

    fn entra_token(&mut self, request: EntraTokenRequest) -> Self::Future {
        let credential = Arc::clone(&self.0);
        Box::pin(async move {
            let scopes: Vec<&str> = request.scopes.iter().map(String::as_str).collect();
            let token = credential.get_token(&scopes, None).await?;
            let expires_on = UnixTime::from_millis(clamp(token.expires_on.unix_timestamp_nanos() / 1_000_000));
            Ok(EntraToken::new(token.token.secret()).with_expires_on(expires_on))
        })
    }
}

/// Access tokens of Azure Communication Services for the SDK's clients. The scopes must be of Azure Communication Services
/// (`https://communication.azure.com/…`, and those of the Teams extension); any other scope is an error. The token does
/// not depend on the scope.
#[async_trait::async_trait]
impl<C: Clock + Send + Sync + 'static> TokenCredential for CommunicationTokenCredential<C> {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        if let Some(scope) = scopes.iter().find(|scope| !is_ours(scope)) {
            let wrong = format!(
                "this credential gives tokens of Azure Communication Services only, not for the scope {scope:?}"
            );
            return Err(azure_core::Error::with_message(ErrorKind::Credential, wrong));
        }
        let failed = |error: Error| azure_core::Error::new(ErrorKind::Credential, error);
        let token = Self::get_token(self).await.map_err(failed)?;
        let since_epoch = Duration::from_millis(token.expires_on().as_millis().unsigned_abs());
        // The SDK's dates have limits; a moment beyond them becomes the last day, or 1970.
        let expires_on = if token.expires_on() < UnixTime::from_secs(0) {
            OffsetDateTime::UNIX_EPOCH
        } else {
            OffsetDateTime::UNIX_EPOCH
                .checked_add(since_epoch.try_into().unwrap_or(azure_core::time::Duration::MAX))
                .unwrap_or(LAST_DAY)
        };
        Ok(AccessToken::new(token.secret().expose().to_owned(), expires_on))
    }
}

/// The end of the year 9999.
const LAST_DAY: OffsetDateTime = match OffsetDateTime::from_unix_timestamp(253_402_300_799) {
    Ok(moment) => moment,
    Err(_) => OffsetDateTime::UNIX_EPOCH,
};

const HOSTS: [&str; 3] = [
    "https://communication.azure.com/",
    "https://auth.msft.communication.azure.com/",
    "https://auth.msft.communication.azure.us/",
];

fn is_ours(scope: &str) -> bool {
    let starts = |host: &&str| scope.get(..host.len()).is_some_and(|start| start.eq_ignore_ascii_case(host));
    HOSTS.iter().any(starts)
}

fn clamp(millis: i128) -> i64 {
    i64::try_from(millis).unwrap_or(if millis < 0 { i64::MIN } else { i64::MAX })
}
