//! Thousands of tasks and some plain threads use one credential after the other, at the same time and at random. Some
//! cancel their request, some are aborted, some reject their token. The refresher panics, hangs, fails, or returns early
//! or late. In the middle of it the credential is disposed, or all its handles are dropped. Each adapter's tests include
//! this beside their own `Host`.
//!
//! `STRESS_SECONDS=600 cargo test -p acs-common-tokio --test stress` runs for longer. `STRESS_SEED` sets the random seed.

#[path = "../watched/mod.rs"]
mod watched;
mod witness;

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use acs_common_driver::{Builder, Clock, CommunicationTokenCredential, Error, NewToken, Policy, RefresherError, Token};
use fastrand::Rng;
use futures_lite::future;

use watched::Watched;
use witness::Witness;

/// A runtime.
pub(crate) trait Host: Clock<Sleep: Send> + Clone + Default + Send + Sync + 'static {
    type Task: Send;

    fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self::Task;
    /// Aborts the task.
    fn abort(task: Self::Task);
    /// Lets the task run on.
    fn detach(task: Self::Task);
}

type Credential<H> = CommunicationTokenCredential<Watched<H>>;

const TASKS: usize = 2_000;
const THREADS: usize = 4;
/// How long a credential is used.
const LIFE: Duration = Duration::from_millis(500);
/// Much longer than each step takes.
const PATIENCE: Duration = Duration::from_secs(30);

const MIN_INTERVAL: Duration = Duration::from_millis(2);

fn policy(dice: &mut Rng) -> Policy {
    Policy::builder()
        .refresh_proactively(dice.bool())
        .refresh_window(millis(dice.u64(0..100)))
        .background_window(millis(dice.u64(0..100)))
        .min_refresh_interval(MIN_INTERVAL)
        .refresh_timeout(millis(30))
        .retry_initial(millis(1))
        .retry_max(millis(20))
        .request_backoff_max(millis(5))
        .jitter(0.5)
        .build()
        .expect("a policy")
}

/// Runs scenarios, one after the other, until the time is over and everything has happened.
pub(crate) async fn random_load<H: Host>() {
    let seconds = std::env::var("STRESS_SECONDS").map_or(2, |text| text.parse().expect("STRESS_SECONDS is a number"));
    let seed = std::env::var("STRESS_SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().expect("a number"));
    println!("STRESS_SEED={seed}");
    let (mut dice, end) = (Rng::with_seed(seed), Instant::now() + Duration::from_secs(seconds));
    let all = witness::Sum::default();
    // A busy machine needs longer. A law must not hold only because the case that could break it did not happen.
    while Instant::now() < end || (all.missed().is_some() && Instant::now() < end + PATIENCE) {
        life::<H>(&mut dice, &all).await;
    }
    println!("{all}");
    assert_eq!(all.missed(), None, "it never happened");
}

async fn life<H: Host>(dice: &mut Rng, all: &witness::Sum) {
    let witness = Arc::new(Witness::default());
    let clock = Watched::new(H::default(), &witness.clocks, &witness.sleeps);
    let builder = Builder::new(clock, refresher::<H>(&witness, dice.fork())).policy(policy(dice));
    let (credential, driver) = builder.build().expect("no initial token");
    H::detach(H::spawn(driver));

    let started = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        let present = witness.callers.one();
        let (credential, witness, dice) = (credential.clone(), Arc::clone(&witness), dice.fork());
        tasks.push(H::spawn(async move {
            use_it::<H>(&credential, &witness, dice).await;
            drop((credential, present));
        }));
    }
    for _ in 0..THREADS {
        let present = witness.callers.one();
        let (credential, witness) = (credential.clone(), Arc::clone(&witness));
        std::thread::spawn(move || {
            while !witness.is_over() {
                let asked = witness.asks();
                let answer = credential.get_token_blocking();
                witness.sees(&asked, &answer);
                std::thread::sleep(millis(1));
            }
            drop((credential, present));
        });
    }
    for _ in 0..dice.usize(..TASKS / 2) {
        H::abort(tasks.swap_remove(dice.usize(..tasks.len())));
        if dice.u8(..) < 8 {
            pause::<H>(1).await;
        }
    }
    pause::<H>(u64::try_from(LIFE.saturating_sub(started.elapsed()).as_millis()).unwrap_or_default()).await;

    if dice.bool() {
        credential.dispose();
        witness.disposed();
        let asked = witness.asks();
        witness.sees(&asked, &credential.get_token().await);
    }
    drop(credential);
    witness.over();
    tasks.into_iter().for_each(H::detach);
    let waited = Instant::now();
    while witness.left().is_some() {
        assert!(waited.elapsed() < PATIENCE, "the last handle was dropped, and left {:?}", witness.left());
        pause::<H>(1).await;
    }
    assert_eq!(witness.broken(), [""; 0]);
    let most = started.elapsed().as_micros() / MIN_INTERVAL.as_micros() + 2;
    assert!(
        witness.refreshes() as u128 <= most,
        "{} refreshes, and the minimum interval allows {most}",
        witness.refreshes()
    );
    all.add(&witness);
}

/// What a task does with the credential, until the end.
async fn use_it<H: Host>(credential: &Credential<H>, witness: &Witness, mut dice: Rng) {
    let mut reader = dice.bool().then(|| credential.reader());
    while !witness.is_over() {
        pause::<H>(dice.u64(0..150)).await;
        let asked = witness.asks();
        let answer = async {
            Some(match &mut reader {
                Some(reader) => reader.get_token().await.cloned(),
                None => credential.get_token().await,
            })
        };
        // A third of the requests is cancelled early; the others must not wait long.
        let hurried = dice.u8(..3) == 0;
        let patience = if hurried { millis(dice.u64(0..10)) } else { PATIENCE };
        let late = async {
            H::default().sleep(patience).await;
            None
        };
        match future::or(answer, late).await {
            None => {
                witness.holds(hurried, || "a request waited too long".to_owned());
                witness.gives_up();
            }
            Some(answer) => {
                witness.sees(&asked, &answer);
                match answer {
                    Ok(token) if dice.u8(..100) < 3 => reject(credential, witness, &token),
                    Err(Error::Disposed) => return,
                    Ok(_) | Err(_) => {}
                }
            }
        }
        if dice.u8(..100) == 0 {
            credential.retry_now();
        }
    }
}

fn reject<H: Host>(credential: &Credential<H>, witness: &Witness, token: &Token) {
    credential.reject(token);
    // A token that replaced a rejected one stays, as doubtful (contract, rule 2.9). Any other is gone, and stays gone.
    let held = credential.try_token();
    if !held.is_ok_and(|held| held.is_some_and(|held| held.ptr_eq(token))) {
        witness.rejected(token);
    }
}

/// A refresher that fails in every way.
fn refresher<H: Host>(witness: &Arc<Witness>, mut dice: Rng) -> impl FnMut() -> Refreshing + Send + 'static {
    let (witness, task) = (Arc::clone(witness), witness.drivers.one());
    move || {
        let _owned_by_the_driver = &task;
        let call = witness.begins();
        let (fate, delay, life) = (dice.u8(..20), dice.u64(0..8), dice.u64(1..120));
        if fate == 0 {
            // Prints nothing on standard error, unlike `panic!`.
            resume_unwind(Box::new("a panic in the call"));
        }
        Box::pin(async move {
            let call = call;
            pause::<H>(delay).await;
            let token = NewToken::new(call.number.to_string());
            match fate {
                1 => resume_unwind(Box::new("a panic in a poll")),
                2 => future::pending().await,
                3 => Err(RefresherError::new("issuer down")),
                4 => Err(RefresherError::new("signed out").permanent()),
                5 => Ok(token.with_expires_in(Duration::ZERO)),
                _ => Ok(token.with_expires_in(millis(delay + life))),
            }
        })
    }
}

type Refreshing = std::pin::Pin<Box<dyn Future<Output = Result<NewToken, RefresherError>> + Send>>;

async fn pause<H: Host>(length: u64) {
    H::default().sleep(millis(length)).await;
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
