//! The streams of a credential: its notices, and its latest token.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use acs_common_driver::{Builder, CommunicationTokenCredential, Notice, Policy, Tokens};
use futures_lite::{StreamExt as _, future};

use super::{Calls, HOUR, good, lasting, millis, result_of, rt};

/// A refresh may follow another at once, and a rejection belongs to no streak after 1 ms.
fn hasty() -> Policy {
    let policy = Policy::builder().min_refresh_interval(Duration::ZERO);
    policy.retry_initial(millis(1)).retry_max(millis(1)).build().unwrap()
}

async fn reject_the_token_held(credential: &rt::Credential) {
    let token = credential.get_token().await.unwrap();
    rt::sleep(millis(10)).await;
    credential.reject(&token);
}

async fn pending(tokens: &mut Tokens<rt::Clock>) -> bool {
    let mut next = pin!(tokens.next());
    poll_fn(|context| Poll::Ready(next.as_mut().poll(context).is_pending())).await
}

async fn text(tokens: &mut Tokens<rt::Clock>) -> String {
    tokens.next().await.expect("the stream goes on").secret().expose().to_owned()
}

/// Fails when a listener hears of what happened before it subscribed, whether or not another listener has kept it.
#[test]
fn a_subscriber_is_told_of_no_change_before_it_subscribed() {
    rt::run(async {
        let builder = Builder::new(rt::Clock::default(), good(&Calls::default(), millis(5))).policy(hasty());
        let credential = builder.spawn().unwrap();
        let mut first = credential.notices();
        let token = credential.get_token().await.unwrap();
        let mut second = credential.notices();
        assert!(future::poll_once(second.next()).await.is_none(), "the token in use is no change");
        credential.reject(&token);
        credential.get_token().await.unwrap();
        assert!(matches!(result_of(&mut second).await, Some(Notice::TokenChanged { .. })));
        assert!(future::poll_once(second.next()).await.is_none(), "there was one change");
        for _ in 0..2 {
            assert!(matches!(result_of(&mut first).await, Some(Notice::TokenChanged { .. })));
        }
    });
}

/// Fails when the token held is not given at once, is given twice, or when a token that was replaced or rejected meanwhile is
/// given.
#[test]
fn the_latest_token_is_given_once_and_what_it_replaces_is_skipped() {
    rt::run(async {
        let builder = Builder::new(rt::Clock::default(), good(&Calls::default(), millis(5))).policy(hasty());
        let credential = builder.initial_token(lasting("initial", HOUR)).spawn().unwrap();
        let mut tokens = credential.tokens();
        assert_eq!(text(&mut tokens).await, "initial");
        assert!(pending(&mut tokens).await, "it is given once");
        assert_eq!(text(&mut credential.tokens()).await, "initial", "each stream starts with it");

        for expected in ["r1", "r2"] {
            reject_the_token_held(&credential).await;
            assert!(pending(&mut tokens).await, "a rejected token is not given");
            assert_eq!(credential.get_token().await.unwrap().secret().expose(), expected);
        }
        assert_eq!(text(&mut tokens).await, "r2", "r1 has been replaced");
        assert!(pending(&mut tokens).await);
    });
}

/// Fails when the stream asks for a token itself, or gives one that has expired.
#[test]
fn the_stream_of_tokens_only_watches_and_gives_no_expired_token() {
    rt::run(async {
        let brief = || async { Ok::<_, std::io::Error>(lasting("brief", millis(50))) };
        let credential = Builder::new(rt::Clock::default(), brief).spawn().unwrap();
        let mut tokens = credential.tokens();
        assert!(pending(&mut tokens).await, "it starts no refresh");
        credential.get_token().await.unwrap();
        rt::sleep(millis(100)).await;
        assert!(pending(&mut tokens).await, "it has expired");
    });
}

/// Fails when a waiting stream is not woken, or when a future of it that is dropped takes a token with it.
#[test]
fn a_waiting_stream_gets_each_new_token_and_loses_none() {
    rt::run(async {
        let policy = hasty().to_builder().refresh_proactively(true).build().unwrap();
        let builder = Builder::new(rt::Clock::default(), good(&Calls::default(), millis(20))).policy(policy);
        let credential = builder.spawn().unwrap();
        let mut tokens = credential.tokens();
        for number in 1..=4 {
            for _ in 0..number {
                let given = future::or(async { Some(text(&mut tokens).await) }, async { None }).await;
                assert_eq!(given, None, "the refresh takes a while");
            }
            assert_eq!(text(&mut tokens).await, format!("r{number}"));
            reject_the_token_held(&credential).await;
        }
    });
}

/// Fails when the stream keeps the credential alive, or does not end with it.
#[test]
fn the_stream_of_tokens_ends_with_the_credential() {
    rt::run(async {
        let fixed = CommunicationTokenCredential::<rt::Clock>::with_static_token("fixed").unwrap();
        let tokens = fixed.tokens();
        let (all, ()) = future::zip(tokens.collect::<Vec<_>>(), async {
            rt::sleep(millis(20)).await;
            fixed.dispose();
        })
        .await;
        assert_eq!(all.len(), 1);

        // The last handle is dropped.
        let (calls, refresher) = (Calls::default(), Calls::default());
        let credential = Builder::new(rt::Clock::default(), good(&refresher, millis(5))).spawn().unwrap();
        let mut tokens = credential.tokens();
        let (ended, ()) = future::zip(tokens.next(), async {
            rt::sleep(millis(20)).await;
            drop(credential);
        })
        .await;
        assert!(ended.is_none());

        // The driver ends. What is held is given all the same.
        let builder = Builder::new(rt::Clock::default(), good(&calls, millis(5)));
        let (credential, driver) = builder.initial_token(lasting("initial", HOUR)).build().unwrap();
        let mut tokens = credential.tokens();
        drop(driver);
        assert_eq!(text(&mut tokens).await, "initial");
        assert!(tokens.next().await.is_none());
    });
}
