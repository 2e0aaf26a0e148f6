//! Does the wheel behave as an ordered map would?
//!
//! [`run`] executes a program on a wheel and on a `BTreeMap` from `(deadline, order of arming)`,
//! and compares every answer. The property tests write programs that shrink well; the fuzzer writes
//! bytes, which `program` reads as the same kind of program.

pub mod program;

use std::collections::{BTreeMap, HashMap};

use selvedge_timer_wheel::{Key, Wheel};

/// A point in time, described so that interesting ones are likely.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// This many ticks after now.
    After(u64),
    /// This many ticks before now.
    Before(u64),
    /// At this distance from the next boundary between the slots of a level.
    Edge(u32, i8),
    /// This many ticks before the end of time.
    End(u64),
    /// The deadline of some armed timer.
    Same(usize),
}

/// A step of a program. A `usize` picks among all keys ever handed out, most of which are stale
/// after a while.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    Insert(When),
    Cancel(usize),
    Reschedule(usize, When),
    /// Fetches at most this many timers, then drops the iterator.
    Poll(When, usize),
    NextDeadline,
    Look(usize),
    Clear,
}

struct Pair {
    wheel: Wheel<u64>,
    now: u64,
    /// Counts arming and rearming: the order among equal deadlines.
    armings: u64,
    /// Values by the pair that decides their order.
    armed: BTreeMap<(u64, u64), u64>,
    /// The pair that decides the order of a value, while it is armed.
    places: HashMap<u64, (u64, u64)>,
    /// All keys ever handed out; the value of a timer is its position here.
    keys: Vec<Key>,
}

/// Runs `program` on a wheel that starts at `start`, and panics if it differs from the model.
pub fn run(start: u64, program: impl IntoIterator<Item = Op>) {
    let mut pair = Pair {
        wheel: Wheel::new(start),
        now: start,
        armings: 0,
        armed: BTreeMap::new(),
        places: HashMap::new(),
        keys: Vec::new(),
    };
    for op in program {
        pair.step(op);
        assert_eq!(pair.wheel.len(), pair.armed.len());
        assert_eq!(pair.wheel.is_empty(), pair.armed.is_empty());
        assert_eq!(pair.wheel.now(), pair.now);
    }
    pair.next_deadline();
    pair.poll(u64::MAX, usize::MAX);
    assert!(pair.wheel.is_empty());
}

impl Pair {
    fn resolve(&self, when: When) -> u64 {
        match when {
            When::After(ticks) => self.now.saturating_add(ticks),
            When::Before(ticks) => self.now.saturating_sub(ticks),
            When::Edge(level, offset) => {
                let last = self.now | ((1 << (6 * (level % 11))) - 1);
                last.saturating_add(1).saturating_add_signed(offset.into())
            }
            When::End(ticks) => u64::MAX - ticks,
            When::Same(pick) => {
                let armed = pick.checked_rem(self.armed.len()).and_then(|n| self.armed.keys().nth(n));
                armed.map_or(self.now, |&(deadline, _)| deadline)
            }
        }
    }

    /// A value that is or was armed.
    fn pick(&self, pick: usize) -> Option<(u64, Key)> {
        let value = pick.checked_rem(self.keys.len())?;
        Some((value as u64, self.keys[value]))
    }

    fn arm(&mut self, value: u64, deadline: u64) {
        self.armings += 1;
        self.armed.insert((deadline, self.armings), value);
        self.places.insert(value, (deadline, self.armings));
    }

    /// The deadline that `value` had, if it was armed.
    fn disarm(&mut self, value: u64) -> Option<u64> {
        let place = self.places.remove(&value)?;
        assert_eq!(self.armed.remove(&place), Some(value));
        Some(place.0)
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Insert(when) => {
                let (deadline, value) = (self.resolve(when), self.keys.len() as u64);
                let key = self.wheel.insert(deadline, value);
                assert_eq!(self.wheel.get(key), Some(&value));
                self.keys.push(key);
                self.arm(value, deadline);
            }
            Op::Cancel(pick) => {
                let Some((value, key)) = self.pick(pick) else { return };
                let expected = self.disarm(value).map(|_| value);
                assert_eq!(self.wheel.cancel(key), expected);
                assert_eq!(self.wheel.cancel(key), None);
            }
            Op::Reschedule(pick, when) => {
                let Some((value, key)) = self.pick(pick) else { return };
                let deadline = self.resolve(when);
                let expected = self.disarm(value).is_some();
                assert_eq!(self.wheel.reschedule(key, deadline), expected);
                if expected {
                    self.arm(value, deadline);
                }
            }
            Op::Poll(when, limit) => self.poll(self.resolve(when), limit),
            Op::NextDeadline => self.next_deadline(),
            Op::Look(pick) => {
                let Some((value, key)) = self.pick(pick) else { return };
                let place = self.places.get(&value);
                assert_eq!(self.wheel.deadline(key), place.map(|place| place.0));
                assert_eq!(self.wheel.get(key), place.map(|_| &value));
                assert_eq!(self.wheel.get_mut(key).copied(), place.map(|_| value));
            }
            Op::Clear => {
                self.wheel.clear();
                self.armed.clear();
                self.places.clear();
            }
        }
    }

    fn next_deadline(&mut self) {
        let expected = self.armed.keys().next().map(|place| place.0);
        assert_eq!(self.wheel.next_deadline(), expected);
    }

    fn poll(&mut self, now: u64, limit: usize) {
        self.now = self.now.max(now);
        let fired: Vec<_> = self.wheel.poll(now).take(limit).collect();
        for entry in &fired {
            let first = self.armed.first_key_value().expect("nothing is armed, yet something fired");
            assert_eq!((entry.deadline, entry.value), (first.0.0, *first.1));
            assert!(entry.deadline <= self.now, "fired early");
            assert_eq!(self.wheel.get(entry.key), None);
            assert_eq!(self.disarm(entry.value), Some(entry.deadline));
        }
        if fired.len() < limit {
            let left = self.armed.keys().next();
            assert!(left.is_none_or(|place| place.0 > self.now), "{left:?} did not fire at {}", self.now);
        }
    }
}
