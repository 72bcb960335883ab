//! A server of a test's own, and what can happen to it.

#![allow(unreachable_pub, reason = "a module of one test")]

mod faults;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use acs_common_store::{EntryName, RedisStore, Store, redis};

use crate::conformance::{Host, Rubbish};

/// A `redis-server` that keeps nothing on disk. It ends with this value.
pub struct Server {
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// `None`, and a line that says so, if there is no such program.
    pub fn start() -> Option<Self> {
        for _ in 0..5 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let mut server = Self { port, process: None };
            if !server.run()? {
                continue;
            }
            return Some(server);
        }
        panic!("redis-server does not start");
    }

    /// Starts the program. `Some(false)`, if it ends at once: another process took the port.
    fn run(&mut self) -> Option<bool> {
        let port = self.port.to_string();
        let arguments = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/tmp"];
        let started = Command::new("redis-server").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(mut process) = started else {
            println!("skipped: there is no program `redis-server`");
            return None;
        };
        let began = Instant::now();
        loop {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                self.process = Some(process);
                return Some(true);
            }
            if process.try_wait().unwrap().is_some() {
                return Some(false);
            }
            assert!(began.elapsed() < Duration::from_secs(20), "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again, on the same port, with nothing in it.
    pub fn restart(&mut self) {
        self.stop();
        assert_eq!(self.run(), Some(true));
    }

    /// Sends a signal.
    pub fn signal(&self, signal: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub fn store(&self) -> RedisStore {
        RedisStore::open(&self.url()).unwrap()
    }

    /// Sends a command beside the stores.
    pub fn ask<T: redis::FromRedisValue>(&self, words: &[&[u8]]) -> T {
        let mut connection = redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        command.query(&mut connection).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

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
