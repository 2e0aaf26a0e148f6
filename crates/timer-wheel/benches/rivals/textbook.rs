//! Which timer queues would a program build from the standard library?

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::{Fires, Timers, Value};

/// A binary heap with lazy deletion, as in asyncio: a cancelled timer stays until it comes to the
/// top, or until cancelled timers are the majority and the heap is rebuilt.
pub struct Heap {
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    /// By slot number: the arming that the slot belongs to, and its value while that timer is
    /// armed.
    slots: Vec<(u64, Option<Value>)>,
    free: Vec<usize>,
    armings: u64,
}

impl Timers for Heap {
    const NAME: &str = "BinaryHeap";
    type Key = (u64, usize);

    fn new() -> Self {
        Self { queue: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), armings: 0 }
    }

    fn insert(&mut self, deadline: u64, value: Value) -> Self::Key {
        self.armings += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            self.slots.len() - 1
        });
        self.slots[slot] = (self.armings, Some(value));
        self.queue.push(Reverse((deadline, self.armings, slot)));
        (self.armings, slot)
    }

    fn cancel(&mut self, (arming, slot): Self::Key) -> Option<Value> {
        let value = self.take(arming, slot)?;
        let armed = self.slots.len() - self.free.len();
        if self.queue.len() > 2 * armed + 100 {
            let slots = &self.slots;
            self.queue
                .retain(|Reverse((_, arming, slot))| slots[*slot].0 == *arming && slots[*slot].1.is_some());
        }
        Some(value)
    }
}

impl Heap {
    fn take(&mut self, arming: u64, slot: usize) -> Option<Value> {
        let value = self.slots.get_mut(slot).filter(|slot| slot.0 == arming)?.1.take()?;
        self.free.push(slot);
        Some(value)
    }
}

impl Fires for Heap {
    fn fire(&mut self, now: u64, mut fired: impl FnMut(Value)) {
        while self.queue.peek().is_some_and(|top| top.0.0 <= now) {
            let Some(Reverse((_, arming, slot))) = self.queue.pop() else { break };
            if let Some(value) = self.take(arming, slot) {
                fired(value);
            }
        }
    }
}

pub struct Map {
    timers: BTreeMap<(u64, u64), Value>,
    armings: u64,
}

impl Timers for Map {
    const NAME: &str = "BTreeMap";
    type Key = (u64, u64);

    fn new() -> Self {
        Self { timers: BTreeMap::new(), armings: 0 }
    }

    fn insert(&mut self, deadline: u64, value: Value) -> Self::Key {
        self.armings += 1;
        self.timers.insert((deadline, self.armings), value);
        (deadline, self.armings)
    }

    fn cancel(&mut self, key: Self::Key) -> Option<Value> {
        self.timers.remove(&key)
    }
}

impl Fires for Map {
    fn fire(&mut self, now: u64, mut fired: impl FnMut(Value)) {
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= now) {
            fired(entry.remove());
        }
    }
}
