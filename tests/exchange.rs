//! The laws of an Entra user's credential, over random lives (`support/exchanged.rs`; the fuzz target `exchange` shares it).

mod support;

use proptest::prelude::*;
use support::exchanged;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// One call at a time; five requests and two questions to the source at most; late and wrong answers change nothing; a
    /// failure costs no valid token of the same user; no rejected, dead or disposed token is given out; no secret shows;
    /// every waiter is answered once; the timer is the deadline; good answers lead back.
    ///
    /// Bites when `repeat` counts no tries, `answered` takes an answer of the wrong kind, `scrub` is left out, or `settle` of
    /// the exchange leaves a pause out of the deadline.
    #[test]
    fn no_exchange_breaks_a_law(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        exchanged::exchange(&bytes);
    }
}
