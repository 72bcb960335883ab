//! Random histories, beside a model of an entry that is written a second time.

use std::time::Duration;

use acs_common_store::{Fence, NewRecord, Sealed, Taken};

use super::{Host, name, owner, text};

const LEASE: i64 = 20_000;
/// Real time passes while the test runs. What depends on less than this is not asked.
const BLUR: i64 = 4_000;

#[derive(Default)]
struct Model {
    clock: i64,
    given: u64,
    marked: u64,
    /// Owner, fence, end.
    lease: Option<(u8, u64, i64)>,
    /// Fence, text, when it was written.
    record: Option<(u64, String, i64)>,
}

/// Fails when any law of rules 1 to 4 fails in a combination that no other test has.
pub async fn a_random_history_agrees_with_the_model(host: &(impl Host + Sync)) {
    for seed in 1..=4 {
        history(host, seed).await;
    }
}

async fn history(host: &(impl Host + Sync), seed: u64) {
    let (stores, name) = ([host.store(), host.store(), host.store()], name(&format!("history {seed}")));
    let mut model = Model::default();
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    // The fences that an owner was given, newest last.
    let mut fences: Vec<(u8, u64)> = Vec::new();
    for step in 0..150 {
        let store = &stores[next(3) as usize];
        let who = next(3) as u8;
        let context = format!("seed {seed}, step {step}");
        match next(10) {
            0..3 => {
                let left = model.lease.map_or(0, |lease| lease.2 - model.clock);
                if left.abs() < BLUR && model.lease.is_some() || (left - LEASE).abs() < BLUR && left > LEASE {
                    continue;
                }
                let taken = store.take(&name, owner(who), Duration::from_millis(LEASE as u64)).await.unwrap();
                let expected = match model.lease {
                    Some((holder, fence, _)) if holder == who => Some(Some(fence)),
                    Some(_) if left > 0 && left <= LEASE => None,
                    Some(_) | None => Some(None),
                };
                match (taken, expected) {
                    (Taken::Held { left: told, .. }, None) => {
                        let told = told.as_millis() as i64;
                        assert!((told - left).abs() < BLUR, "{context}: {told} left, {left} expected");
                    }
                    (Taken::Granted { fence, .. }, Some(kept)) => {
                        let highest = model.given.max(model.marked).max(model.record.as_ref().map_or(0, |r| r.0));
                        match kept {
                            Some(kept) => assert_eq!(fence.get(), kept, "{context}"),
                            None => assert!(fence.get() > highest, "{context}: {fence} after {highest}"),
                        }
                        model.given = model.given.max(fence.get());
                        model.lease = Some((who, fence.get(), model.clock + LEASE));
                        fences.push((who, fence.get()));
                    }
                    (taken, expected) => panic!("{context}: {taken:?}, expected {expected:?}"),
                }
            }
            3..6 => {
                let Some(fence) = pick(&fences, &mut next) else { continue };
                let new = (next(4) > 0).then(|| format!("record {}", next(1_000)));
                let stored = new
                    .clone()
                    .map(|text| NewRecord::new(Sealed::from_bytes(text.into_bytes()), Duration::from_secs(3_600)));
                store.finish(&name, owner(who), Fence::new(fence).unwrap(), stored).await.unwrap();
                if let Some(new) = new
                    && model.record.as_ref().is_none_or(|record| record.0 < fence)
                {
                    model.record = Some((fence, new, model.clock));
                }
                if model.lease.is_some_and(|lease| lease.0 == who) {
                    model.lease = None;
                }
            }
            6..8 => {
                let Some(fence) = pick(&fences, &mut next) else { continue };
                let fence = fence + if next(4) == 0 { 1_000_000 } else { 0 };
                store.mark(&name, Fence::new(fence).unwrap()).await.unwrap();
                if fence <= model.given {
                    model.marked = model.marked.max(fence);
                }
            }
            8 => {
                let step = [9_000, 25_000, -7_000, -90_000][next(4) as usize];
                host.set_clock_ahead(&name, step);
                model.clock += step;
            }
            _ => {}
        }
        let found = store.read(&name).await.unwrap();
        assert_eq!(found.loss, None, "{context}");
        match &model.record {
            None => assert!(found.record.is_none(), "{context}: {found:?}"),
            Some((fence, expected, written)) => {
                assert_eq!(
                    text(&found),
                    (&**expected, Fence::new(*fence).unwrap(), *fence <= model.marked),
                    "{context}"
                );
                let age = found.record.as_ref().unwrap().age.as_millis() as i64;
                let expected = (model.clock - written).max(0);
                assert!((age - expected).abs() < BLUR, "{context}: {age} old, {expected} expected");
            }
        }
    }
}

fn pick(fences: &[(u8, u64)], next: &mut impl FnMut(u64) -> u64) -> Option<u64> {
    // Mostly one of the latest.
    let back = next(4) as usize;
    fences.iter().rev().nth(back).or(fences.last()).map(|fence| fence.1)
}
