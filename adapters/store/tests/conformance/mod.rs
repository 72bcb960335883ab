//! What every store must do (contract, section 9, rules 1 to 5, 13 and 15). Each host of a store runs these tests: this module is
//! included in a test of its own for each, with a `Host` that makes stores and reaches behind them.
//!
//! The tests do not wait for time to pass: a host sets the store's clock.

#![allow(dead_code, unreachable_pub, clippy::exhaustive_enums, reason = "included by the tests of each host")]

mod hostile;
mod laws;
mod model;

pub use {hostile::*, laws::*, model::*};

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use acs_common_store::{
    EntryName, Fence, Found, NamingKey, NewRecord, Owner, Sealed, SealingKeys, Store, StoreError, Taken,
};

/// A place for entries, and what a test may do to it behind the back of the stores.
pub trait Host {
    /// Another process's store in the same place.
    fn store(&self) -> Box<dyn Store>;

    /// Runs a future on the host's runtime.
    fn run(&self, future: Pin<Box<dyn Future<Output = ()> + Send + '_>>);

    /// Makes the entry as it would be if the store's clock had been set ahead (or back) by so many milliseconds.
    fn set_clock_ahead(&self, name: &EntryName, millis: i64);

    /// Loses everything, as a server without persistence does when it restarts.
    fn forget(&self);

    /// Puts something into the entry's place that no store writes. `false` if this host cannot.
    fn plant(&self, name: &EntryName, rubbish: Rubbish) -> bool;

    /// All that is stored, with its names.
    fn dump(&self) -> Vec<u8>;
}

/// What can lie in an entry's place.
#[derive(Clone, Copy, Debug)]
pub enum Rubbish {
    /// 100 MB under a fence that is good.
    Huge,
    /// Bytes that are no entry.
    Noise,
    /// Nothing at all, but there.
    Empty,
    /// The first half of what was there.
    Half,
    /// An entry of a later version of this library.
    Later,
    /// Numbers that are not numbers, or too great.
    Numbers,
}

/// One test for each law.
#[macro_export]
macro_rules! conformance {
    ($host:expr) => {
        $crate::conformance! { @ $host;
            an_empty_entry_has_nothing,
            one_owner_has_the_lease,
            an_owner_extends_its_lease_under_the_same_fence,
            only_its_owner_releases_a_lease,
            a_lease_ends_by_the_stores_clock,
            a_clock_set_back_frees_the_lease,
            fences_grow_and_are_not_below_the_clock,
            fences_grow_over_a_loss,
            a_record_comes_with_its_fence_and_age,
            an_older_fence_never_replaces_a_newer_record,
            a_repeated_finish_changes_nothing,
            a_mark_covers_all_records_up_to_its_fence,
            a_mark_may_come_before_its_record,
            a_mark_of_a_fence_that_was_never_given_is_ignored,
            entries_do_not_touch_each_other,
            of_many_at_once_one_is_granted,
            the_largest_record_is_kept_and_no_larger_one,
            a_watch_hints_at_a_finish_and_at_a_mark,
            an_operation_may_be_dropped,
            another_process_opens_what_was_sealed,
            no_hostile_record_opens,
            rubbish_is_a_loss_and_is_replaced,
            a_store_shows_no_user_and_no_token,
            a_random_history_agrees_with_the_model,
        }
    };
    (@ $host:expr; $($name:ident,)*) => {$(
        #[test]
        fn $name() {
            let Some(host) = $host else { return };
            let future: std::pin::Pin<Box<dyn std::future::Future<Output = ()> + Send + '_>> =
                Box::pin($crate::conformance::$name(&host));
            $crate::conformance::Host::run(&host, future);
        }
    )*};
}

pub const LEASE: Duration = Duration::from_secs(60);

pub fn name(of: &str) -> EntryName {
    NamingKey::from_bytes(&core::array::from_fn::<u8, 32, _>(|at| at as u8)).unwrap().name(of)
}

pub fn keys() -> SealingKeys {
    SealingKeys::from_bytes(1, &core::array::from_fn::<u8, 32, _>(|at| 7 ^ at as u8)).unwrap()
}

pub fn owner(number: u8) -> Owner {
    Owner::from_bytes([number; 16])
}

pub fn fence(number: u64) -> Fence {
    Fence::new(number).unwrap()
}

/// A record of these bytes, which need not open.
pub fn record(of: &str) -> Option<NewRecord> {
    Some(NewRecord::new(Sealed::from_bytes(of.as_bytes().to_vec()), Duration::from_secs(3_600)))
}

/// The fence of a lease that must be granted.
#[track_caller]
pub fn granted(taken: Result<Taken, StoreError>) -> (Fence, Found) {
    match taken.unwrap() {
        Taken::Granted { fence, found } => (fence, found),
        Taken::Held { left, .. } => panic!("the lease is held for {left:?}"),
    }
}

/// The time left of a lease that another must have.
#[track_caller]
pub fn held(taken: Result<Taken, StoreError>) -> (Duration, Found) {
    match taken.unwrap() {
        Taken::Held { left, found } => (left, found),
        Taken::Granted { fence, .. } => panic!("the lease is granted with the fence {fence}"),
    }
}

/// The text of the record, which must be there.
#[track_caller]
pub fn text(found: &Found) -> (&str, Fence, bool) {
    let record = found.record.as_ref().expect("there is a record");
    (std::str::from_utf8(record.sealed.as_bytes()).unwrap(), record.fence, record.marked)
}

/// Milliseconds since 1970, by this machine's clock, which is the store's too.
pub fn wall_clock() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}
