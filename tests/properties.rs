mod support;
use proptest::prelude::*;
use support::world::{self, ops};
proptest! {
    #![proptest_config(ProptestConfig { cases: 20000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn all(bytes in proptest::collection::vec(any::<u8>(), 0..150)) {
        let (setup, ops) = ops::ops(&bytes);
        let broken = world::play(&setup, &ops);
        prop_assert!(broken.is_empty(), "{setup:?}\n{ops:?}\n{broken:#?}");
    }
}
