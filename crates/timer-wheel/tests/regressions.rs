//! Does the wheel avoid the faults that other timer wheels have had?
#![allow(missing_docs)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use selvedge_timer_wheel::{Key, Wheel};

fn fired<T>(wheel: &mut Wheel<T>, now: u64) -> Vec<T> {
    wheel.poll(now).map(|entry| entry.value).collect()
}

#[test]
fn a_hundred_thousand_timers_on_one_tick() {
    let mut wheel = Wheel::new(0);
    for value in 0..100_000_u32 {
        // Armed at many different times, so from many different levels.
        if value % 100 == 0 {
            assert_eq!(fired(&mut wheel, u64::from(value)), []);
        }
        wheel.insert(123_456, value);
    }
    assert_eq!(wheel.next_deadline(), Some(123_456));
    assert_eq!(fired(&mut wheel, 123_455), []);
    assert!(fired(&mut wheel, 123_456).into_iter().eq(0..100_000));
}

#[test]
fn a_timer_cancelled_on_its_own_tick() {
    let mut wheel = Wheel::new(0);
    let (_, second, third) = (wheel.insert(64, 'a'), wheel.insert(64, 'b'), wheel.insert(64, 'c'));
    assert_eq!(wheel.poll(64).next().map(|entry| entry.value), Some('a'));
    assert_eq!(wheel.cancel(second), Some('b'));
    assert_eq!(fired(&mut wheel, 64), ['c']);
    assert_eq!(wheel.cancel(third), None);
}

#[test]
fn a_timer_rearmed() {
    let mut wheel = Wheel::new(0);
    let key = wheel.insert(100, 'a');
    wheel.insert(5_000, 'b');
    for deadline in [200, 50, 1_000_000, u64::MAX, 5_000] {
        assert!(wheel.reschedule(key, deadline));
        assert_eq!(wheel.deadline(key), Some(deadline));
        assert_eq!(wheel.next_deadline(), Some(deadline.min(5_000)));
    }
    assert_eq!(fired(&mut wheel, 5_000), ['b', 'a'], "rearmed after 'b'");
    assert!(!wheel.reschedule(key, 6_000));
    assert!(wheel.is_empty());
}

#[test]
fn a_timer_in_the_past() {
    let mut wheel = Wheel::new(1_000);
    wheel.insert(10, 'c');
    wheel.insert(5, 'a');
    wheel.insert(1_000, 'd');
    wheel.insert(5, 'b');
    assert_eq!(wheel.next_deadline(), Some(5));
    assert_eq!(
        fired(&mut wheel, 0),
        ['a', 'b', 'c', 'd'],
        "due at the next poll, even one that does not move time"
    );
}

#[test]
fn a_timer_in_the_far_future() {
    const HOUR: u64 = 1 << 40;
    let mut wheel = Wheel::new(3);
    wheel.insert(HOUR + 1, 'b');
    wheel.insert(HOUR, 'a');
    assert_eq!(wheel.next_deadline(), Some(HOUR));
    assert_eq!(fired(&mut wheel, HOUR - 1), []);
    assert_eq!(wheel.next_deadline(), Some(HOUR), "cascading is no reason to wake up");
    assert_eq!(fired(&mut wheel, HOUR), ['a']);
    assert_eq!(fired(&mut wheel, u64::MAX), ['b']);
}

/// Like tokio#5183 and tokio#6634.
#[test]
fn far_future_deadline_does_not_panic() {
    for start in [0, 1, 1 << 36, u64::MAX - 1, u64::MAX] {
        let mut wheel = Wheel::new(start);
        for deadline in [u64::MAX, u64::MAX - 1, 1 << 63, 1 << 60] {
            wheel.insert(deadline, deadline);
        }
        assert_eq!(wheel.next_deadline(), Some(1 << 60));
        assert_eq!(fired(&mut wheel, u64::MAX), [1 << 60, 1 << 63, u64::MAX - 1, u64::MAX]);
        wheel.insert(u64::MAX, 0);
        assert_eq!(fired(&mut wheel, u64::MAX), [0]);
    }
}

/// Like tokio#8334: 12 days in ticks of 16 µs.
#[test]
fn wheel_does_not_wrap_after_days() {
    const DAY: u64 = 86_400 * 62_500;
    let mut wheel = Wheel::new(0);
    let mut next = 13;
    wheel.insert(next * DAY, next);
    for day in 0..10_000 {
        assert_eq!(fired(&mut wheel, day * DAY), if day == next { vec![next] } else { vec![] });
        if day == next {
            next += day % 30 + 1;
            wheel.insert(next * DAY, next);
        }
        assert_eq!(wheel.next_deadline(), Some(next * DAY));
    }
}

/// Like tokio#8252. The value of a cancelled timer is dropped with it, and its node is reused: see
/// also the memory tests.
#[test]
fn cancelled_timers_do_not_leak() {
    let value = Rc::new(());
    let mut wheel = Wheel::new(0);
    for round in 0..1_000_u64 {
        let keys: Vec<Key> = (0..100).map(|i| wheel.insert(round + (i << 20), Rc::clone(&value))).collect();
        assert_eq!(Rc::strong_count(&value), 101);
        assert!(keys.iter().all(|&key| wheel.cancel(key).is_some()));
        assert_eq!(Rc::strong_count(&value), 1);
        assert!(wheel.is_empty() && wheel.next_deadline().is_none());
    }
}

/// Like tokio#3229: a timer is cancelled while time stands exactly on its deadline. Its neighbours
/// in the slot must not be affected.
#[test]
fn timer_dropped_on_its_own_tick() {
    for start in [0, 63, 64, 4_095, 1 << 36, u64::MAX - 200] {
        let mut wheel = Wheel::new(start);
        let deadline = start + 100;
        let keys: Vec<_> = (0..5).map(|i| wheel.insert(deadline, i)).collect();
        let after = wheel.insert(deadline + 1, 5);
        assert_eq!(wheel.poll(deadline).next().map(|entry| entry.value), Some(0));
        for key in keys {
            wheel.cancel(key);
        }
        assert_eq!(wheel.next_deadline(), Some(deadline + 1));
        assert_eq!(wheel.poll(deadline).next(), None);
        let last = wheel.poll(deadline + 1).next().unwrap();
        assert_eq!((last.key, last.deadline, last.value), (after, deadline + 1, 5));
    }
}

#[test]
fn time_does_not_run_back() {
    let mut wheel = Wheel::new(100);
    wheel.insert(150, 'a');
    assert_eq!(fired(&mut wheel, 120), []);
    assert_eq!(fired(&mut wheel, 50), []);
    assert_eq!(wheel.now(), 120);
    wheel.insert(110, 'b');
    assert_eq!(fired(&mut wheel, 0), ['b']);
}

/// If deadlines arrive in order, the next one is found without a scan, even if the earliest timer
/// is always the one that leaves. With a scan this test would take minutes.
#[test]
fn cancelling_the_earliest_does_not_scan() {
    let mut wheel = Wheel::new(0);
    let mut keys = std::collections::VecDeque::new();
    for i in 0..200_000_u64 {
        keys.push_back(wheel.insert((1 << 30) + i, ()));
    }
    for i in 0..200_000_u64 {
        assert_eq!(wheel.next_deadline(), Some((1 << 30) + i));
        wheel.cancel(keys.pop_front().unwrap());
    }
    assert_eq!(wheel.next_deadline(), None);
}

struct Bomb(bool);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.0, "a destructor panics");
    }
}

#[test]
fn a_panicking_destructor_leaves_the_wheel_whole() {
    let mut wheel = Wheel::new(0);
    let keys: Vec<_> = (0..10).map(|i| wheel.insert(10 + i, Bomb(i == 4))).collect();
    assert!(catch_unwind(AssertUnwindSafe(|| wheel.clear())).is_err());
    assert_eq!(wheel.len(), 5, "those after the panic are still armed");
    assert_eq!(wheel.next_deadline(), Some(15));
    assert!(wheel.cancel(keys[4]).is_none());
    assert!(wheel.reschedule(keys[9], 11));
    let rest: Vec<_> = wheel.poll(100).map(|entry| entry.deadline).collect();
    assert_eq!(rest, [11, 15, 16, 17, 18]);
}

#[test]
fn a_dropped_wheel_drops_its_values() {
    let value = Rc::new(());
    let mut wheel = Wheel::new(0);
    for i in 0..5_000 {
        let key = wheel.insert(i * i, Rc::clone(&value));
        if i % 3 == 0 {
            wheel.cancel(key);
        }
    }
    assert_eq!(fired(&mut wheel, 1_000_000).len(), 667);
    drop(wheel);
    assert_eq!(Rc::strong_count(&value), 1);
}

#[test]
fn draining_empties_the_wheel_even_if_it_stops_early() {
    let mut wheel = Wheel::new(0);
    for i in 0..100_u64 {
        wheel.insert(i << 40, i);
    }
    let mut drain = wheel.drain();
    assert_eq!(drain.len(), 100);
    assert!(drain.next().is_some());
    assert_eq!(drain.len(), 99);
    drop(drain);
    assert!(wheel.is_empty());
    wheel.insert(7, 7);
    assert_eq!(fired(&mut wheel, 7), [7]);
}

/// What a slot records about its order belongs to that slot: another slot that comes into use must
/// not change it.
#[test]
fn an_order_is_remembered_beside_other_slots() {
    for other in [130, 200, 4000] {
        let mut wheel = Wheel::new(0);
        let keys = [70, 68, 66].map(|deadline| wheel.insert(deadline, deadline));
        wheel.insert(other, other);
        assert_eq!(wheel.next_deadline(), Some(66));
        wheel.cancel(keys[2]);
        assert_eq!(wheel.next_deadline(), Some(68));
        assert_eq!(fired(&mut wheel, 5000), [68, 70, other]);
    }
}

#[test]
fn a_poll_tells_how_many_timers_may_come() {
    let mut wheel = Wheel::new(0);
    for deadline in 0..5 {
        wheel.insert(deadline, ());
    }
    let mut due = wheel.poll(1);
    assert_eq!(due.size_hint(), (0, Some(5)));
    due.next();
    assert_eq!(due.size_hint(), (0, Some(4)));
}

#[test]
fn keys_differ_as_numbers_too() {
    let mut wheel = Wheel::new(0);
    let mut seen = std::collections::HashSet::from([0]);
    for _ in 0..3 {
        let keys: Vec<_> = (0..50).map(|deadline| wheel.insert(deadline, ())).collect();
        for key in keys {
            assert!(seen.insert(key.to_bits()), "{key:?}");
            wheel.cancel(key);
        }
    }
}

const _: () = {
    const fn is_send<T: Send>() {}
    const fn is_sync<T: Sync>() {}
    is_send::<Wheel<std::task::Waker>>();
    is_sync::<Wheel<std::task::Waker>>();
    is_send::<Key>();
    assert!(size_of::<Key>() == 8);
    assert!(size_of::<Option<Key>>() == 8);
};
