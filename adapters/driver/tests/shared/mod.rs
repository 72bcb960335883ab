//! What a credential must do with a shared store, on every runtime. Each adapter's tests include this suite beside a module `rt`
//! for the runtime (`Clock`, `Credential`, `run`, `sleep`). The store is in memory.

mod entra;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acs_common_driver::store::{
    EntryName, Fence, Found, Hints, MemoryStore, NamingKey, NewRecord, Owner, SealingKeys, SharedStore, SharingOptions,
    Store, StoreError, StoreErrorKind, StoreFuture, Taken,
};
use acs_common_driver::{NewToken, Notice, Policy, RefresherError};

use super::rt;

const HOUR: Duration = Duration::from_secs(3_600);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn shared(store: impl Store + 'static) -> SharedStore {
    let naming = NamingKey::from_base64("cz6Q7dHkgGqVUPq4kd+mkLc7vC4gT1m1Yq0wT7m6iJ8=").unwrap();
    SharedStore::new(store, naming, sealing(1))
}

fn sealing(number: u32) -> SealingKeys {
    SealingKeys::from_base64(number, "nVQk0KYqDx9dZ3WxEw9zmd5TMuLx3cTjRkqyhZ1MPks=").unwrap()
}

/// Counts the tokens that were fetched.
#[derive(Clone, Default)]
struct Issuer(Arc<AtomicUsize>);

impl Issuer {
    fn fetched(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// A refresher that takes 30 ms.
    fn refresher(&self) -> impl FnMut() -> Refreshing + Send + use<> {
        let issuer = self.clone();
        move || {
            let issuer = issuer.clone();
            Box::pin(async move {
                rt::sleep(millis(30)).await;
                let number = issuer.0.fetch_add(1, Ordering::SeqCst) + 1;
                Ok(NewToken::new(format!("t{number}")).with_expires_in(HOUR))
            })
        }
    }

    fn credential(&self, store: &SharedStore) -> rt::Credential {
        let quick = Policy::builder().min_refresh_interval(Duration::ZERO).build().unwrap();
        rt::Credential::with_refresher(self.refresher())
            .policy(quick)
            .shared_through(store.clone(), "agent")
            .spawn()
            .unwrap()
    }
}

type Refreshing = std::pin::Pin<Box<dyn Future<Output = Result<NewToken, RefresherError>> + Send>>;

async fn text(credential: &rt::Credential) -> String {
    credential.get_token().await.unwrap().secret().expose().to_owned()
}

/// A store that does what its name says.
#[derive(Clone, Copy, Debug)]
enum Bad {
    Down,
    Silent,
    Panics,
}

impl Bad {
    fn answer<T: Send + 'static>(self) -> StoreFuture<T> {
        match self {
            Self::Down => Box::pin(async { Err(StoreError::new(StoreErrorKind::Unavailable, "the store is down")) }),
            Self::Silent => Box::pin(std::future::pending()),
            Self::Panics => panic!("a store that panics"),
        }
    }
}

impl Store for Bad {
    fn read(&self, _: &EntryName) -> StoreFuture<Found> {
        self.answer()
    }

    fn take(&self, _: &EntryName, _: Owner, _: Duration) -> StoreFuture<Taken> {
        self.answer()
    }

    fn finish(&self, _: &EntryName, _: Owner, _: Fence, _: Option<NewRecord>) -> StoreFuture<()> {
        self.answer()
    }

    fn mark(&self, _: &EntryName, _: Fence) -> StoreFuture<()> {
        self.answer()
    }

    fn watch(&self, _: &EntryName) -> Option<Hints> {
        None
    }
}

/// Fails when a run refreshes although another one has the lease, or does not take what that one stored.
#[test]
fn twenty_that_start_together_make_one_request() {
    rt::run(async {
        let (issuer, store) = (Issuer::default(), shared(MemoryStore::new()));
        let credentials: Vec<_> = (0..20).map(|_| issuer.credential(&store)).collect();
        let mut from_store = 0;
        let waiting: Vec<_> = credentials.iter().map(|credential| credential.get_token()).collect();
        for token in waiting {
            from_store += usize::from(token.await.unwrap().is_from_store());
        }
        // The requests are polled one after the other: all after the first find the record, or wait for it.
        assert_eq!((issuer.fetched(), from_store), (1, 19));
    });
}

/// As before, and all wait at once.
#[test]
fn those_that_wait_at_once_get_the_token_when_it_comes() {
    rt::run(async {
        let (issuer, store) = (Issuer::default(), shared(MemoryStore::new()));
        let mut notices = Vec::new();
        for _ in 0..8 {
            let quick = Policy::builder().refresh_proactively(true).build().unwrap();
            let refresher = issuer.refresher();
            let credential =
                rt::Credential::with_refresher(refresher).policy(quick).shared_through(store.clone(), "agent");
            let credential = credential.spawn().unwrap();
            notices.push((credential.notices(), credential));
        }
        let mut from_store_count = 0;
        for (notices, credential) in &mut notices {
            let mut told = notices.next().await;
            if matches!(told, Some(Notice::RefreshStarted { .. })) {
                told = notices.next().await;
            }
            let Some(Notice::TokenChanged { from_store, .. }) = told else { panic!("a token comes") };
            assert_eq!(credential.get_token().await.unwrap().is_from_store(), from_store);
            from_store_count += usize::from(from_store);
        }
        assert_eq!((issuer.fetched(), from_store_count), (1, 7));
    });
}

/// Fails when the record is not stored, or when the driver ends before it is.
#[test]
fn the_next_start_makes_no_request() {
    rt::run(async {
        let (issuer, store) = (Issuer::default(), shared(MemoryStore::new()));
        let first = issuer.credential(&store);
        assert_eq!(text(&first).await, "t1");
        first.dispose();
        rt::sleep(millis(20)).await;
        let second = issuer.credential(&store);
        let token = second.get_token().await.unwrap();
        assert_eq!((token.secret().expose(), token.is_from_store(), issuer.fetched()), ("t1", true, 1));
        // Under another name, or with other keys, there is another token.
        let other = rt::Credential::with_refresher(issuer.refresher()).shared_through(store.clone(), "other").spawn();
        assert_eq!(text(&other.unwrap()).await, "t2");
    });
}

/// Fails when a store that fails costs more than its time, costs the token, or is reported twice.
#[test]
fn a_store_that_fails_is_as_good_as_none() {
    std::panic::set_hook(Box::new(|_| {}));
    for bad in [Bad::Down, Bad::Silent, Bad::Panics] {
        rt::run(async {
            let (issuer, store) = (Issuer::default(), shared(bad));
            let credential = issuer.credential(&store);
            let mut notices = credential.notices();
            let before = credential.now().monotonic;
            let token = credential.get_token().await.unwrap();
            let took = credential.now().monotonic.saturating_since(before);
            assert!(!token.is_from_store());
            assert!(took < millis(30 + 250 + 600), "{bad:?}: {took:?}");
            credential.replace(&token).await.unwrap();
            credential.dispose();
            let mut failed = 0;
            while let Some(notice) = notices.next().await {
                failed += usize::from(matches!(notice, Notice::StoreFailed { .. }));
            }
            assert_eq!((failed, issuer.fetched()), (1, 2), "{bad:?}");
        });
    }
}

/// Fails when a rejection is not marked, or when the others drop a token for a mark.
#[test]
fn a_rejection_costs_one_refresh_for_all() {
    rt::run(async {
        let (issuer, store) = (Issuer::default(), shared(MemoryStore::new()));
        let credentials: Vec<_> = (0..5).map(|_| issuer.credential(&store)).collect();
        for credential in &credentials {
            assert_eq!(text(credential).await, "t1");
        }
        let refused = credentials[0].get_token().await.unwrap();
        assert_eq!(credentials[0].replace(&refused).await.unwrap().secret().expose(), "t2");
        // The others keep it until they meet their own 401.
        for credential in &credentials[1..] {
            let refused = credential.get_token().await.unwrap();
            assert_eq!(refused.secret().expose(), "t1");
            let newer = credential.replace(&refused).await.unwrap();
            assert_eq!((newer.secret().expose(), newer.is_from_store()), ("t2", true));
        }
        assert_eq!(issuer.fetched(), 2);
    });
}

/// Fails when what cannot be opened is an error, or stays.
#[test]
fn a_record_that_no_key_opens_is_replaced() {
    rt::run(async {
        let (issuer, memory) = (Issuer::default(), MemoryStore::new());
        let first = shared(memory.clone());
        assert_eq!(text(&issuer.credential(&first)).await, "t1");
        rt::sleep(millis(20)).await;
        let second = SharedStore::new(memory.clone(), first.naming().clone(), sealing(2));
        let credential = issuer.credential(&second);
        let mut notices = credential.notices();
        assert_eq!(text(&credential).await, "t2");
        assert!(matches!(notices.next().await, Some(Notice::RefreshStarted { .. })));
        assert!(matches!(notices.next().await, Some(Notice::StoreRecordUnreadable | Notice::TokenChanged { .. })));
        rt::sleep(millis(20)).await;
        assert_eq!(text(&issuer.credential(&second)).await, "t2");
    });
}

/// Fails when the store forgets, and a credential that holds a token loses it.
#[test]
fn a_store_that_forgets_costs_one_refresh() {
    rt::run(async {
        let (issuer, memory) = (Issuer::default(), MemoryStore::new());
        let store = shared(memory.clone());
        let credential = issuer.credential(&store);
        assert_eq!(text(&credential).await, "t1");
        rt::sleep(millis(20)).await;
        memory.forget();
        assert_eq!(text(&credential).await, "t1");
        assert_eq!(text(&issuer.credential(&store)).await, "t2");
    });
}

/// Fails when options that are refused can be set, or when they are not used.
#[test]
fn the_options_are_used() {
    rt::run(async {
        assert!(SharingOptions::builder().lease(millis(1_999)).build().is_err());
        let options = SharingOptions::builder().store_timeout(millis(20)).build().unwrap();
        let (issuer, store) = (Issuer::default(), shared(Bad::Silent));
        let credential = rt::Credential::with_refresher(issuer.refresher()).shared_through(store, "agent");
        let credential = credential.sharing_options(options).spawn().unwrap();
        let before = credential.now().monotonic;
        credential.get_token().await.unwrap();
        let took = credential.now().monotonic.saturating_since(before);
        assert!(took < millis(240), "{took:?}");
    });
}
