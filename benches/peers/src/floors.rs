//! The floors, which no credential can be faster than: clocks, and ways to share a token.

use std::hint::black_box;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use rustix::time::{ClockId, clock_gettime};

use crate::contender::{Answer, Entry, Facts, Kind, Peer, Source};
use crate::issuer::{Issuer, LENGTH};

pub const ENTRIES: [Entry; 10] = [
    Entry::of::<WallClock>(),
    Entry::of::<MonotonicClock>(),
    Entry::of::<CoarseClock>(),
    Entry::of::<Load>(),
    Entry::of::<CachedLoad>(),
    Entry::of::<LoadFull>(),
    Entry::of::<ArcClone>(),
    Entry::of::<LoadFullAndClocks>(),
    Entry::of::<LockedArcAndClock>(),
    Entry::of::<Allocation>(),
];

/// The floor for an owned token that both clocks check.
pub const OWNED: &str = "an `Arc` out of arc-swap, both coarse clocks";

const fn floor(name: &'static str) -> Facts {
    Facts {
        name,
        package: None,
        kind: Kind::Floor,
        returns: "",
        checks_expiry: false,
        window: Duration::ZERO,
        source: Source::InProcess,
    }
}

fn shared() -> Arc<String> {
    Arc::new("t".repeat(LENGTH))
}

type Cache = arc_swap::Cache<Arc<ArcSwap<String>>, Arc<String>>;

macro_rules! floor {
    ($type:ident, $name:expr, $field:ty = $make:expr, $call:expr) => {
        floor!($type, $name, $field = $make, () = |_: &$field| (), |held: &$field, (): &mut ()| ($call)(held));
    };
    ($type:ident, $name:expr, $field:ty = $make:expr, $own:ty = $own_of:expr, $call:expr) => {
        struct $type($field);

        impl Peer for $type {
            const FACTS: Facts = floor($name);
            type Own = $own;

            async fn new(_: Issuer) -> Result<Self, String> {
                Ok(Self($make))
            }

            fn own(&self) -> $own {
                ($own_of)(&self.0)
            }

            async fn call(&self, own: &mut $own) -> Answer {
                ($call)(&self.0, own);
                Ok(())
            }
        }
    };
}

floor!(WallClock, "`SystemTime::now()`", () = (), |(): &()| {
    black_box(SystemTime::now());
});
floor!(MonotonicClock, "`Instant::now()`", () = (), |(): &()| {
    black_box(Instant::now());
});
floor!(CoarseClock, "coarse wall clock", () = (), |(): &()| {
    black_box(clock_gettime(ClockId::RealtimeCoarse));
});
floor!(Load, "arc-swap `load()`", ArcSwap<String> = ArcSwap::new(shared()), |held: &ArcSwap<String>| {
    black_box(&*held.load());
});
floor!(
    CachedLoad,
    "arc-swap `Cache::load()`",
    Arc<ArcSwap<String>> = Arc::new(ArcSwap::new(shared())),
    Cache = |held: &Arc<_>| Cache::new(Arc::clone(held)),
    |_: &Arc<ArcSwap<String>>, own: &mut Cache| {
        black_box(own.load());
    }
);
floor!(LoadFull, "arc-swap `load_full()`", ArcSwap<String> = ArcSwap::new(shared()), |held: &ArcSwap<String>| {
    black_box(held.load_full());
});
floor!(ArcClone, "`Arc` clone and drop", Arc<String> = shared(), |held: &Arc<String>| {
    black_box(Arc::clone(held));
});
floor!(
    LoadFullAndClocks,
    OWNED,
    ArcSwap<String> = ArcSwap::new(shared()),
    |held: &ArcSwap<String>| {
        black_box((clock_gettime(ClockId::MonotonicCoarse), clock_gettime(ClockId::RealtimeCoarse)));
        black_box(held.load_full());
    }
);
floor!(
    LockedArcAndClock,
    "an `Arc` out of an `RwLock`, `SystemTime::now()`",
    RwLock<Arc<String>> = RwLock::new(shared()),
    |held: &RwLock<Arc<String>>| {
        black_box(SystemTime::now());
        black_box(Arc::clone(&held.read().unwrap_or_else(PoisonError::into_inner)));
    }
);
floor!(Allocation, "1 KiB allocated and freed, as counted here", () = (), |(): &()| {
    black_box(Vec::<u8>::with_capacity(LENGTH));
});
