//! Which threads run what is no task: blocking jobs, and the places of spares?
//!
//! Threads are started on demand, up to a bound, and retire when they have had nothing to do for a while. A thread that the
//! operating system refuses is an error if no other thread would come to the job.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::queue::Deque;
use crate::shared::Shared;
use crate::sync::thread::{Builder, JoinHandle};
use crate::sync::{Condvar, Instant, Mutex, MutexGuard, mutation};
use crate::worker;

/// A closure that may block.
pub type BlockingJob = Box<dyn FnOnce() + Send>;

/// Why a blocking job was not taken.
#[derive(Debug)]
pub struct BlockingRefused {
    /// `ErrorKind::Other` if the scheduler is closed; else what the operating system answered.
    pub error: io::Error,
}

struct Seat {
    shared: Arc<Shared>,
    index: usize,
    deque: Deque,
}

/// The pool.
pub(crate) struct Pool {
    state: Mutex<State>,
    /// A thread is claimed, or the pool is closed.
    claimed: Condvar,
    /// A thread has ended.
    ended: Condvar,
    limit: usize,
    keep_alive: Duration,
    name: Arc<str>,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<BlockingJob>,
    seats: VecDeque<Seat>,
    /// Blocking jobs that run.
    running: usize,
    /// Threads that wait and are not claimed.
    idle: usize,
    /// Threads that were claimed and have not noticed yet.
    claims: usize,
    threads: HashMap<usize, JoinHandle<()>>,
    /// Ended, to be joined.
    exited: Vec<JoinHandle<()>>,
    next_id: usize,
    closed: bool,
}

enum Work {
    Blocking(BlockingJob),
    Seat(Seat),
}

/// Some numbers.
pub(crate) struct Stats {
    pub(crate) threads: usize,
    pub(crate) queued: usize,
}

impl State {
    fn take(&mut self, limit: usize) -> Option<Work> {
        if let Some(seat) = self.seats.pop_front() {
            return Some(Work::Seat(seat));
        }
        if self.running < limit
            && let Some(job) = self.jobs.pop_front()
        {
            self.running += 1;
            return Some(Work::Blocking(job));
        }
        None
    }
}

impl Pool {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            state: Mutex::new(State::default()),
            claimed: Condvar::new(),
            ended: Condvar::new(),
            limit: config.blocking_threads(),
            keep_alive: config.blocking_keep_alive,
            name: Arc::clone(&config.thread_name),
        }
    }

    /// Queues a blocking job.
    pub(crate) fn submit(&self, shared: &Arc<Shared>, job: BlockingJob) -> Result<(), BlockingRefused> {
        let mut state = self.state.lock();
        if state.closed && !mutation("submit-though-closed") {
            drop(state);
            drop(job);
            return Err(BlockingRefused { error: io::Error::other("the scheduler is closed") });
        }
        state.jobs.push_back(job);
        let Err(error) = self.find_thread(shared, &mut state) else { return Ok(()) };
        // Somebody who runs a blocking job comes back to the queue; a stand-in may stay away for ever.
        if state.running > 0 || state.claims > 0 {
            return Ok(());
        }
        let job = state.jobs.pop_back();
        drop(state);
        drop(job);
        Err(BlockingRefused { error })
    }

    /// Lets a thread of the pool work at a spare's place.
    pub(crate) fn seat(&self, shared: &Arc<Shared>, index: usize, deque: Deque) -> Result<(), Deque> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(deque);
        }
        state.seats.push_back(Seat { shared: Arc::clone(shared), index, deque });
        match self.find_thread(shared, &mut state) {
            Ok(()) => Ok(()),
            Err(_) => Err(state.seats.pop_back().expect("just pushed, and the lock is held").deque),
        }
    }

    /// Sees to it that a thread comes to what was just queued.
    fn find_thread(&self, shared: &Arc<Shared>, state: &mut State) -> io::Result<()> {
        if state.idle > 0 {
            state.idle -= 1;
            state.claims += 1;
            self.claimed.notify_one();
            return Ok(());
        }
        if state.seats.is_empty() && state.running + state.claims >= self.limit {
            return Ok(());
        }
        self.start_thread(shared, state)
    }

    /// Starts a thread for one of the N workers. It ends with its place.
    pub(crate) fn start_worker(&self, shared: &Arc<Shared>, index: usize) -> io::Result<()> {
        let mut state = self.state.lock();
        let id = state.next_id;
        let for_thread = Arc::clone(shared);
        let deque = shared.slots[index].vacant.lock().take().expect("a worker's place is taken once");
        shared.rescue.took_place(index);
        let spawned = Builder::new().name(format!("{}-worker-{index}", self.name)).spawn(move || {
            crate::os::prepare_thread();
            worker::run(Arc::clone(&for_thread), index, deque);
            for_thread.pool.thread_ends(for_thread.pool.state.lock(), id);
        });
        match spawned {
            Ok(handle) => {
                state.next_id += 1;
                state.threads.insert(id, handle);
                Ok(())
            }
            Err(error) => {
                shared.rescue.left();
                Err(error)
            }
        }
    }

    /// The calling thread's last act here: it is to be joined by whoever comes next.
    fn thread_ends(&self, mut state: MutexGuard<'_, State>, id: usize) {
        if let Some(own) = state.threads.remove(&id) {
            state.exited.push(own);
        }
        self.ended.notify_all();
    }

    fn start_thread(&self, shared: &Arc<Shared>, state: &mut State) -> io::Result<()> {
        let id = state.next_id;
        let shared = Arc::clone(shared);
        let handle = Builder::new()
            .name(format!("{}-pool-{id}", self.name))
            .spawn(move || shared.pool.run(&shared, id))?;
        state.next_id += 1;
        state.threads.insert(id, handle);
        for ended in state.exited.drain(..) {
            // It has left the pool's lock behind; what remains is the way out of the thread.
            let _ = ended.join();
        }
        Ok(())
    }

    fn run(&self, shared: &Arc<Shared>, id: usize) {
        crate::os::prepare_thread();
        let mut state = self.state.lock();
        loop {
            if let Some(work) = state.take(self.limit) {
                drop(state);
                let was_job = matches!(work, Work::Blocking(_));
                match work {
                    Work::Blocking(job) => {
                        let _ = catch_unwind(AssertUnwindSafe(job));
                    }
                    Work::Seat(seat) => worker::run(seat.shared, seat.index, seat.deque),
                }
                state = self.state.lock();
                state.running -= usize::from(was_job && !mutation("job-never-ends"));
                if shared.clock.is_virtual() {
                    // The worker that waits for everything to rest must look again.
                    shared.driver.recheck(shared);
                }
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let until = Instant::now() + self.keep_alive;
            while state.claims == 0 && !state.closed && Instant::now() < until {
                self.claimed.wait_until(&mut state, until);
            }
            if state.claims > 0 && !mutation("retire-though-claimed") {
                state.claims -= 1;
            } else {
                state.idle -= 1;
                if !state.closed {
                    break;
                }
            }
        }
        self.thread_ends(state, id);
    }

    /// Nothing runs or waits for a thread here.
    pub(crate) fn is_quiet(&self) -> bool {
        let state = self.state.lock();
        state.running == 0 && state.jobs.is_empty() && state.seats.is_empty()
    }

    pub(crate) fn stats(&self) -> Stats {
        let state = self.state.lock();
        Stats { threads: state.threads.len(), queued: state.jobs.len() }
    }

    /// Drops the queue, and lets the threads end.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let jobs = std::mem::take(&mut state.jobs);
        self.claimed.notify_all();
        drop(state);
        // A job's captures are foreign code.
        for job in jobs {
            let _ = catch_unwind(AssertUnwindSafe(|| drop(job)));
        }
    }

    /// Waits for the threads to end; those that do not by `deadline` are left.
    pub(crate) fn join(&self, deadline: Option<Instant>) {
        let mut state = self.state.lock();
        while !state.threads.is_empty() {
            match deadline {
                None => self.ended.wait(&mut state),
                Some(deadline) => {
                    if self.ended.wait_until(&mut state, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        let exited = std::mem::take(&mut state.exited);
        drop(state);
        for ended in exited {
            let _ = ended.join();
        }
    }
}
