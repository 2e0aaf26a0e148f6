//! The executor under Selvedge: runs tasks on threads.
//!
//! It knows nothing of asyncio: no names, no contexts, no errors. What the layer above needs for each task travels in a slot of
//! the task's cell ([`Slot`]), what a task ends with is told by [`Outcome`].
//!
//! | file | question |
//! |---|---|
//! | `scheduler.rs`, `config.rs` | how is it started and used? |
//! | `spawn.rs` | how does a task come into being? |
//! | `close.rs`, `door.rs`, `refused.rs` | how does it come to its end, who may hand in what until then, and what becomes of the rest? |
//! | `task/` | what is a task's cell, and who may touch what in it? |
//! | `queue/` | where do runnable tasks wait? |
//! | `worker/` | what does a worker do next, what every so often, and what if it has run out of work? |
//! | `idle.rs`, `parker.rs`, `spin.rs` | which worker is woken, which may sleep, and how? |
//! | `watch.rs`, `watchdog.rs`, `heavy.rs` | what if a poll takes long? |
//! | `timer.rs`, `timers.rs`, `driver.rs`, `clock.rs` | when do timers fire, and who waits for them? |
//! | `moment.rs`, `far.rs` | how far does time go, and where do virtual timers wait that no wheel can hold? |
//! | `io/` | how does a socket tell the task that waits for it? |
//! | `wait_list.rs` | how is it kept who waits for something? |
//! | `clock_pause.rs` | who keeps virtual time from moving on? |
//! | `probe.rs` | what is a task doing at this moment? |
//! | `pool.rs`, `os.rs` | which threads are there besides? |
//! | `contain.rs` | how is foreign code kept from getting at us? |
//! | `metrics.rs`, `counters.rs` | what has happened so far? |
//! | `shared.rs` | what do all threads of a scheduler see? |
//! | `runtimes.rs` | which schedulers are there in this process? |
//! | `sync.rs` | on which atomics, cells, locks does it stand? |
//!
//! Imports run downwards only (`tests/layers.rs` checks it):
//!
//! ```text
//!  scheduler  spawn  close  probe  timer  metrics     the owner's view: start, spawn, look inside, close
//!  worker/  watch                                     the workers' loop, and who watches it
//!  shared                                             what all threads of a scheduler see: a struct of the parts below
//!  driver  pool  watchdog  heavy  far  counters       the parts, each with its own fields
//!  queue/  timers  io/  idle  parker  clock           data, without workers
//!  task/                                              a leaf: it knows its scheduler as `trait Schedule`
//!  door  contain  wait_list  moment  runtimes  sync
//! ```

#![deny(unsafe_code)]
#![cfg_attr(not(selvedge_loom), warn(missing_debug_implementations))]

mod clock;
mod clock_pause;
mod close;
mod config;
pub mod contain;
mod counters;
mod cpu_bound;
mod door;
mod driver;
mod far;
mod idle;
mod io;
mod kinds;
mod metrics;
#[cfg(selvedge_loom)]
#[expect(unsafe_code, reason = "a model seals the cells that it frees")]
pub mod model;
mod moment;
mod os;
mod parker;
mod pool;
mod probe;
mod queue;
mod refused;
mod runtimes;
mod scheduler;
mod shared;
mod spawn;
mod spin;
mod sync;
#[expect(unsafe_code, reason = "a task's cell is shared without a lock")]
mod task;
mod timer;
mod timers;
mod wait_list;
mod watchdog;
mod watchdog_thread;
mod worker;
mod worker_slot;

pub use clock::ClockKind;
pub use config::{AsAny, Config, Hooks, MAX_WORKERS, NoHooks};
pub use io::{Changes, Direction, Ready, Registration, Waiter};
pub use metrics::{Metrics, WorkerMetrics, poll_time_bucket_end};
pub use moment::Moment;
pub use pool::{BlockingJob, BlockingRefused};
pub use probe::Probed;
pub use scheduler::TimeHold;
pub use shared::Scheduler;
pub use task::{JoinHandle, Outcome, Slot, TaskRef};
pub use timer::{NoScheduler, Timer};
pub use wait_list::{WaitList, Waiters};
