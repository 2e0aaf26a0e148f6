//! Do keys work that are given out before their timers are armed?
#![allow(missing_docs)]

use proptest::prelude::*;
use selvedge_timer_wheel::Wheel;

#[test]
fn a_reserved_key_is_no_timer_yet() {
    let mut wheel = Wheel::new(0);
    let key = wheel.reserve();
    assert!(wheel.is_empty());
    assert_eq!(wheel.get(key), None);
    assert_eq!(wheel.deadline(key), None);
    assert_eq!(wheel.next_deadline(), None);
    assert!(!wheel.reschedule(key, 9));
    assert_eq!(wheel.cancel(key), None, "there is nothing to cancel, and the key stays reserved");
    assert_eq!(wheel.arm(key, 5, 'a'), Ok(()));
    assert_eq!((wheel.len(), wheel.next_deadline(), wheel.deadline(key)), (1, Some(5), Some(5)));
    wheel.release(key);
    assert_eq!(wheel.poll(5).map(|entry| entry.value).collect::<String>(), "a");
    assert_eq!(wheel.arm(key, 7, 'b'), Err('b'), "the key is stale");
}

#[test]
fn an_armed_key_keeps_its_place_among_equal_deadlines() {
    let mut wheel = Wheel::new(0);
    let early = wheel.reserve();
    wheel.insert(10, 'a');
    wheel.arm(early, 10, 'b').expect("reserved");
    wheel.insert(10, 'c');
    assert_eq!(wheel.poll(10).map(|entry| entry.value).collect::<String>(), "abc", "in the order of arming");
}

proptest! {
    /// Reserved, armed and released in any order beside plain inserts: what fires is what was armed
    /// and not cancelled, and all nodes are free again.
    #[test]
    fn reserving_changes_nothing_but_the_order_of_steps(
        steps in prop::collection::vec((0..5u8, 0..1000u64, any::<prop::sample::Index>()), 1..200),
    ) {
        let mut wheel = Wheel::new(0);
        let (mut reserved, mut armed, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (serial, (what, deadline, which)) in steps.into_iter().enumerate() {
            match what {
                0 => reserved.push(wheel.reserve()),
                1 => armed.push((wheel.insert(deadline, serial), deadline, serial)),
                2 if !reserved.is_empty() => {
                    let key = reserved.swap_remove(which.index(reserved.len()));
                    prop_assert_eq!(wheel.arm(key, deadline, serial), Ok(()));
                    prop_assert_eq!(wheel.arm(key, deadline, serial), Err(serial));
                    armed.push((key, deadline, serial));
                }
                3 if !reserved.is_empty() => {
                    let key = reserved.swap_remove(which.index(reserved.len()));
                    wheel.release(key);
                    prop_assert_eq!(wheel.arm(key, deadline, serial), Err(serial));
                }
                4 if !armed.is_empty() => {
                    let (key, _, value) = armed.swap_remove(which.index(armed.len()));
                    prop_assert_eq!(wheel.cancel(key), Some(value));
                    wheel.release(key);
                }
                _ => {}
            }
            prop_assert_eq!(wheel.len(), armed.len());
        }
        expected.extend(armed.iter().map(|&(_, deadline, serial)| (deadline, serial)));
        expected.sort_unstable();
        let mut fired: Vec<_> = wheel.poll(1000).map(|entry| (entry.deadline, entry.value)).collect();
        prop_assert!(fired.is_sorted_by_key(|&(deadline, _)| deadline));
        fired.sort_unstable();
        prop_assert_eq!(fired, expected);
    }
}

#[test]
fn a_key_that_is_released_is_stale_and_its_room_is_used_again() {
    let mut wheel = Wheel::new(0);
    let first = wheel.reserve();
    wheel.release(first);
    let second = wheel.reserve();
    assert_ne!(second, first);
    assert_eq!(second.to_bits() >> 32, first.to_bits() >> 32, "the room");
    assert_eq!(wheel.arm(first, 1, "stale"), Err("stale"));
    wheel.release(first);
    assert_eq!(wheel.arm(second, 1, "armed"), Ok(()));
    assert_eq!(wheel.len(), 1);
}

#[test]
fn a_wheel_shows_its_time_and_size() {
    let mut wheel = Wheel::new(3);
    wheel.insert(7, ());
    assert_eq!(format!("{wheel:?}"), "Wheel { now: 3, len: 1, .. }");
}
