//! How to test your own code with a credential: fifty minutes of it in some milliseconds, and the same each time.
//! `cargo run -p acs-common-tokio --example paused_time`
//!
//! In a single-threaded runtime tokio's time can be paused: it then jumps to the next timer whenever nothing else is to be done.
//! The credential's clock is tokio's, so its renewals, backoffs and timeouts jump with it. The wall clock runs on, so state a
//! lifetime for the tokens of a test (`with_expires_in`), and no date.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use acs_common_tokio::{CommunicationTokenCredential, NewToken, Policy};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// The code that is tested: it reads a chat once a minute.
struct Inbox {
    credential: CommunicationTokenCredential,
    read: u32,
    failed: u32,
}

impl Inbox {
    async fn poll(&mut self) {
        match self.credential.get_token().await {
            Ok(_token) => self.read += 1,
            Err(_) => self.failed += 1,
        }
    }
}

/// What became of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    /// How often the chat was read, and how often it could not be.
    pub(crate) read: u32,
    pub(crate) failed: u32,
    /// How many tokens the issuer gave, and how often it was down.
    pub(crate) tokens: u32,
    pub(crate) refused: u32,
}

/// Fifty minutes, with an issuer that is down from the ninth to the twelfth.
pub(crate) async fn fifty_minutes() -> Result<Outcome, Box<dyn Error>> {
    let (start, counts) = (Instant::now(), Arc::new([AtomicU32::new(0), AtomicU32::new(0)]));
    let counted = Arc::clone(&counts);
    let refresher = move || {
        let is_down = (9 * MINUTE..12 * MINUTE).contains(&start.elapsed());
        counted[usize::from(is_down)].fetch_add(1, Ordering::SeqCst);
        async move {
            let token = NewToken::new("eyJhbGci").with_expires_in(20 * MINUTE);
            if is_down { Err("the issuer is down") } else { Ok(token) }
        }
    };
    // The same life each time.
    let policy = Policy::builder().refresh_proactively(true).seed(7).build()?;
    let credential = CommunicationTokenCredential::with_refresher(refresher).policy(policy).spawn()?;
    let mut inbox = Inbox { credential, read: 0, failed: 0 };
    for _ in 0..50 {
        inbox.poll().await;
        tokio::time::sleep(MINUTE).await;
    }
    let [tokens, refused] = [0, 1].map(|which: usize| counts[which].load(Ordering::SeqCst));
    Ok(Outcome { read: inbox.read, failed: inbox.failed, tokens, refused })
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn Error>> {
    let started = std::time::Instant::now();
    let Outcome { read, failed, tokens, refused } = fifty_minutes().await?;
    println!("the chat was read {read} times, and could not be read {failed} times");
    println!("the issuer gave {tokens} tokens, and was down {refused} times");
    println!("fifty minutes took {} ms", started.elapsed().as_millis());
    Ok(())
}
