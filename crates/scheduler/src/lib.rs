//! Which parts does the executor under Selvedge have? It runs tasks on threads.
//!
//! It knows nothing of asyncio: no names, no contexts, no errors. What the layer above needs for
//! each task is stored in a slot of the task's cell ([`Slot`]). [`Outcome`] describes how a task
//! ends.
//!
//! | file | question |
//! |---|---|
//! | `scheduler.rs`, `config.rs` | how is a scheduler started, configured and used? |
//! | `spawn.rs` | how is a task created, and where is it queued first? |
//! | `close.rs` | how does a scheduler end? |
//! | `door.rs` | which threads may still hand in tasks and blocking jobs? |
//! | `refused.rs` | how are refused tasks and jobs dropped? |
//! | `task/` | what is a task's cell, and which thread may touch what in it? |
//! | `queue/` | where do runnable tasks wait? |
//! | `worker/` | what does a worker do next, and what if it has no task of its own? |
//! | `worker_slot.rs` | what do other threads see of a worker? |
//! | `idle.rs`, `parker.rs` | which parked worker is woken, which worker may park, and how? |
//! | `spin.rs` | how long does a worker go on searching before it parks? |
//! | `watchdog_thread.rs`, `watchdog.rs` | which polls last long, and which thread serves the rest? |
//! | `cpu_bound.rs`, `kinds.rs` | which tasks are cpu-bound, and how many may compute at once? |
//! | `share.rs` | do computing threads get a fair share of the cores? |
//! | `timer.rs`, `timers.rs`, `clock.rs` | what is a timer, when does it fire, and which time is it? |
//! | `driver.rs` | which idle worker waits for deadlines and sockets? |
//! | `moment.rs` | what is a point in a scheduler's time? |
//! | `far.rs` | where do the timers of virtual time wait that are too far ahead for a wheel? |
//! | `clock_pause.rs` | what keeps virtual time from moving on? |
//! | `io/` | how does a socket wake the task that waits for it? |
//! | `wait_list.rs` | how is a list of waiters kept? |
//! | `probe.rs` | what is a task doing at this moment? |
//! | `pool.rs` | which threads run blocking jobs and standbys? |
//! | `os.rs` | what does the scheduler need from the operating system? |
//! | `contain.rs` | how are panics and deeply nested drops in the program's code contained? |
//! | `metrics.rs`, `counters.rs` | what has happened so far? |
//! | `shared.rs` | what do all threads of a scheduler see? |
//! | `runtimes.rs` | which schedulers are there in this process? |
//! | `sync.rs` | on which atomics, cells, locks, threads and clocks does the scheduler stand? |
//! | `model/` | which internals can the models in `loom-tests` reach? |
//!
//! Imports run downwards only (`tests/layers.rs` checks that there are no cycles). Each module
//! stands in a row above all that it imports:
//!
//! ```text
//!  scheduler  spawn  probe  timer               the owner's view: start, spawn, look inside, wait
//!  worker/  watchdog_thread  close  metrics     the loops of the threads, the end, the numbers
//!  shared                                       what all threads see: a struct of the parts below
//!  cpu_bound  driver  pool  worker_slot         the parts, each with its own fields
//!  config  queue/  timers                       settings and data, without workers
//!  task/  io/  os  watchdog                     a task knows its scheduler as `trait Schedule`
//!  alarm  cores                                what the ones above need of time and of the machine
//!  clock  clock_pause  counters  door  far  idle  kinds  parker  refused  share  spin
//!  cgroup  contain  moment  runtimes  sync  wait_list    on these everything stands
//! ```

#![deny(unsafe_code)]
#![cfg_attr(not(selvedge_loom), warn(missing_debug_implementations))]

mod alarm;
mod cgroup;
mod clock;
mod clock_pause;
mod close;
mod config;
pub mod contain;
mod cores;
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
mod share;
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
pub use config::{AsAny, Config, Hooks, MAX_NICENESS, MAX_WORKERS, NoHooks};
pub use cores::cores;
pub use io::{Changes, Direction, Ready, Registration, Waiter};
pub use metrics::{Metrics, WorkerMetrics, poll_time_bucket_end};
pub use moment::Moment;
pub use pool::{BlockingJob, BlockingRefused};
pub use probe::Probed;
pub use scheduler::ClockPause;
pub use shared::Scheduler;
pub use task::{JoinHandle, NUMBER_BITS, NumberOr, NumberOrBox, Outcome, RefOr, RefThenBox, Slot, TaskRef};
pub use timer::{NoScheduler, Timer};
pub use wait_list::{WaitList, Waiters};
