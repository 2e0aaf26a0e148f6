//! How does a scheduler come to its end?
//!
//! It is closed in steps, and each narrows the [`Door`] through which tasks and blocking jobs come in:
//!
//! ```text
//!  who may hand in     which step                      what is done meanwhile, by whom
//!
//!  everybody           open
//!                        | refuse_foreign_threads
//!  own threads         closing                         the layer above asks tasks to stop and waits; workers and pool run,
//!                        |                             so clean-up may spawn, call back and use the pool
//!                        | refuse_everybody
//!  nobody              the last look                   the layer above asks and waits for what came in before
//!                        | close
//!  nobody              giving up                       workers leave after their poll; the closing thread drops what is left;
//!                        |                             the caller waits, no longer than its patience
//!                        v
//!  nobody              closed                          what is stuck in a poll, a destructor or a job is left behind
//! ```
//!
//! Own threads are the workers, spares and pool threads of the scheduler, whatever they run: a destructor, a callback, a blocking job. A worker of
//! another scheduler is foreign.
//!
//! **Invariant: what is handed in is either found by every look that begins after the step, or refused.** The door is read under the lock under
//! which a task enters its shard, or a job the queue of the pool, and is narrowed under the same lock. So a look after `refuse_everybody` is the
//! last one that is needed: nothing comes after it. A task that is refused is dropped by the thread that handed it in, at once, and its handle resolves to
//! [`Outcome::closed`](crate::Outcome::closed); a job is dropped likewise, and its submitter told.
//!
//! No step before `close` waits. `close` waits for destructors no longer than its deadline: they run on the
//! closing thread or on workers (on the caller if that thread cannot be started). Two steps have no deadline:
//! joining the watchdog, which ends at once, and one walk over the tasks that are left.

use std::collections::HashSet;
use std::time::Duration;

use crate::door::{Door, NONE};
use crate::queue::Steal;
use crate::shared::{Scheduler, Shared};
use crate::sync::{Instant, Ordering, spin_loop, thread};
use crate::task::{Runnable, TaskRef};

/// Between two rounds of `close` that wake and drop what is left.
const CLOSE_ROUND: Duration = Duration::from_millis(1);
/// The longest pause between two rounds.
const CLOSE_ROUND_MAX: Duration = Duration::from_millis(50);
/// Rounds that `close` makes without waiting: nearly always everything has ended by then.
const CLOSE_SPINS: u32 = 50;

impl Scheduler {
    /// Refuses what threads hand in from now on that are not this scheduler's. Tasks run on, and may spawn. The first step of closing.
    pub fn refuse_foreign_threads(&self) {
        self.narrow(Door::OwnThreads);
    }

    /// Refuses all new tasks and blocking jobs from now on. Those that came before run on.
    pub fn refuse_everybody(&self) {
        self.narrow(Door::Closed);
    }

    /// Whether the scheduler takes nothing any more from the calling thread.
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

    /// Ends everything: refuses new tasks, drops the suspended ones (their handles resolve to
    /// [`Outcome::closed`](crate::Outcome::closed)), and joins the threads. What is inside a poll or a blocking job after `patience` is left behind; the tasks
    /// that are inside a poll or a destructor then are returned. They end when their poll does.
    ///
    /// One thread drops the suspended tasks, one after the other: destructors that wait for each other are left behind likewise. If there are more than it
    /// can drop within `patience`, it goes on afterwards.
    ///
    /// On a thread of the same scheduler (in a task, a blocking job, or a destructor that `close` runs) nothing is waited for, and the
    /// result is empty.
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
        crate::task::trim_cell_memory();
        shared.tasks_that_run()
    }

    /// Drops what is suspended or queued until nothing is left, or time is up.
    fn drop_all(&self, deadline: Option<Instant>) {
        let shared = self.shared();
        // Relaxed: whoever is first starts the thread, and publishes nothing by it.
        if self.live_tasks() > 0 && !shared.close.has_closer.swap(true, Ordering::Relaxed) {
            // The destructors of futures are foreign code and may block: they run on a thread of their own.
            let scheduler = self.clone();
            // It stays as long as a task lives, beyond the deadline too: a poll that ends late finds nobody else.
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

    /// Wakes whatever is suspended, so that it comes through a queue, and drops what is queued.
    fn drop_queued(&self) {
        let shared = self.shared();
        for tasks in shared.owned.by_portions() {
            for task in tasks {
                task.wake();
            }
        }
        let steals =
            [|shared: &Shared| shared.injector.steal_one(), |shared: &Shared| shared.heavy.steal_one()];
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
    /// On the closing thread.
    fn drop_one(&self, task: Runnable) {
        self.close.dropping.store(task.address() as u64, Ordering::Relaxed);
        drop(task);
        self.close.dropping.store(NONE, Ordering::Relaxed);
    }

    /// The tasks that are inside a poll or a destructor, as far as can be seen from outside. Those that nobody has come to yet are not among them.
    fn tasks_that_run(&self) -> Vec<TaskRef> {
        if self.owned.len() == 0 {
            return Vec::new();
        }
        let polled = self.places().iter().filter_map(|slot| {
            let is_polling = slot.progress.poll.load(Ordering::Relaxed) % 2 == 1;
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

/// Nearly always everything ends within a few rounds; what does not takes its time, but not beyond the deadline.
fn pause(round: u32, deadline: Option<Instant>) {
    if round < CLOSE_SPINS {
        thread::yield_now();
    } else {
        let left =
            deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        thread::sleep((CLOSE_ROUND * (round - CLOSE_SPINS + 1)).min(CLOSE_ROUND_MAX).min(left));
    }
}
