//! The cost of a valid token: time with one thread and with two, allocations, memory.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Runtime};

use crate::contender::{Contender, Entry, Kind};
use crate::issuer::{Issuer, LENGTH, Plan};
use crate::{floors, ours, peers, report, verdicts};

const ROUNDS: usize = 400;
const BATCH: Duration = Duration::from_millis(1);
/// A batch of two threads counts only if this part of it ran at the same time.
const OVERLAP: f64 = 0.8;
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

pub struct Lane {
    pub entry: Entry,
    held: Arc<dyn Contender>,
    calls: u32,
    /// Fewer calls, for libraries whose threads wait for each other.
    calls_together: u32,
    /// Nanoseconds per call, for each round: with one thread, and with two.
    alone: Vec<f64>,
    together: Vec<f64>,
    pub allocations: f64,
    heap: Option<i64>,
}

impl Lane {
    pub fn alone(&self) -> f64 {
        quantile(&self.alone, 0.5)
    }

    pub fn together(&self) -> f64 {
        quantile(&self.together, 0.5)
    }
}

pub fn run() {
    let runtime = Runtime::new().expect("a runtime");
    let mut lanes = Vec::new();
    for entry in floors::ENTRIES.iter().chain(&ours::OWNERS).chain(&ours::READERS).chain(peers::ENTRIES) {
        let heap = (entry.facts.kind != Kind::Floor).then(|| heap(*entry));
        let held = runtime.block_on(make(*entry, &Issuer::new(Plan::tokens_of(LIFE))));
        let allocations = allocation_counter::measure(|| _ = held.batch(runtime.handle(), 1_000)).count_total;
        let calls = calibrate(&*held, runtime.handle());
        let calls_together = calibrate_together(&*held, runtime.handle(), calls);
        let allocations = (allocations as f64 / 1_000.0).round();
        lanes.push(Lane {
            entry: *entry,
            held,
            calls,
            calls_together,
            alone: vec![],
            together: vec![],
            allocations,
            heap,
        });
    }
    let mut order = (0..lanes.len()).collect::<Vec<_>>();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..ROUNDS {
        shuffle(&mut order, &mut random);
        for &at in &order {
            let lane = &mut lanes[at];
            let (start, end) = lane.held.batch(runtime.handle(), lane.calls);
            lane.alone.push(nanos(end - start) / f64::from(lane.calls));
            lane.together.extend(both(&*lane.held, runtime.handle(), lane.calls_together));
        }
    }
    for lane in &mut lanes {
        lane.alone.sort_by(f64::total_cmp);
        lane.together.sort_by(f64::total_cmp);
    }
    print(&lanes);
    report::verdicts(&verdicts::of(&lanes));
}

async fn make(entry: Entry, issuer: &Issuer) -> Arc<dyn Contender> {
    let held = (entry.make)(issuer.clone()).await;
    let held = held.unwrap_or_else(|error| panic!("{}: {error}", entry.facts.name));
    held.call().await.unwrap_or_else(|error| panic!("{}: {error}", entry.facts.name));
    held
}

/// The heap bytes of an idle credential without its token, measured as a difference. Allocations of other threads are not
/// counted, so such credentials have no value here.
fn heap(entry: Entry) -> i64 {
    const MANY: i64 = 100;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let issuer = Issuer::new(Plan::tokens_of(LIFE));
    // First the things that exist only once: caches, tables, threads.
    let first = runtime.block_on(make(entry, &issuer));
    let mut held = Vec::with_capacity(MANY as usize);
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..MANY {
                held.push(make(entry, &issuer).await);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        });
    });
    drop(first);
    counted.bytes_current / MANY - LENGTH as i64
}

fn calibrate(held: &dyn Contender, runtime: &Handle) -> u32 {
    let mut calls = 64;
    loop {
        let (start, end) = held.batch(runtime, calls);
        if end - start >= BATCH {
            return calls;
        }
        calls *= 2;
    }
}

fn calibrate_together(held: &dyn Contender, runtime: &Handle, mut calls: u32) -> u32 {
    // The shortest of several, because other processes use the processors too.
    let time = |calls| {
        let tries = (0..8).map(|_| pair(held, runtime, calls).map(|(start, end)| end - start));
        tries.map(|[one, other]| one.max(other)).min().expect("there are some")
    };
    while calls > 64 && time(calls) > 4 * BATCH {
        calls /= 2;
    }
    calls
}

/// The time with two threads and the same credential; `None` if they did not run at the same time.
fn both(held: &dyn Contender, runtime: &Handle, calls: u32) -> Option<f64> {
    let [one, other] = pair(held, runtime, calls);
    let overlap = nanos(one.1.min(other.1).saturating_duration_since(one.0.max(other.0)));
    let (one, other) = (nanos(one.1 - one.0), nanos(other.1 - other.0));
    (overlap >= OVERLAP * one.max(other)).then(|| (one + other) / 2.0 / f64::from(calls))
}

/// The start and the end of each thread.
fn pair(held: &dyn Contender, runtime: &Handle, calls: u32) -> [(Instant, Instant); 2] {
    let here = AtomicUsize::new(0);
    let batch = || {
        // The first thread does not sleep, because on a busy machine it would wake late.
        here.fetch_add(1, Ordering::SeqCst);
        while here.load(Ordering::SeqCst) < 2 {
            hint::spin_loop();
        }
        held.batch(runtime, calls)
    };
    thread::scope(|scope| {
        let other = scope.spawn(batch);
        [batch(), other.join().expect("a batch")]
    })
}

fn nanos(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}

fn shuffle(order: &mut [usize], random: &mut u64) {
    for at in (1..order.len()).rev() {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        order.swap(at, (*random % (at as u64 + 1)) as usize);
    }
}

fn quantile(sorted: &[f64], part: f64) -> f64 {
    sorted.get((sorted.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN)
}

fn print(lanes: &[Lane]) {
    println!("\n## Speed\n");
    println!(
        "A valid token of {LENGTH} B from a credential that holds one. In each of {ROUNDS} rounds each library runs a batch of \
        about {} ms, in random order: with one thread, then with two threads and the same credential. Medians, with the 10th \
        percentile in brackets. Rounds whose two threads did not run at the same time do not count. Heap: the bytes of an idle \
        credential without its token, and without allocations on other threads.\n",
        BATCH.as_millis()
    );
    report::head(&[
        "",
        "version",
        "returns",
        "checks the expiry",
        "1 thread, ns",
        "2 threads, ns",
        "rounds with 2",
        "allocations",
        "heap, B",
    ]);
    for lane in lanes {
        let facts = lane.entry.facts;
        let is_floor = facts.kind == Kind::Floor;
        let figure = |sorted: &[f64]| format!("{:.0} ({:.0})", quantile(sorted, 0.5), quantile(sorted, 0.1));
        report::row(&[
            if is_floor { format!("floor: {}", facts.name) } else { facts.name.to_owned() },
            facts.package.map_or("", report::version).to_owned(),
            facts.returns.to_owned(),
            match (is_floor, facts.checks_expiry) {
                (true, _) => "",
                (false, true) => "yes",
                (false, false) => "**no**",
            }
            .to_owned(),
            figure(&lane.alone),
            figure(&lane.together),
            lane.together.len().to_string(),
            format!("{:.0}", lane.allocations),
            lane.heap.map_or_else(String::new, |heap| heap.to_string()),
        ]);
    }
}
