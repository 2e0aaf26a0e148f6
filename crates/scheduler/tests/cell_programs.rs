//! Does any program of wakes, joins and drops bring a task's cell into a state that it must not
//! reach? A fuzzer runs the same programs, see `fuzz/`.
#![allow(missing_docs, clippy::pedantic, unreachable_pub)]

mod cell_program;

use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..400)) {
        cell_program::run(&bytes);
    }
}
