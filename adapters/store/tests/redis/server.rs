//! A `redis-server` of a test's or an example's own.

#![allow(dead_code, unreachable_pub, reason = "each includer uses a part of it")]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use acs_common_store::{RedisStore, redis};

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

    pub fn port(&self) -> u16 {
        self.port
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
