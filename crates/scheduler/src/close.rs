//! How does a scheduler end?
//!
//! It is closed in steps, and each step narrows the [`Door`] through which tasks and blocking jobs
//! are added:
//!
//! ```text
//!  may add        step                         what happens meanwhile
//!
//!  every thread   open
//!                   | refuse_foreign_threads
//!  own threads    closing                      the layer above cancels tasks and waits; workers and
//!                   |                          pool run, so clean-up may spawn, call back, use the pool
//!                   | refuse_everybody
//!  no thread      last round                   the layer above cancels and waits for what was added before
//!                   | close
//!  no thread      giving up                    workers stop after their poll; the closing thread drops the
//!                   |                          remaining tasks; the caller waits up to its patience
//!                   v
//!  no thread      closed                       polls, destructors and jobs that are stuck are left behind
//! ```
//!
//! Own threads are the workers, standbys and pool threads of the scheduler, whatever they run: a
//! destructor, a callback, a blocking job. A worker of another scheduler is foreign.
//!
//! **Invariant: an added task or job is either found by every walk that begins after the step, or
//! refused.** The door is read under the lock under which a task enters its shard, or a job the
//! queue of the pool, and is narrowed under the same lock. So a walk after `refuse_everybody` is
//! the last one that is needed: nothing is added after it. A refused task is dropped at once by the
//! thread that spawned it, and its handle resolves to [`Outcome::closed`](crate::Outcome::closed).
//! A refused job is dropped in the same way, and its submitter gets an error.
//!
//! No step before `close` waits. `close` waits for destructors no longer than its deadline: they
//! run on the closing thread or on workers (on the caller if that thread cannot be started). Two
//! actions have no deadline: joining the watchdog, which ends at once, and one walk over the
//! remaining tasks.
//!
//! One thread drops the remaining tasks. The tasks that are inside a poll or a destructor at the
//! end are found from the workers' poll progress and from what that thread drops, so no other task
//! is reported as stuck.

use std::collections::HashSet;
use std::time::Duration;

use crate::door::{Door, NONE};
use crate::queue::Steal;
use crate::shared::{Scheduler, Shared};
use crate::sync::{Instant, Ordering, spin_loop, thread};
use crate::task::{Runnable, TaskRef};
use crate::worker_slot::is_polling;

/// The pause between two rounds of `close` that wake and drop the remaining tasks.
const CLOSE_ROUND: Duration = Duration::from_millis(1);
/// The longest pause between two rounds.
const CLOSE_ROUND_MAX: Duration = Duration::from_millis(50);
/// The rounds that `close` makes without pausing: nearly always everything has ended by then.
const CLOSE_SPINS: u32 = 50;

impl Scheduler {
    /// From now on refuses tasks and jobs from threads that are not this scheduler's. Tasks
    /// continue, and may spawn. The first step of closing.
    pub fn refuse_foreign_threads(&self) {
        self.narrow(Door::OwnThreads);
    }

    /// Refuses all new tasks and blocking jobs from now on. Earlier ones continue.
    pub fn refuse_everybody(&self) {
        self.narrow(Door::Closed);
    }

    /// Whether the scheduler refuses tasks and jobs from the calling thread.
    pub fn refuses(&self) -> bool {
        let close = &self.shared().close;
        close.has_reached(Door::Closed)
            || close.has_reached(Door::OwnThreads) && !self.shared().pool.is_own_thread()
    }

    fn narrow(&self, door: Door) {
        let shared = self.shared();
        shared.close.note(door);
        shared.owned.narrow(door);
        shared.pool.narrow(door);
    }

    /// Closes the scheduler: refuses new tasks, drops the suspended ones (their handles resolve to
    /// [`Outcome::closed`](crate::Outcome::closed)), and joins the threads. Polls and blocking jobs
    /// that still run after `patience` are left behind; the tasks that are inside a poll or a
    /// destructor at that time are returned. They end when their poll does.
    ///
    /// One thread drops the suspended tasks, one after the other. Destructors that wait for each
    /// other are left behind too. If there are more tasks than it can drop within `patience`, it
    /// continues afterwards.
    ///
    /// On a thread of the same scheduler (in a task, a blocking job, or a destructor that `close`
    /// runs) this does not wait, and the result is empty.
    pub fn close(&self, patience: Duration) -> Vec<TaskRef> {
        let shared = self.shared();
        self.refuse_everybody();
        shared.pool.close();
        shared.dismiss_all();
        let is_own = shared.pool.is_own_thread();
        let deadline = Instant::now().checked_add(if is_own { Duration::ZERO } else { patience });
        self.drop_all(deadline);
        shared.driver.close();
        if is_own {
            return Vec::new();
        }
        shared.watchdog.join();
        shared.pool.join(deadline);
        crate::task::trim_cell_memory(|| true);
        shared.tasks_that_run()
    }

    /// Drops suspended and queued tasks until none is left, or the time is up.
    fn drop_all(&self, deadline: Option<Instant>) {
        let shared = self.shared();
        // Relaxed: the first caller starts the thread, and publishes nothing by it.
        if self.live_tasks() > 0 && !shared.close.has_closer.swap(true, Ordering::Relaxed) {
            // The destructors of futures are foreign code and may block: they run on a separate
            // thread.
            let scheduler = self.clone();
            // The thread stays as long as a task lives, also beyond the deadline: no other thread
            // would drop a task whose poll ends late.
            if shared.pool.start_aside(self.as_arc(), "close", move || scheduler.drop_until(None)).is_err() {
                shared.close.has_closer.store(false, Ordering::Relaxed);
                self.drop_until(deadline);
            }
        }
        let mut round = 0;
        while self.live_tasks() > 0 && !is_over(deadline) {
            pause(round, deadline);
            round += 1;
        }
    }

    fn drop_until(&self, deadline: Option<Instant>) {
        let mut round = 0;
        while self.live_tasks() > 0 {
            self.drop_queued();
            if is_over(deadline) {
                break;
            }
            pause(round, deadline);
            round += 1;
        }
    }

    /// Wakes all suspended tasks, so that they enter a queue, and drops the queued ones.
    fn drop_queued(&self) {
        let shared = self.shared();
        for tasks in shared.owned.by_portions() {
            for task in tasks {
                task.wake();
            }
        }
        let steals =
            [|shared: &Shared| shared.injector.steal_one(), |shared: &Shared| shared.lanes.steal_one()];
        for steal in steals {
            loop {
                match steal(shared) {
                    Steal::Success(task) => shared.drop_one(task),
                    Steal::Retry => spin_loop(),
                    Steal::Empty => break,
                }
            }
        }
        for slot in shared.places() {
            if let Some(task) = slot.next.take() {
                shared.drop_one(task);
            }
            while let Steal::Success(task) = slot.stealer.steal_one() {
                shared.drop_one(task);
            }
        }
    }
}

impl Shared {
    /// Runs on the closing thread.
    fn drop_one(&self, task: Runnable) {
        self.close.dropping.store(task.address() as u64, Ordering::Relaxed);
        drop(task);
        self.close.dropping.store(NONE, Ordering::Relaxed);
    }

    /// The tasks that are inside a poll or a destructor, as far as other threads can see. Tasks
    /// that the closing thread has not reached yet are not included.
    fn tasks_that_run(&self) -> Vec<TaskRef> {
        if self.owned.len() == 0 {
            return Vec::new();
        }
        let polled = self.places().iter().filter_map(|slot| {
            let is_polling = is_polling(slot.progress.poll.load(Ordering::Relaxed));
            is_polling.then(|| slot.progress.task.load(Ordering::Relaxed))
        });
        let addresses: HashSet<u64> =
            polled.chain([self.close.dropping.load(Ordering::Relaxed)]).filter(|it| *it != NONE).collect();
        let addresses: Vec<usize> = addresses.into_iter().map(|address| address as usize).collect();
        self.owned.at_addresses(&addresses)
    }
}

fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// Pauses between two rounds. Nearly always everything ends within a few rounds; the others may
/// take long, but the pause never exceeds the deadline.
fn pause(round: u32, deadline: Option<Instant>) {
    if round < CLOSE_SPINS {
        thread::yield_now();
    } else {
        let left =
            deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        thread::sleep((CLOSE_ROUND * (round - CLOSE_SPINS + 1)).min(CLOSE_ROUND_MAX).min(left));
    }
}
