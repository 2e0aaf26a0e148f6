//! Is there a program of tasks that breaks a promise? See `selvedge_tests::lifecycle` for the promises.

use proptest::collection::vec;
use proptest::prelude::*;
use selvedge_tests::lifecycle::{Settings, decode, run};

/// Each case starts and closes a loop. Under a sanitizer that takes about ten times as long.
const CASES: u32 = if cfg!(selvedge_sanitize) { 40 } else { 400 };

fn settings() -> impl Strategy<Value = Settings> {
    (prop_oneof![Just(1), Just(2), Just(4)], any::<bool>())
        .prop_map(|(workers, virtual_time)| Settings { workers, virtual_time })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_program_keeps_the_promises(bytes in vec(any::<u8>(), 1..150), settings in settings()) {
        run(decode(&bytes), settings);
    }
}
