//! Behaviour in difficult cases: lifetimes of seconds, fetches of milliseconds. Each credential has its default window and
//! retries.

use std::panic;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, join_all};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::contender::{Contender, Entry, Kind};
use crate::issuer::{Issuer, PANIC, Plan, Then};
use crate::report::{self, Verdict, millis};
use crate::{ours, peers};

/// Shorter than all windows, and in whole seconds, because OAuth has only these.
const LIFE: Duration = Duration::from_secs(4);
/// At this time also those credentials are in their window whose window begins at half of the lifetime.
const PAST_HALF: Duration = Duration::from_millis(2_500);
const FETCH: Duration = Duration::from_millis(200);
/// A caller that waited this long waited for a fetch, not because the machine is busy.
const DELAYED: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq)]
enum End {
    Served,
    Refused,
    Panicked,
    Hung,
}

#[derive(Clone, Copy)]
struct Call {
    end: End,
    took: Duration,
}

/// The result of a scenario in words, and whether ours may have this result.
struct Outcome {
    words: String,
    good: bool,
}

type Scenario = fn(Entry) -> BoxFuture<'static, Option<Outcome>>;

const SCENARIOS: [(&str, &str, Scenario); 7] = [
    ("A", "a token shorter than the window, 100 calls in a second: fetches, served", |entry| Box::pin(short(entry))),
    ("B", "50 callers in the window, a fetch takes 200 ms: delayed, worst, fetches", |entry| Box::pin(window(entry))),
    ("C", "64 callers and no token yet: fetches, worst", |entry| Box::pin(cold(entry))),
    ("D", "the first caller cancels during the fetch: result of the second, fetches", |entry| Box::pin(leader(entry))),
    ("E", "the issuer fails while the token is valid, 100 calls: served, worst, attempts and their time", |entry| {
        Box::pin(failing(entry))
    }),
    ("F", "the source panics: its 4 callers, the next call", |entry| Box::pin(panicking(entry))),
    ("G", "the source repeats its token in the window, 100 calls: fetches, delayed, worst", |entry| {
        Box::pin(repeating(entry))
    }),
];

pub fn run() {
    let told = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let planned = panic.payload_as_str().is_some_and(|words| words.contains(PANIC));
        if !planned {
            told(panic);
        }
    }));
    let runtime = Runtime::new().expect("a runtime");
    let entries = ours::OWNERS.iter().chain(peers::ENTRIES).copied().collect::<Vec<_>>();
    let mut cells = entries.iter().map(|entry| vec![entry.facts.name.to_owned()]).collect::<Vec<_>>();
    let mut verdicts = Vec::new();
    for (letter, _, scenario) in SCENARIOS {
        // All at the same time, because they mostly wait.
        let outcomes =
            runtime.block_on(async { join_all(entries.iter().map(|entry| tokio::spawn(scenario(*entry)))).await });
        for ((entry, outcome), cells) in entries.iter().zip(outcomes).zip(&mut cells) {
            let outcome = outcome.unwrap_or_else(|error| panic!("{letter}, {}: {error}", entry.facts.name));
            if let (Kind::Ours, Some(outcome)) = (entry.facts.kind, &outcome) {
                let what = format!("{letter}, {}: {}", entry.facts.name, outcome.words);
                verdicts.push(Verdict { what, held: outcome.good });
            }
            cells.push(outcome.map_or_else(|| "–".to_owned(), |outcome| outcome.words));
        }
    }
    print(&cells, &verdicts);
    runtime.shutdown_background();
}

fn print(cells: &[Vec<String>], verdicts: &[Verdict]) {
    println!("\n## Behaviour\n");
    println!(
        "In real time. A token is valid for {} s unless stated otherwise. Each library has its default window and retries. A \
        dash: not possible, because the source is asked when the credential is built (C, D), or is an HTTP endpoint, which \
        cannot panic (F).\n",
        LIFE.as_secs()
    );
    for (letter, what, _) in SCENARIOS {
        println!("- {letter}: {what}");
    }
    println!();
    report::head(&["", "A", "B", "C", "D", "E", "F", "G"]);
    for cells in cells {
        report::row(cells);
    }
    report::verdicts(verdicts);
}

async fn make(entry: Entry, issuer: &Issuer) -> Arc<dyn Contender> {
    (entry.make)(issuer.clone()).await.unwrap_or_else(|error| panic!("{}: {error}", entry.facts.name))
}

fn call(held: &Arc<dyn Contender>) -> JoinHandle<Call> {
    let held = Arc::clone(held);
    tokio::spawn(async move {
        let start = Instant::now();
        let end = match timeout(PATIENCE, tokio::spawn(async move { held.call().await })).await {
            Ok(Ok(Ok(()))) => End::Served,
            Ok(Ok(Err(_))) => End::Refused,
            Ok(Err(_)) => End::Panicked,
            Err(_) => End::Hung,
        };
        Call { end, took: start.elapsed() }
    })
}

/// Starts `count` calls, with the time `apart` between them.
async fn calls(held: &Arc<dyn Contender>, count: u32, apart: Duration) -> Vec<Call> {
    let mut under_way = Vec::new();
    let start = tokio::time::Instant::now();
    for at in 0..count {
        tokio::time::sleep_until(start + apart * at).await;
        under_way.push(call(held));
    }
    join_all(under_way).await.into_iter().map(|call| call.expect("a call does not panic")).collect()
}

fn served(calls: &[Call]) -> usize {
    calls.iter().filter(|call| call.end == End::Served).count()
}

fn delayed(calls: &[Call]) -> usize {
    calls.iter().filter(|call| call.took > DELAYED).count()
}

fn worst(calls: &[Call]) -> Duration {
    calls.iter().map(|call| call.took).max().unwrap_or_default()
}

async fn short(entry: Entry) -> Option<Outcome> {
    let issuer = Issuer::new(Plan::tokens_of(LIFE));
    let held = make(entry, &issuer).await;
    let calls = calls(&held, 100, Duration::from_millis(10)).await;
    let (fetches, served) = (issuer.fetches(), served(&calls));
    Some(Outcome { words: format!("{fetches}, {served}"), good: fetches == 1 && served == 100 })
}

async fn window(entry: Entry) -> Option<Outcome> {
    let issuer = Issuer::new(Plan::tokens_of(LIFE));
    let held = make(entry, &issuer).await;
    call(&held).await.ok()?;
    sleep(PAST_HALF).await;
    issuer.plan(Plan::tokens_of(LIFE).after(FETCH));
    let before = issuer.fetches();
    let calls = calls(&held, 50, Duration::ZERO).await;
    sleep(FETCH).await;
    let (delayed, fetches) = (delayed(&calls), issuer.fetches() - before);
    let words = format!("{delayed}, {}, {fetches}", millis(worst(&calls)));
    Some(Outcome { words, good: delayed == 0 && fetches == 1 && served(&calls) == 50 })
}

async fn cold(entry: Entry) -> Option<Outcome> {
    if entry.facts.source.at_construction() {
        return None;
    }
    let issuer = Issuer::new(Plan::tokens_of(Duration::from_secs(3_600)).after(FETCH));
    let held = make(entry, &issuer).await;
    let calls = calls(&held, 64, Duration::ZERO).await;
    let fetches = issuer.fetches();
    let words = format!("{fetches}, {}", millis(worst(&calls)));
    Some(Outcome { words, good: fetches == 1 && served(&calls) == 64 })
}

async fn leader(entry: Entry) -> Option<Outcome> {
    if entry.facts.source.at_construction() {
        return None;
    }
    let issuer = Issuer::new(Plan::tokens_of(Duration::from_secs(3_600)).after(FETCH));
    let held = make(entry, &issuer).await;
    let first = Arc::clone(&held);
    let first = tokio::spawn(async move { first.call().await });
    sleep(FETCH / 4).await;
    let second = call(&held);
    sleep(FETCH / 4).await;
    first.abort();
    let second = second.await.ok()?;
    let fetches = issuer.fetches();
    let good = second.end == End::Served && fetches == 1;
    Some(Outcome { words: format!("{} after {}, {fetches}", second.end.word(), millis(second.took)), good })
}

async fn failing(entry: Entry) -> Option<Outcome> {
    let (entry, life) = match entry.facts {
        // With its default policy the renewal is due only after half of the lifetime.
        facts if facts.kind == Kind::Ours => (ours::due(entry), ours::DUE_AFTER + ours::DUE_WINDOW),
        facts if facts.window.is_zero() => (entry, LIFE),
        facts => (entry, facts.window.mul_f64(0.9)),
    };
    let span = life.mul_f64(0.75).min(Duration::from_secs(60));
    let issuer = Issuer::new(Plan::tokens_of(life));
    let held = make(entry, &issuer).await;
    call(&held).await.ok()?;
    sleep(ours::DUE_AFTER).await;
    issuer.plan(Plan::tokens_of(life).then(Then::Fail));
    let before = issuer.fetches();
    let calls = calls(&held, 100, span / 100).await;
    let (served, attempts) = (served(&calls), issuer.fetches() - before);
    let words = format!("{served}, {}, {attempts} in {} s", millis(worst(&calls)), span.as_secs());
    Some(Outcome { words, good: served == 100 && attempts <= 7 })
}

async fn panicking(entry: Entry) -> Option<Outcome> {
    if entry.facts.source.at_construction() || entry.facts.source.is_http() {
        return None;
    }
    let plan = Plan::tokens_of(Duration::from_secs(3_600)).after(FETCH / 4);
    let issuer = Issuer::new(plan.then(Then::Panic));
    let held = make(entry, &issuer).await;
    let calls = calls(&held, 4, Duration::ZERO).await;
    issuer.plan(plan);
    // Longer than our backoff.
    sleep(Duration::from_millis(1_500)).await;
    let next = call(&held).await.ok()?;
    let ends = [End::Served, End::Refused, End::Panicked, End::Hung].into_iter().filter_map(|end| {
        let count = calls.iter().filter(|call| call.end == end).count();
        (count > 0).then(|| format!("{count} {}", end.word()))
    });
    let words = format!("{}; {}", ends.collect::<Vec<_>>().join(", "), next.end.word());
    let good = calls.iter().all(|call| matches!(call.end, End::Served | End::Refused)) && next.end == End::Served;
    Some(Outcome { words, good })
}

async fn repeating(entry: Entry) -> Option<Outcome> {
    let start = Instant::now();
    let plan = Plan::tokens_of(LIFE).then(Then::Repeat(start + LIFE));
    let issuer = Issuer::new(plan);
    let held = make(entry, &issuer).await;
    call(&held).await.ok()?;
    issuer.plan(plan.after(FETCH));
    // Ends one second before the expiry, because OAuth has only whole seconds.
    let calls = calls(&held, 100, Duration::from_millis(28)).await;
    let (fetches, delayed) = (issuer.fetches(), delayed(&calls));
    // Halves of 4 s: one at the start, one after 2 s, one after 3 s.
    let words = format!("{fetches}, {delayed}, {}", millis(worst(&calls)));
    Some(Outcome { words, good: fetches <= 3 && delayed == 0 && served(&calls) == 100 })
}

impl End {
    fn word(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Refused => "an error",
            Self::Panicked => "panicked",
            Self::Hung => "hung",
        }
    }
}
