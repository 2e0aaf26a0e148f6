//! Do ticks round the right way, does a wheel publish its earliest tick, and does the stage keep its key?

use super::*;

const EDGES: [u64; 12] = [
    0,
    1,
    (1 << REAL_TICK_SHIFT) - 1,
    1 << REAL_TICK_SHIFT,
    (1 << REAL_TICK_SHIFT) + 1,
    123_456_789,
    1 << 40,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX - (1 << REAL_TICK_SHIFT),
    u64::MAX - 1,
    u64::MAX,
];

#[test]
fn a_deadline_rounds_up_and_the_clock_down() {
    for length in [TickLength::new(false), TickLength::new(true)] {
        for deadline in EDGES {
            let tick = length.at_or_after(deadline);
            assert!(length.start_of(tick) >= deadline, "{deadline} would fire early");
            // One nanosecond before the deadline it is not due, and a tick's length later it is.
            if let Some(before) = deadline.checked_sub(1) {
                assert!(length.containing(before) < tick, "{deadline}");
            }
            if let Some(after) = deadline.checked_add((1 << length.0) - 1) {
                assert!(length.containing(after) >= tick, "{deadline}");
            }
        }
    }
}

#[test]
fn virtual_ticks_are_nanoseconds_and_far_ones_saturate() {
    let exact = TickLength::new(true);
    assert!(EDGES.iter().all(|&time| (exact.at_or_after(time), exact.start_of(time)) == (time, time)));
    let real = TickLength::new(false);
    assert!(EDGES.iter().all(|&deadline| real.at_or_after(deadline) != NEVER));
    assert_eq!(real.start_of(NEVER), u64::MAX);
    assert_eq!(real.start_of(u64::MAX >> REAL_TICK_SHIFT), u64::MAX << REAL_TICK_SHIFT);
}

#[test]
fn the_published_tick_is_never_later_than_the_first_timer() {
    let slot = TimerSlot::new();
    assert_eq!(slot.next(), NEVER);
    let (late, earliest) = slot.insert(200, Waker::noop().clone());
    assert!(earliest);
    let (early, earliest) = slot.insert(100, Waker::noop().clone());
    assert!(earliest);
    assert!(!slot.insert(300, Waker::noop().clone()).1);
    assert_eq!((slot.next(), slot.len()), (100, 3));
    assert!(slot.cancel(early).is_some() && slot.cancel(early).is_none());
    assert!(slot.next() <= 200);
    assert_eq!(slot.refresh(), 200);
    assert_eq!((slot.fire(199), slot.fire(200), slot.next(), slot.len()), (0, 1, 300, 1));
    assert!(slot.cancel(late).is_none());
    assert_eq!((slot.fire(u64::MAX - 1), slot.next()), (1, NEVER));
}

#[test]
fn only_a_timer_that_has_left_the_wheel_has_fired() {
    let slot = TimerSlot::new();
    let [early, late] = [100, 200].map(|tick| slot.insert(tick, Waker::noop().clone()).0);
    let fired = || (slot.has_fired(early, 100), slot.has_fired(late, 200));
    assert_eq!(fired(), (false, false));
    assert_eq!((slot.fire(100), fired()), (1, (true, false)));
    assert_eq!((slot.fire(200), fired()), (1, (true, true)));
}

#[test]
fn a_staged_timer_is_in_no_wheel_and_its_key_comes_back() {
    let (slot, stage) = (TimerSlot::new(), Stage::default());
    let key = stage.put(&slot, 5).expect("nothing is staged");
    assert!(stage.holds(key) && slot.is_staged(key) && !slot.has_fired(key, 5) && !stage.is_empty());
    assert!(stage.put(&slot, 6).is_none(), "there is room for one");
    assert_eq!(slot.len(), 0);
    stage.take_back(&slot);
    assert!(stage.is_empty() && !stage.holds(key) && !slot.is_staged(key));
    assert_eq!(stage.put(&slot, 7), Some(key), "the key was kept for the next one");
    stage.take_back(&slot);
    stage.clear(&slot);
    let next = slot.wheel.lock().reserve();
    assert_ne!(next, key);
    assert_eq!(next.to_bits() >> 32, key.to_bits() >> 32, "the room was given back");
}

#[test]
fn more_timers_than_a_batch_fire_at_once() {
    let slot = TimerSlot::new();
    for tick in 0..=3 * BATCH as u64 {
        slot.insert(tick, Waker::noop().clone());
    }
    assert_eq!((slot.fire(u64::MAX - 1), slot.len()), (3 * BATCH + 1, 0));
}
