//! The kinds of refreshers, and the errors that they may return.

use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, Ready, ready};
use std::time::Duration;

use acs_common_driver::entra::{EntraOptions, EntraTokenRequest, HttpRequest, HttpResponse, SourceError};
use acs_common_driver::parts::Work;
use acs_common_driver::{
    Builder, Error, FailureCause, IntoRefresher, NewToken, Notice, Policy, Reason, Refresher, RefresherError, Trigger,
};
use acs_common_smol::{CommunicationTokenCredential, Smol};
use smol::future::{block_on, or};

type BoxError = Box<dyn StdError + Send + Sync>;

/// The failure of the only refresh, and the time of the next try.
fn failure<W: Work>(builder: Builder<Smol, W>) -> (FailureCause, Option<Duration>) {
    let (credential, driver) = builder.build().unwrap();
    let mut notices = credential.notices();
    let told = async {
        assert!(matches!(credential.get_token().await, Err(Error::RefreshFailed { .. })));
        let mut told = notices.next().await;
        // A source that fails is all there is: the refresh does not start.
        if matches!(told, Some(Notice::RefreshStarted { trigger: Trigger::First, .. })) {
            told = notices.next().await;
        }
        match told {
            Some(Notice::RefreshFailed { cause, retry_in, .. }) => (cause, retry_in),
            other => panic!("{other:?}"),
        }
    };
    block_on(or(told, async {
        driver.await;
        panic!("it ends with the credential")
    }))
}

fn refreshing<M, R>(refresher: R) -> RefresherError
where
    R: IntoRefresher<M>,
    R::Refresher: Refresher,
{
    let (FailureCause::Refresher(reported), _) = failure(Builder::new(Smol::default(), refresher)) else { panic!() };
    reported
}

#[derive(Debug)]
struct Own;

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("own")
    }
}

impl StdError for Own {}

/// Fails when the bound on the error accepts only some of these types, or when an error is boxed twice.
#[test]
fn a_refresher_may_fail_with_any_type_of_error() {
    assert!(refreshing(|| async { Err::<String, _>(Own) }).get_ref().is::<Own>());
    assert!(refreshing(|| async { Err::<String, _>(BoxError::from(Own)) }).get_ref().is::<Own>());
    assert_eq!(refreshing(|| async { Err::<String, _>("words") }).to_string(), "words");
    assert_eq!(refreshing(|| async { Err::<String, _>(String::from("words")) }).to_string(), "words");
    let chained = refreshing(|| async { Err::<String, _>(anyhow::Error::new(Own).context("while asking")) });
    assert_eq!(chained.to_string(), "while asking");
    assert_eq!(chained.get_ref().source().unwrap().to_string(), "own");
}

/// Fails when a `RefresherError` is wrapped like another error, boxed or not.
#[test]
fn a_refreshers_own_error_passes_through_unchanged() {
    let revoked = || RefresherError::new(Own).permanent();
    for reported in [
        refreshing(move || async move { Err::<String, _>(revoked()) }),
        refreshing(move || async move { Err::<String, BoxError>(revoked().into()) }),
        refreshing(move |_: Reason| async move { Err::<String, _>(revoked()) }),
    ] {
        assert!(reported.is_permanent() && reported.get_ref().is::<Own>(), "{reported:?}");
    }
    let busy = || async {
        Err::<String, BoxError>(RefresherError::new("429").with_retry_after(Duration::from_secs(99)).into())
    };
    let policy = Policy::builder().refresh_proactively(true).jitter(0.0).build().unwrap();
    let (_, retry_in) = failure(Builder::new(Smol::default(), busy).policy(policy));
    assert!(retry_in.unwrap() > Duration::from_secs(90), "{retry_in:?}");
}

/// Fails when a closure gets no reason, or the reason of another call.
#[test]
fn a_refresher_learns_why_it_is_called() {
    let refresher = |reason: Reason| {
        let rejected = reason.rejected.map_or("none".to_owned(), |token| token.secret().expose().to_owned());
        ready(Ok::<_, Own>(format!("{}/rejected-{rejected}", reason.trigger.as_str())))
    };
    let credential = CommunicationTokenCredential::with_refresher(refresher).spawn().unwrap();
    let first = credential.get_token_blocking().unwrap();
    assert_eq!(first.secret().expose(), "first/rejected-none");
    credential.reject(&first);
    let second = credential.get_token_blocking().unwrap();
    assert_eq!(second.secret().expose(), "rejected/rejected-first/rejected-none");
}

/// Fails when only closures are refreshers.
#[test]
fn a_type_that_implements_the_trait_is_a_refresher_too() {
    struct Fixed;
    impl Refresher for Fixed {
        type Future = Ready<Result<NewToken, RefresherError>>;

        fn refresh(&mut self, reason: Reason) -> Self::Future {
            assert_eq!(reason.trigger, Trigger::First);
            ready(Ok("fixed".into()))
        }
    }
    let credential = CommunicationTokenCredential::with_refresher(Fixed).spawn().unwrap();
    assert_eq!(credential.get_token_blocking().unwrap().secret().expose(), "fixed");
}

fn exchanging<S, H>(
    source: impl FnMut(EntraTokenRequest) -> S + 'static,
    client: impl FnMut(HttpRequest) -> H + 'static,
) -> FailureCause
where
    S: Future<Output = Result<&'static str, BoxError>>,
    H: Future<Output = Result<HttpResponse, anyhow::Error>>,
{
    let options = EntraOptions::new("https://contoso.communication.azure.com").unwrap().with_prewarm(false);
    failure(Builder::with_entra(Smol::default(), options, source, client)).0
}

/// Fails when an error of a source or a client is wrapped, or when a signed-out user counts as another failure.
#[test]
fn a_source_and_a_client_may_fail_with_any_error_too() {
    let unused = |_| async { Err(anyhow::anyhow!("the client")) };
    let signed_out = exchanging(|_| async { Err(SourceError::SignedOut.into()) }, unused);
    assert_eq!(signed_out.kind().as_str(), "signed_out");
    let permanent = SourceError::Failed(RefresherError::new("no such tenant").permanent());
    let failed = exchanging(move |_| ready(Err(permanent.clone().into())), unused);
    assert!(failed.is_permanent() && failed.to_string().contains("no such tenant"), "{failed}");
    let failed = exchanging(|_| async { Err("a message".into()) }, unused);
    assert!(failed.to_string().contains("a message"), "{failed}");
    let failed = exchanging(|_| async { Ok("an-Entra-token") }, |_| async { Err(anyhow::anyhow!("no route")) });
    assert!(failed.to_string().contains("no route"), "{failed}");
}
