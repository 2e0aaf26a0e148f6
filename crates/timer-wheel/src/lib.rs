//! Which timers are due now, and when will the next one be due?
//!
//! [`Wheel`] is a hierarchical timer wheel as a pure data structure. Time is a `u64` that the
//! caller passes in: nothing here reads a clock, blocks or starts a thread. It is made for a
//! scheduler that arms far more timers than it ever fires, because most timeouts are cancelled when
//! the operation they guard succeeds.
//!
//! ```
//! use selvedge_timer_wheel::Wheel;
//!
//! let mut wheel = Wheel::new(1_000);
//! let read = wheel.insert(1_500, "read");
//! let write = wheel.insert(1_200, "write");
//! wheel.insert(90_000, "keep-alive");
//!
//! assert_eq!(wheel.next_deadline(), Some(1_200));
//! assert_eq!(wheel.cancel(write), Some("write"));
//! assert_eq!(wheel.next_deadline(), Some(1_500));
//!
//! let fired: Vec<_> = wheel.poll(2_000).map(|entry| entry.value).collect();
//! assert_eq!(fired, ["read"]);
//! assert_eq!(wheel.cancel(read), None); // a stale key is harmless
//! ```
//!
//! # Guarantees
//!
//! * **Never early, never lost.** A timer comes out at the first [`poll`](Wheel::poll) whose time
//!   has reached its deadline.
//! * **In order.** Ascending deadlines; equal deadlines exactly in the order in which they were
//!   armed, however far they have cascaded.
//! * **The whole range.** Every `u64` is a valid time and a valid deadline, `u64::MAX` included.
//!   Nothing wraps.
//! * **Exact.** [`next_deadline`](Wheel::next_deadline) is the earliest deadline, not a lower
//!   bound. A thread that sleeps until then does not wake merely to move entries about.
//! * **Cancelled means gone.** The next insert reuses the node of a cancelled timer.
//!
//! # Costs
//!
//! | operation | [`Wheel`] | binary heap, lazy deletion | `BTreeMap` |
//! |---|---|---|---|
//! | insert | O(1); O(log n) amortised into a slot that has an order | O(log n), O(1) on average | O(log n) |
//! | cancel | O(1) | O(1), the entry stays until the deadline | O(log n) |
//! | reschedule | O(1) | O(log n), leaves a dead entry behind | O(log n) |
//! | next deadline | O(1); O(log n) amortised[^unsorted] | O(1), plus the dead entries on top | O(1) |
//! | poll without a due timer | O(1) | O(1) | O(log n) |
//! | fire | O(1), plus at most one move per level in a timer's life | O(log n) | O(log n) |
//!
//! [^unsorted]: After the earliest timer of an unsorted slot has left. The first such call makes the order.
//!
//! A jump over any stretch of time costs only the timers that fire and cascade; empty ticks cost
//! nothing. The price is that one poll may have to cascade a long slot at once, and that the wheel
//! returns no memory before it is dropped.
//!
//! # Map
//!
//! * `wheel`: arming and disarming · `expire`: which timers are due · `earliest`: when the next one
//!   is due · `drain`: how all timers leave at once
//! * `place`: the arithmetic of levels, and why order survives it · `level`: what a slot records ·
//!   `order`: the least deadline of a long list · `prefetch`: how a long list is loaded into the
//!   cache · `slab`: where timers are stored

#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]

mod drain;
mod earliest;
mod expire;
mod key;
mod level;
mod order;
mod place;
mod prefetch;
mod slab;
mod wheel;

pub use drain::Drain;
pub use expire::{Entry, Expired};
pub use key::Key;
pub use wheel::Wheel;

/// Runs the example in README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
