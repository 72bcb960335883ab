//! A credential on an executor of your own: here one thread for each task, and one for each sleep. It needs a `Clock` and, for
//! `spawn`, a `Spawn`: about ten lines each.
//! `cargo run -p acs-common-driver --example own_runtime`

use std::error::Error;
use std::io;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use acs_common_driver::{Builder, Clock, Monotonic, NewToken, Now, Spawn, SpawnError};
use futures_lite::future::{Boxed, block_on};
use smol::channel;

#[derive(Clone)]
struct Threads {
    start: Instant,
}

impl Clock for Threads {
    type Sleep = Boxed<()>;

    fn now(&self) -> Now {
        Now::new(Monotonic::from_elapsed(self.start.elapsed()), SystemTime::now().into())
    }

    fn sleep(&self, duration: Duration) -> Boxed<()> {
        let (tell, told) = channel::bounded::<()>(1);
        // When the thread has slept, the channel ends. (Without a thread it ends at once: a sleep may be too short.)
        let _detached = thread::Builder::new().spawn(move || {
            thread::sleep(duration);
            drop(tell);
        });
        Box::pin(async move {
            let _ = told.recv().await;
        })
    }
}

impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Threads {
    fn spawn(&self, driver: F) -> Result<(), SpawnError> {
        let thread = thread::Builder::new().name("credential".to_owned()).spawn(|| block_on(driver));
        thread.map(drop).map_err(|_| SpawnError::new("the system has no thread left: end some first"))
    }
}

/// How many tokens a credential gets whose tokens live for `lifetime`, when it is asked until `end` has passed.
pub(crate) fn tokens(lifetime: Duration, end: Duration) -> Result<usize, Box<dyn Error>> {
    let mut number = 0;
    let refresher = move || {
        number += 1;
        let token = NewToken::new(format!("token-{number}")).with_expires_in(lifetime);
        async { Ok::<_, io::Error>(token) }
    };
    let clock = Threads { start: Instant::now() };
    let credential = Builder::new(clock.clone(), refresher).refresh_proactively(true).spawn()?;
    let mut seen: Vec<String> = Vec::new();
    while clock.start.elapsed() < end {
        let token = block_on(credential.get_token())?;
        if seen.last().is_none_or(|last| last != token.secret().expose()) {
            println!("{:4} ms: {}", clock.start.elapsed().as_millis(), token.secret().expose());
            seen.push(token.secret().expose().to_owned());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(seen.len())
}

fn main() -> Result<(), Box<dyn Error>> {
    let count = tokens(Duration::from_secs(4), Duration::from_secs(7))?;
    println!("{count} tokens in seven seconds, each renewed at half of its life");
    Ok(())
}
