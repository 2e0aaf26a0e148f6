//! Is there a program on which the wheel and an ordered map disagree?
#![allow(missing_docs, clippy::pedantic, unreachable_pub)]

mod model;

use model::{Op, When, program};
use proptest::collection::vec;
use proptest::prelude::*;

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        4 => (0_u64..130).prop_map(When::After),
        2 => (0_u32..64, any::<u64>()).prop_map(|(bits, ticks)| When::After(ticks >> bits)),
        2 => (0_u64..100).prop_map(When::Before),
        3 => (0_u32..11, -3_i8..4).prop_map(|(level, offset)| When::Edge(level, offset)),
        1 => (0_u64..4).prop_map(When::End),
        4 => any::<usize>().prop_map(When::Same),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => when().prop_map(Op::Insert),
        3 => any::<usize>().prop_map(Op::Cancel),
        3 => (any::<usize>(), when()).prop_map(|(pick, when)| Op::Reschedule(pick, when)),
        4 => when().prop_map(|when| Op::Poll(when, usize::MAX)),
        3 => (when(), 0_usize..4).prop_map(|(when, limit)| Op::Poll(when, limit)),
        4 => Just(Op::NextDeadline),
        2 => any::<usize>().prop_map(Op::Look),
    ]
}

/// Starts around the boundaries of every level, at both ends of time, and anywhere between.
fn start() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0_u32..11, 1_u64..66, 0_u64..4)
            .prop_map(|(level, times, back)| (1_u64 << (6 * level)).wrapping_mul(times).wrapping_sub(back)),
        (0_u64..5000).prop_map(|back| u64::MAX - back),
        any::<u64>(),
        Just(0),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_program(start in start(), program in vec(op(), 0..120)) {
        model::run(start, program);
    }

    /// Programs of the kind that the fuzzer would write.
    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..600)) {
        let (start, program) = program::decode(&bytes);
        model::run(start, program);
    }

    /// Equal deadlines armed from different distances come out in the order in which they were armed.
    #[test]
    fn order_among_equals(start in start(), distances in vec(0_u64..70_000, 1..60), polls in vec(1_u64..3000, 1..60)) {
        let mut program = Vec::new();
        for (i, distance) in distances.into_iter().enumerate() {
            let when = if i % 3 == 0 { When::After(distance) } else { When::Same(distance as usize) };
            program.push(Op::Insert(when));
            program.push(Op::Poll(When::After(polls[i % polls.len()]), usize::MAX));
        }
        model::run(start, program);
    }
}

#[test]
fn a_long_program() {
    // Deterministic, and longer than a program that shrinks well: chunks fill up, and generations
    // grow.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(60_000)
    .collect();
    for start in [0, 100, 200] {
        let (start, program) = program::decode(&bytes[start..]);
        model::run(start, program);
    }
}
