//! Servers that restart, refuse, are full or do not answer.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use acs_common_store::{Found, RedisStore, Store, StoreErrorKind, redis};
use futures_lite::StreamExt as _;

use super::key;
use super::server::Server;
use crate::conformance::{LEASE, granted, held, name, owner, record, text};

/// Runs the test on tokio and on smol, each with a server.
macro_rules! on_both {
    ($($(#[$about:meta])* async fn $name:ident($server:ident) $body:block)*) => {$(
        $(#[$about])*
        #[test]
        fn $name() {
            async fn test(mut $server: Server) {
                // Some need not change it.
                let _ = &mut $server;
                $body
            }
            let Some(server) = Server::start() else { return };
            tokio::runtime::Runtime::new().unwrap().block_on(test(server));
            let Some(server) = Server::start() else { return };
            smol::block_on(test(server));
        }
    )*};
}

on_both! {
    /// Fails when a store is lost with its connection: when the server restarts, each process would have to.
    async fn a_server_that_restarts_is_found_again(server) {
        let (store, name) = (server.store(), name("a"));
        let (first, _) = granted(store.take(&name, owner(1), LEASE).await);
        store.finish(&name, owner(1), first, record("one")).await.unwrap();
        server.restart();
        // The broken connection is not the one who asks' trouble.
        assert_eq!(store.read(&name).await.unwrap(), Found::default());
        let (second, _) = granted(store.take(&name, owner(2), LEASE).await);
        assert!(second > first);
        store.finish(&name, owner(2), second, record("two")).await.unwrap();
        assert_eq!(text(&store.read(&name).await.unwrap()).0, "two");
    }

    /// Fails when a server that is down hangs, or stays down for the store when it is back.
    async fn a_server_that_is_down_is_an_error_at_once(server) {
        let (store, name) = (server.store(), name("a"));
        server.stop();
        let began = Instant::now();
        for _ in 0..3 {
            let error = store.take(&name, owner(1), LEASE).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        server.restart();
        granted(store.take(&name, owner(1), LEASE).await);
    }

    /// Fails when an operation without an answer keeps the next ones waiting.
    async fn a_server_that_is_silent_delays_nothing_for_long(server) {
        let (store, name) = (server.store(), name("a"));
        let (fence, _) = granted(store.take(&name, owner(1), LEASE).await);
        server.signal("-STOP");
        let answered = futures_lite::future::or(
            async { store.read(&name).await.is_ok() },
            async { smol::Timer::after(Duration::from_millis(100)).await; false },
        ).await;
        assert!(!answered);
        server.signal("-CONT");
        store.finish(&name, owner(1), fence, record("one")).await.unwrap();
        assert_eq!(text(&store.read(&name).await.unwrap()).0, "one");
    }

    /// Fails when a connection whose other end is gone without a word is used again.
    async fn a_connection_that_is_silent_is_given_up(server) {
        let (port, muted) = proxy(server.port());
        let (store, name) = (RedisStore::open(&format!("redis://127.0.0.1:{port}/")).unwrap(), name("a"));
        let (fence, _) = granted(store.take(&name, owner(1), LEASE).await);
        muted.store(true, Ordering::SeqCst);
        let answered = futures_lite::future::or(
            async { store.read(&name).await.is_ok() },
            async { smol::Timer::after(Duration::from_millis(100)).await; false },
        ).await;
        assert!(!answered);
        let finished = futures_lite::future::or(
            async { store.finish(&name, owner(1), fence, record("one")).await.is_ok() },
            async { smol::Timer::after(Duration::from_secs(10)).await; false },
        ).await;
        assert!(finished, "the next operation makes a new connection");
        assert_eq!(text(&store.read(&name).await.unwrap()).0, "one");
    }

    /// Fails when a server that does not know the scripts fails.
    async fn scripts_that_the_server_forgot_are_sent_again(server) {
        let (store, name) = (server.store(), name("a"));
        for round in 0..3 {
            let (fence, _) = granted(store.take(&name, owner(round), LEASE).await);
            let _: () = server.ask(&[b"SCRIPT", b"FLUSH"]);
            store.finish(&name, owner(round), fence, record("one")).await.unwrap();
            let _: () = server.ask(&[b"SCRIPT", b"FLUSH"]);
            assert_eq!(text(&store.read(&name).await.unwrap()).0, "one");
        }
    }

    /// Fails when a replica or a server without room is taken for a store that answers, or is not found again.
    async fn a_server_that_refuses_is_an_error(server) {
        let (store, name) = (server.store(), name("a"));
        let (fence, _) = granted(store.take(&name, owner(1), LEASE).await);
        let _: () = server.ask(&[b"CONFIG", b"SET", b"maxmemory", b"1"]);
        let error = store.finish(&name, owner(1), fence, record("one")).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
        let _: () = server.ask(&[b"CONFIG", b"SET", b"maxmemory", b"0"]);
        let _: () = server.ask(&[b"REPLICAOF", b"127.0.0.1", b"1"]);
        let error = store.finish(&name, owner(1), fence, record("one")).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
        let _: () = server.ask(&[b"REPLICAOF", b"NO", b"ONE"]);
        store.finish(&name, owner(1), fence, record("one")).await.unwrap();
        assert_eq!(text(&store.read(&name).await.unwrap()).0, "one");
    }

    /// Fails when an entry stays indefinitely, or goes before its record or its lease has ended.
    async fn an_entry_expires_after_its_record_and_its_lease(server) {
        let (store, name) = (server.store(), name("a"));
        let key = key(&name);
        let left = || Duration::from_millis(server.ask(&[b"PTTL", key.as_bytes()]));
        let hour = Duration::from_secs(3_600);
        let (fence, _) = granted(store.take(&name, owner(1), LEASE).await);
        assert!(left() > LEASE && left() <= LEASE + hour, "{:?}", left());
        store.finish(&name, owner(1), fence, record("one")).await.unwrap();
        assert!(left() > hour && left() <= 2 * hour, "{:?}", left());
        store.mark(&name, fence).await.unwrap();
        granted(store.take(&name, owner(2), LEASE).await);
        assert!(left() > hour + LEASE && left() <= 2 * hour, "a short lease does not shorten it: {:?}", left());
    }

    /// Fails when a command is missing in the list of what a user of its own may do, or an error shows the password.
    async fn the_documented_user_may_do_all_that_is_needed(server) {
        let documented = include_str!("../../src/redis_store/mod.rs");
        let from = documented.find("ACL SETUSER").unwrap();
        let rules = documented[from..].split('`').next().unwrap().replace("\n///", "");
        let rules = rules.replace(">password", ">canary-password");
        let words: Vec<&[u8]> = rules.split_ascii_whitespace().map(str::as_bytes).collect();
        let _: () = server.ask(&words);
        let at = server.url().replace("redis://", "");
        let store = RedisStore::open(&format!("redis://acs-common:canary-password@{at}")).unwrap();
        let name = name("a");
        let (fence, _) = granted(store.take(&name, owner(1), LEASE).await);
        let mut hints = store.watch(&name).unwrap();
        assert_eq!(hints.next().await, Some(()), "it has subscribed");
        store.finish(&name, owner(1), fence, record("one")).await.unwrap();
        store.mark(&name, fence).await.unwrap();
        assert_eq!(hints.next().await, Some(()));
        assert_eq!(text(&store.read(&name).await.unwrap()), ("one", fence, true));
        held_or_granted(&store, &name).await;

        let other = store.clone().with_prefix("elsewhere:");
        let error = other.take(&name, owner(1), LEASE).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
        let wrong = RedisStore::open(&format!("redis://acs-common:canary-wrong@{at}")).unwrap();
        let error = wrong.take(&name, owner(1), LEASE).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
        let shown = format!("{error} {error:?} {wrong:?} {:?}", RedisStore::open("redis://:canary@:no-port"));
        assert!(!shown.contains("canary"), "{shown}");
    }

    /// Fails when a store needs a connection of its own making.
    async fn a_connection_of_the_callers_will_do(server) {
        let client = redis::Client::open(server.url()).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        let store = RedisStore::with_connection(move || connection.clone());
        let name = name("a");
        let (fence, _) = granted(store.take(&name, owner(1), LEASE).await);
        store.finish(&name, owner(1), fence, record("one")).await.unwrap();
        assert_eq!(text(&server.store().read(&name).await.unwrap()).0, "one");
        assert!(store.watch(&name).is_none());
    }
}

/// Passes connections on to the server, until the first one is muted: it stays open, and nothing goes through.
fn proxy(server: u16) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (port, muted) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
    let mutes = Arc::clone(&muted);
    std::thread::spawn(move || {
        for (client, number) in listener.incoming().flatten().zip(0..) {
            let Ok(upstream) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else { continue };
            let both = [(client.try_clone(), upstream.try_clone()), (Ok(upstream), Ok(client))];
            for (from, to) in both {
                let (mut from, mut to, mutes) = (from.unwrap(), to.unwrap(), Arc::clone(&mutes));
                std::thread::spawn(move || {
                    let mut bytes = [0; 4_096];
                    while let Ok(length @ 1..) = from.read(&mut bytes) {
                        let is_muted = number == 0 && mutes.load(Ordering::SeqCst);
                        if !is_muted && to.write_all(&bytes[..length]).is_err() {
                            break;
                        }
                    }
                });
            }
        }
    });
    (port, muted)
}

async fn held_or_granted(store: &RedisStore, name: &acs_common_store::EntryName) {
    granted(store.take(name, owner(1), LEASE).await);
    held(store.take(name, owner(2), LEASE).await);
}

/// Fails when a store that was used in a runtime that has ended does not work in the next one.
#[test]
fn a_store_outlives_its_runtime() {
    let Some(server) = Server::start() else { return };
    let (store, name) = (server.store(), name("a"));
    for _ in 0..2 {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        granted(runtime.block_on(store.take(&name, owner(1), LEASE)));
    }
    granted(smol::block_on(store.take(&name, owner(1), LEASE)));
}

/// Fails when an invalid URL is found out late.
#[test]
fn a_url_is_checked() {
    let error = RedisStore::open("http://127.0.0.1").unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misused);
    assert!(error.to_string().starts_with("this is no URL of a Redis server"), "{error}");
}
