//! A server of a test's own, and what can happen to it.

#![allow(unreachable_pub, reason = "a module of one test")]

mod faults;
mod server;

use std::pin::Pin;

use acs_common_store::{EntryName, Store, redis};

use crate::conformance::{Host, Rubbish};
use server::Server;

pub fn key(name: &EntryName) -> String {
    format!("acs-common:{name}")
}

pub struct Redis {
    tokio: Option<tokio::runtime::Runtime>,
    server: Server,
}

impl Redis {
    pub fn on_tokio() -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Some(Self { tokio: Some(runtime), server: Server::start()? })
    }

    pub fn on_smol() -> Option<Self> {
        Some(Self { tokio: None, server: Server::start()? })
    }
}

impl Host for Redis {
    fn store(&self) -> Box<dyn Store> {
        Box::new(self.server.store())
    }

    fn run(&self, future: Pin<Box<dyn Future<Output = ()> + Send + '_>>) {
        match &self.tokio {
            Some(runtime) => runtime.block_on(future),
            None => smol::block_on(future),
        }
    }

    /// The clock is the server's, so the times in the hash are set back instead.
    fn set_clock_ahead(&self, name: &EntryName, millis: i64) {
        let key = key(name);
        for field in ["ends", "written"] {
            if self.server.ask(&[b"HEXISTS", key.as_bytes(), field.as_bytes()]) {
                let by = (-millis).to_string();
                let _: i64 = self.server.ask(&[b"HINCRBY", key.as_bytes(), field.as_bytes(), by.as_bytes()]);
            }
        }
    }

    fn forget(&self) {
        let _: () = self.server.ask(&[b"FLUSHALL"]);
    }

    fn plant(&self, name: &EntryName, rubbish: Rubbish) -> bool {
        let key = key(name);
        let key = key.as_bytes();
        let huge = match rubbish {
            // The whole size once is enough.
            Rubbish::Huge => vec![b'x'; if self.tokio.is_some() { 100_000_000 } else { 5_000_000 }],
            _ => Vec::new(),
        };
        let words: &[&[u8]] = match rubbish {
            Rubbish::Huge => &[b"HSET", key, b"record", &huge],
            Rubbish::Noise => &[b"SET", key, b"\x00\xffnoise"],
            Rubbish::Empty => &[b"SET", key, b""],
            Rubbish::Half => &[b"HDEL", key, b"written"],
            Rubbish::Later => &[b"HSET", key, b"version", b"2"],
            Rubbish::Numbers => &[b"HSET", key, b"given", b"9007199254740991"],
        };
        let _: redis::Value = self.server.ask(words);
        true
    }

    fn dump(&self) -> Vec<u8> {
        let mut dump = Vec::new();
        let keys: Vec<Vec<u8>> = self.server.ask(&[b"KEYS", b"*"]);
        for key in keys {
            let fields: Vec<Vec<u8>> = self.server.ask(&[b"HGETALL", &key]);
            dump.extend(key);
            dump.extend(fields.concat());
        }
        dump
    }
}
