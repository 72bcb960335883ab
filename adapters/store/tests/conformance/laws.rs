//! Rules 1 to 5.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use acs_common_store::{Found, NewRecord, Sealed, StoreErrorKind, Taken};
use futures_lite::{StreamExt, future};

use super::{Host, LEASE, fence, granted, held, name, owner, record, text, wall_clock};

/// Fails when an entry that was never written reads as something, or when releasing nothing is an error.
pub async fn an_empty_entry_has_nothing(host: &(impl Host + Sync)) {
    let (store, name) = (host.store(), name("a"));
    assert_eq!(store.read(&name).await.unwrap(), Found::default());
    store.finish(&name, owner(1), fence(0), None).await.unwrap();
    store.mark(&name, fence(7)).await.unwrap();
    assert_eq!(store.read(&name).await.unwrap(), Found::default());
}

/// Fails when the lease is granted to two, or not released.
pub async fn one_owner_has_the_lease(host: &(impl Host + Sync)) {
    let (first, second, name) = (host.store(), host.store(), name("a"));
    let (fence, found) = granted(first.take(&name, owner(1), LEASE).await);
    assert_eq!(found, Found::default());
    let (left, found) = held(second.take(&name, owner(2), LEASE).await);
    assert!(left <= LEASE && left > LEASE / 2, "{left:?}");
    assert_eq!(found, Found::default());
    first.finish(&name, owner(1), fence, None).await.unwrap();
    let (next, _) = granted(second.take(&name, owner(2), LEASE).await);
    assert!(next > fence);
    held(first.take(&name, owner(1), LEASE).await);
}

/// Fails when an extension gives a new fence, or does not extend.
pub async fn an_owner_extends_its_lease_under_the_same_fence(host: &(impl Host + Sync)) {
    let (store, name) = (host.store(), name("a"));
    let (fence, _) = granted(store.take(&name, owner(1), LEASE).await);
    host.set_clock_ahead(&name, 40_000);
    let (left, _) = held(store.take(&name, owner(2), LEASE).await);
    assert!(left <= Duration::from_secs(20), "{left:?}");
    assert_eq!(granted(store.take(&name, owner(1), LEASE).await).0, fence);
    let (left, _) = held(store.take(&name, owner(2), LEASE).await);
    assert!(left > Duration::from_secs(50), "{left:?}");
}

/// Fails when a process that comes late releases the lease of another one.
pub async fn only_its_owner_releases_a_lease(host: &(impl Host + Sync)) {
    let (store, name) = (host.store(), name("a"));
    let (first, _) = granted(store.take(&name, owner(1), LEASE).await);
    host.set_clock_ahead(&name, 61_000);
    let (second, _) = granted(store.take(&name, owner(2), LEASE).await);
    store.finish(&name, owner(1), first, None).await.unwrap();
    store.finish(&name, owner(1), second, None).await.unwrap();
    held(store.take(&name, owner(3), LEASE).await);
}

/// Fails when a lease lasts too long, or when its end is that of an earlier, longer one.
pub async fn a_lease_ends_by_the_stores_clock(host: &(impl Host + Sync)) {
    let (store, name) = (host.store(), name("a"));
    let (first, _) = granted(store.take(&name, owner(1), LEASE).await);
    host.set_clock_ahead(&name, 50_000);
    held(store.take(&name, owner(2), LEASE).await);
    host.set_clock_ahead(&name, 10_000);
    let (second, _) = granted(store.take(&name, owner(2), Duration::from_secs(20)).await);
    assert!(second > first);
    host.set_clock_ahead(&name, 20_000);
    let (third, _) = granted(store.take(&name, owner(3), LEASE).await);
    assert!(third > second);
    // An owner whose lease has ended, and which nobody took, has the same fence.
    host.set_clock_ahead(&name, 100_000);
    assert_eq!(granted(store.take(&name, owner(3), LEASE).await).0, third);
}

/// Fails when a lease that is longer than it was made stays: a clock set back by a day would lock all out for a day.
pub async fn a_clock_set_back_frees_the_lease(host: &(impl Host + Sync)) {
    let (store, name) = (host.store(), name("a"));
    let (first, _) = granted(store.take(&name, owner(1), LEASE).await);
    store.finish(&name, owner(1), first, record("one")).await.unwrap();
    granted(store.take(&name, owner(1), LEASE).await);
    host.set_clock_ahead(&name, -86_400_000);
    let found = store.read(&name).await.unwrap();
    assert_eq!(found.record.unwrap().age, Duration::ZERO, "an age is never negative");
    let (second, found) = granted(store.take(&name, owner(2), LEASE).await);
    assert!(second > first);
    assert_eq!(text(&found).0, "one");
}

/// Fails when a fence repeats, or starts below the clock: after a loss it would be below one that was given before.
pub async fn fences_grow_and_are_not_below_the_clock(host: &(impl Host + Sync)) {
    let (store, name) = (host.store(), name("a"));
    let mut last = fence(wall_clock().saturating_sub(1_000));
    for round in 0..20 {
        let (next, _) = granted(store.take(&name, owner(round), LEASE).await);
        assert!(next > last, "{next} after {last}");
        store.finish(&name, owner(round), next, None).await.unwrap();
        last = next;
    }
    host.set_clock_ahead(&name, -86_400_000);
    assert!(granted(store.take(&name, owner(100), LEASE).await).0 > last, "also when the clock is set back");
}

/// Fails when a store starts to count anew: a record written before the loss would then be newer than those after it.
pub async fn fences_grow_over_a_loss(host: &(impl Host + Sync)) {
    let (store, name) = (host.store(), name("a"));
    let (before, _) = granted(store.take(&name, owner(1), LEASE).await);
    store.finish(&name, owner(1), before, record("before")).await.unwrap();
    store.mark(&name, before).await.unwrap();
    host.forget();
    assert_eq!(store.read(&name).await.unwrap(), Found::default());
    // Not below the clock: so this needs a millisecond, no more.
    std::thread::sleep(Duration::from_millis(2));
    let (after, found) = granted(store.take(&name, owner(2), LEASE).await);
    assert!(after > before);
    assert_eq!(found, Found::default());
    // The one who had the lease before the loss writes its record; then the one after it, whose record stays.
    store.finish(&name, owner(1), before, record("late")).await.unwrap();
    assert_eq!(text(&store.read(&name).await.unwrap()).0, "late");
    store.finish(&name, owner(2), after, record("after")).await.unwrap();
    store.finish(&name, owner(1), before, record("late")).await.unwrap();
    assert_eq!(text(&store.read(&name).await.unwrap()), ("after", after, false));
}

/// Fails when a record, its fence or its age is lost, or when `take` brings less than `read`.
pub async fn a_record_comes_with_its_fence_and_age(host: &(impl Host + Sync)) {
    let (store, other, name) = (host.store(), host.store(), name("a"));
    let (first, _) = granted(store.take(&name, owner(1), LEASE).await);
    store.finish(&name, owner(1), first, record("one")).await.unwrap();
    host.set_clock_ahead(&name, 90_000);
    let found = other.read(&name).await.unwrap();
    assert_eq!(text(&found), ("one", first, false));
    let age = found.record.unwrap().age;
    assert!(age >= Duration::from_secs(90) && age < Duration::from_secs(120), "{age:?}");
    let (second, found) = granted(other.take(&name, owner(2), LEASE).await);
    assert_eq!(text(&found), ("one", first, false));
    let (_, found) = held(store.take(&name, owner(3), LEASE).await);
    assert_eq!(text(&found), ("one", first, false));
    other.finish(&name, owner(2), second, record("two")).await.unwrap();
    let found = store.read(&name).await.unwrap();
    assert_eq!(text(&found), ("two", second, false));
    let age = found.record.unwrap().age;
    assert!(age < Duration::from_secs(30), "{age:?}");
}

/// Fails when a process that was stopped in its refresh replaces the record of the one that came after it (law 3).
pub async fn an_older_fence_never_replaces_a_newer_record(host: &(impl Host + Sync)) {
    let (store, name) = (host.store(), name("a"));
    let (first, _) = granted(store.take(&name, owner(1), LEASE).await);
    host.set_clock_ahead(&name, 61_000);
    let (second, _) = granted(store.take(&name, owner(2), LEASE).await);
    store.finish(&name, owner(2), second, record("newer")).await.unwrap();
    store.finish(&name, owner(1), first, record("older")).await.unwrap();
    assert_eq!(text(&store.read(&name).await.unwrap()), ("newer", second, false));
    // The newest is never refused, whichever owner has the lease by now.
    let (third, _) = granted(store.take(&name, owner(3), LEASE).await);
    host.set_clock_ahead(&name, 61_000);
    granted(store.take(&name, owner(4), LEASE).await);
    store.finish(&name, owner(3), third, record("newest")).await.unwrap();
    assert_eq!(text(&store.read(&name).await.unwrap()), ("newest", third, false));
    held(store.take(&name, owner(5), LEASE).await);
}

/// Fails when a repetition makes a record younger, brings an old one back, or releases a lease that was taken since.
pub async fn a_repeated_finish_changes_nothing(host: &(impl Host + Sync)) {
    let (store, name) = (host.store(), name("a"));
    let (first, _) = granted(store.take(&name, owner(1), LEASE).await);
    store.finish(&name, owner(1), first, record("one")).await.unwrap();
    store.mark(&name, first).await.unwrap();
    host.set_clock_ahead(&name, 90_000);
    store.finish(&name, owner(1), first, record("one")).await.unwrap();
    let found = store.read(&name).await.unwrap();
    assert_eq!(text(&found), ("one", first, true));
    assert!(found.record.unwrap().age >= Duration::from_secs(90));
    granted(store.take(&name, owner(2), LEASE).await);
    store.finish(&name, owner(1), first, record("one")).await.unwrap();
    held(store.take(&name, owner(3), LEASE).await);
}

/// Fails when a mark deletes, is forgotten by a new record, or covers a newer one.
pub async fn a_mark_covers_all_records_up_to_its_fence(host: &(impl Host + Sync)) {
    let (store, other, name) = (host.store(), host.store(), name("a"));
    let (first, _) = granted(store.take(&name, owner(1), LEASE).await);
    store.finish(&name, owner(1), first, record("one")).await.unwrap();
    other.mark(&name, first).await.unwrap();
    assert_eq!(text(&store.read(&name).await.unwrap()), ("one", first, true));
    let (second, found) = granted(store.take(&name, owner(2), LEASE).await);
    assert_eq!(text(&found), ("one", first, true));
    store.finish(&name, owner(2), second, record("two")).await.unwrap();
    assert_eq!(text(&store.read(&name).await.unwrap()), ("two", second, false));
    other.mark(&name, second).await.unwrap();
    // An older mark takes nothing back.
    other.mark(&name, first).await.unwrap();
    assert_eq!(text(&store.read(&name).await.unwrap()), ("two", second, true));
    assert!(granted(store.take(&name, owner(3), LEASE).await).0 > second);
}

/// Fails when a mark that overtakes its record is lost.
pub async fn a_mark_may_come_before_its_record(host: &(impl Host + Sync)) {
    let (store, name) = (host.store(), name("a"));
    let (first, _) = granted(store.take(&name, owner(1), LEASE).await);
    store.mark(&name, first).await.unwrap();
    store.finish(&name, owner(1), first, record("one")).await.unwrap();
    assert_eq!(text(&store.read(&name).await.unwrap()), ("one", first, true));
}

/// Fails when a wrong mark covers records that are still to come.
pub async fn a_mark_of_a_fence_that_was_never_given_is_ignored(host: &(impl Host + Sync)) {
    let (store, name) = (host.store(), name("a"));
    let (first, _) = granted(store.take(&name, owner(1), LEASE).await);
    store.mark(&name, fence(first.get() + 1)).await.unwrap();
    store.finish(&name, owner(1), first, record("one")).await.unwrap();
    assert_eq!(text(&store.read(&name).await.unwrap()), ("one", first, false));
    store.mark(&name, acs_common_store::Fence::MAX).await.unwrap();
    assert_eq!(text(&store.read(&name).await.unwrap()), ("one", first, false));
}

/// Fails when two names share an entry.
pub async fn entries_do_not_touch_each_other(host: &(impl Host + Sync)) {
    let (store, one, two) = (host.store(), name("a"), name("b"));
    let (first, _) = granted(store.take(&one, owner(1), LEASE).await);
    let (second, _) = granted(store.take(&two, owner(2), LEASE).await);
    store.finish(&one, owner(1), first, record("one")).await.unwrap();
    store.mark(&one, first).await.unwrap();
    assert_eq!(store.read(&two).await.unwrap(), Found::default());
    store.finish(&two, owner(2), second, record("two")).await.unwrap();
    assert_eq!(text(&store.read(&one).await.unwrap()), ("one", first, true));
    assert_eq!(text(&store.read(&two).await.unwrap()), ("two", second, false));
}

/// Fails when two operations mix: two are granted at once, a fence is given twice, or a record is lost.
pub async fn of_many_at_once_one_is_granted(host: &(impl Host + Sync)) {
    let name = &name("a");
    let stores: Vec<_> = (0..12).map(|_| host.store()).collect();
    let mut fences = Vec::new();
    for round in 0..6 {
        let takes: Vec<_> =
            stores.iter().zip(0..).map(|(store, at)| store.take(name, owner(round * 16 + at), LEASE)).collect();
        let mut granted = Vec::new();
        for (taken, at) in all(takes).await.into_iter().zip(0..) {
            match taken.unwrap() {
                Taken::Granted { fence, .. } => granted.push((at, fence)),
                Taken::Held { .. } => {}
            }
        }
        let [(winner, fence)] = granted[..] else { panic!("granted to {granted:?}") };
        let text = format!("round {round}");
        let finishes: Vec<_> = stores
            .iter()
            .zip(0..)
            .map(|(store, at)| {
                let record = if at == winner { record(&text) } else { None };
                store.finish(name, owner(round * 16 + at), fence, record)
            })
            .collect();
        all(finishes).await.into_iter().for_each(|finished| finished.unwrap());
        assert_eq!(super::text(&stores[0].read(name).await.unwrap()), (&*text, fence, false));
        fences.push(fence);
    }
    assert!(fences.is_sorted_by(|earlier, later| earlier < later), "{fences:?}");
}

/// Polls all at once, and waits for all.
async fn all<T>(futures: Vec<acs_common_store::StoreFuture<T>>) -> Vec<Result<T, acs_common_store::StoreError>> {
    let mut futures: Vec<_> = futures.into_iter().map(Some).collect();
    let mut done: Vec<Option<_>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if let Some(running) = future
                && let Poll::Ready(result) = running.as_mut().poll(context)
            {
                *done = Some(result);
                *future = None;
            }
        }
        if futures.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().map(Option::unwrap).collect()
}

/// Fails when a record of the full length is cut, or when a longer one is stored, which nobody would read.
pub async fn the_largest_record_is_kept_and_no_larger_one(host: &(impl Host + Sync)) {
    let (store, name) = (host.store(), name("a"));
    let (first, _) = granted(store.take(&name, owner(1), LEASE).await);
    // All values of a byte, so that no encoding of text is in the way.
    let bytes: Vec<u8> = (0..Sealed::MAX_LEN).map(|at| (at * 31) as u8).collect();
    let largest = NewRecord::new(Sealed::from_bytes(bytes.clone()), LEASE);
    store.finish(&name, owner(1), first, Some(largest)).await.unwrap();
    let found = store.read(&name).await.unwrap();
    assert!(found.record.unwrap().sealed.as_bytes() == bytes);
    let larger = NewRecord::new(Sealed::from_bytes([&bytes[..], b"x"].concat()), LEASE);
    let error = store.finish(&name, owner(1), first, Some(larger)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misused);
}

/// Fails when who waits is told late, or never, or when a watch sees another entry.
pub async fn a_watch_hints_at_a_finish_and_at_a_mark(host: &(impl Host + Sync)) {
    let (store, other, name) = (host.store(), host.store(), name("a"));
    let (first, _) = granted(store.take(&name, owner(1), LEASE).await);
    let Some(mut hints) = other.watch(&name) else { panic!("these stores have a watch") };
    // The watch may need a moment to begin. It must not miss what happens after its first hint.
    let started = std::time::Instant::now();
    loop {
        store.mark(&name, first).await.unwrap();
        let hinted = async { Some(hints.next().await) };
        if let Some(hint) = future::or(hinted, after(Duration::from_millis(100))).await {
            assert_eq!(hint, Some(()));
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "no hint within 10 s");
        // For a host that looks at what has changed.
        let (again, _) = granted(store.take(&name, owner(1), LEASE).await);
        assert_eq!(again, first);
    }
    while future::or(async { Some(hints.next().await) }, after(Duration::from_millis(300))).await.is_some() {}
    store.finish(&name, owner(1), first, record("one")).await.unwrap();
    let hint = future::or(async { Some(hints.next().await) }, after(Duration::from_secs(10))).await;
    assert_eq!(hint, Some(Some(())), "a hint of the finish");
    drop(hints);
    // Nothing hangs when the watch is gone.
    store.mark(&name, first).await.unwrap();
}

/// `None`, after a while. Its timer needs no runtime.
async fn after<T>(duration: Duration) -> Option<T> {
    smol::Timer::after(duration).await;
    None
}

/// Fails when an operation that is dropped half-way leaves a lock, half a record, or a store that does not work any more.
pub async fn an_operation_may_be_dropped(host: &(impl Host + Sync)) {
    let (store, name) = (host.store(), name("a"));
    let mut last = None;
    for round in 0..40 {
        let mut take = store.take(&name, owner(1), LEASE);
        if round % 2 == 0 {
            // Polled once, so that it has begun.
            let _ = future::poll_once(&mut take).await;
        }
        drop(take);
        let (fence, _) = granted(store.take(&name, owner(1), LEASE).await);
        let mut finish = store.finish(&name, owner(1), fence, record("one"));
        let _ = future::poll_once(&mut finish).await;
        drop(finish);
        store.finish(&name, owner(1), fence, record("one")).await.unwrap();
        let found = store.read(&name).await.unwrap();
        // What was dropped may still happen, also after what came later.
        assert_eq!(text(&found).0, "one");
        assert!(last.is_none_or(|last| last < fence), "{fence} after {last:?}");
        last = Some(fence);
    }
}
