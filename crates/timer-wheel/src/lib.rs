//! What is due, and when will something be due next?
//!
//! [`Wheel`] is a hierarchical timer wheel as a pure data structure: time is a `u64` that the caller hands in, nothing here reads a
//! clock, blocks or starts a thread. It is made for a scheduler that arms far more timers than it ever fires, because most timeouts
//! are cancelled when the operation they guard succeeds.
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
//! # What holds
//!
//! * **Never early, never lost.** A timer comes out at the first [`poll`](Wheel::poll) whose time has reached its deadline.
//! * **In order.** Ascending deadlines; equal deadlines in the order in which they were armed, exactly, however far they have cascaded.
//! * **The whole range.** Every `u64` is a valid time and a valid deadline, `u64::MAX` included. Nothing wraps.
//! * **Exact.** [`next_deadline`](Wheel::next_deadline) is the earliest deadline, not a lower bound, so a thread that sleeps until then
//!   does not wake merely to move entries about.
//! * **Cancelled means gone.** The room of a cancelled timer is reused by the next insert.
//!
//! # What it costs
//!
//! | operation | [`Wheel`] | binary heap, lazy deletion | `BTreeMap` |
//! |---|---|---|---|
//! | insert | O(1); O(log n) amortised into a slot that was asked so | O(log n), O(1) on average | O(log n) |
//! | cancel | O(1) | O(1), the room stays taken until the deadline | O(log n) |
//! | reschedule | O(1) | O(log n), leaves a dead entry behind | O(log n) |
//! | next deadline | O(1); O(log n) amortised after the earliest timer of an unsorted slot left | O(1), plus the dead entries on top | O(1) |
//! | poll without a due timer | O(1) | O(1) | O(log n) |
//! | fire | O(1), plus at most one move per level in a timer's life | O(log n) | O(log n) |
//!
//! A jump over any stretch of time costs what fires and what cascades; empty ticks cost nothing. What a wheel pays for this is that one
//! poll may have to cascade a crowded slot at once, and that it does not give memory back before it is dropped.
//!
//! # Map
//!
//! * `wheel`: arming and disarming · `expire`: what is due · `earliest`: what will be due · `drain`: how everything leaves
//! * `place`: the arithmetic of levels, and why order survives it · `level`: what a slot remembers · `order`: the least of a crowd ·
//!   `slab`: where timers live

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

/// Runs the example in the read-me.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
