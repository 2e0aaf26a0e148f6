//! Which threads run blocking jobs and work as standbys?
//!
//! Threads are started on demand, up to a limit, and end when they have been idle for a while. If
//! the operating system refuses a thread, that is an error only if no other thread would take the
//! job.
//!
//! A thread keeps the pool's number until it has ended, and has one thread-local that is registered
//! first and so destroyed last. `close` waits for that up to its deadline, and joins only a thread
//! that has run its destructors.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::contain::silently;
use crate::door::Door;
use crate::os::Slice;
use crate::refused::drop_refused;
use crate::sync::thread::{self, Builder};
use crate::sync::{Condvar, HintI32, HintU64, Instant, Mutex, MutexGuard, Ordering, Presence};

crate::sync::thread_locals! {
    /// The number of the pool that the calling thread belongs to, or zero. It stays until the
    /// thread has ended: the destructors of thread-locals run there too, and must not wait for the
    /// thread that they run on.
    static OWNER: Cell<u64> = const { Cell::new(0) };
}

/// Pools have numbers because an address may be another pool's by the time a thread's last
/// destructor compares it.
fn next_number() -> u64 {
    static NEXT: HintU64 = HintU64::new(1);
    // Relaxed: the numbers only have to differ.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The pause between two checks whether a thread that has finished its work has ended.
const WAY_OUT: Duration = Duration::from_micros(50);

/// A closure that may block.
pub type BlockingJob = Box<dyn FnOnce() + Send>;

/// Why a blocking job was not taken.
#[derive(Debug)]
#[non_exhaustive]
pub struct BlockingRefused {
    /// `ErrorKind::Other` if the scheduler accepts no more; else the operating system's error.
    pub error: io::Error,
    /// The scheduler is closed, or is being closed and accepts no more from the calling thread.
    pub is_closed: bool,
}

/// The scheduler, as the owner of the pool's threads.
pub(crate) trait Crew: Send + Sync + Sized + 'static {
    /// A standby's slot, with everything that belongs to it.
    type Post: Send;
    fn pool(&self) -> &Pool<Self>;
    /// Lets the calling thread work in the slot until it is dismissed. False: the thread has a lower
    /// priority now, and must end.
    fn work_at(self: &Arc<Self>, post: Self::Post) -> bool;
    /// Called when a thread returns from its work.
    fn is_back(&self);
}

/// The pool.
pub(crate) struct Pool<C: Crew> {
    state: Mutex<State<C>>,
    /// Notified when a thread is claimed, or the pool is closed.
    claimed: Condvar,
    /// Notified when a thread has ended.
    ended: Condvar,
    /// Notified when no blocking job is queued or running.
    drained: Condvar,
    limit: usize,
    keep_alive: Duration,
    name: Arc<str>,
    number: u64,
    /// The usual niceness: that of the thread that has started the scheduler, then of its watchdog.
    niceness: HintI32,
}

struct State<C: Crew> {
    jobs: VecDeque<BlockingJob>,
    posts: VecDeque<C::Post>,
    /// The number of blocking jobs that run.
    running: usize,
    /// Threads that wait and are not claimed.
    idle: usize,
    /// Threads that were claimed and have not noticed it yet.
    claims: usize,
    /// Threads that were started and have not taken their first work yet.
    starting: usize,
    threads: HashMap<usize, Started>,
    /// Threads that have finished their work and must be joined.
    exited: Vec<Started>,
    next_id: usize,
    /// From which threads jobs are accepted.
    door: Door,
    closed: bool,
}

/// A thread that can be joined.
struct Started {
    handle: thread::JoinHandle<()>,
    presence: Presence,
}

impl Started {
    fn start(name: String, work: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let presence = Presence::new();
        let of_thread = presence.clone();
        let handle = Builder::new().name(name).spawn(move || {
            of_thread.begin();
            work();
        })?;
        Ok(Self { handle, presence })
    }
}

enum Work<P> {
    Blocking(BlockingJob),
    Post(P),
}

/// The pool's numbers for the metrics.
pub(crate) struct Stats {
    pub(crate) threads: usize,
    pub(crate) queued: usize,
}

impl<C: Crew> Default for State<C> {
    fn default() -> Self {
        Self {
            jobs: VecDeque::new(),
            posts: VecDeque::new(),
            running: 0,
            idle: 0,
            claims: 0,
            starting: 0,
            threads: HashMap::new(),
            exited: Vec::new(),
            next_id: 0,
            door: Door::default(),
            closed: false,
        }
    }
}

impl<C: Crew> State<C> {
    /// The number of threads that will take a job from the queue: those that will take a standby's
    /// slot do not count.
    fn coming(&self) -> usize {
        (self.claims + self.starting).saturating_sub(self.posts.len())
    }

    fn has_no_jobs(&self) -> bool {
        self.running == 0 && self.jobs.is_empty()
    }

    fn take(&mut self, limit: usize, only_jobs: bool) -> Option<Work<C::Post>> {
        let post = if only_jobs { None } else { self.posts.pop_front() };
        if let Some(post) = post {
            return Some(Work::Post(post));
        }
        if self.running >= limit {
            return None;
        }
        let job = self.jobs.pop_front()?;
        self.running += 1;
        Some(Work::Blocking(job))
    }
}

impl<C: Crew> Pool<C> {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            state: Mutex::new(State::default()),
            claimed: Condvar::new(),
            ended: Condvar::new(),
            drained: Condvar::new(),
            limit: config.blocking_threads(),
            keep_alive: config.blocking_keep_alive,
            name: Arc::clone(&config.thread_name),
            number: next_number(),
            niceness: HintI32::new(crate::os::niceness()),
        }
    }

    /// Queues a blocking job.
    pub(crate) fn submit(&self, crew: &Arc<C>, job: BlockingJob) -> Result<(), BlockingRefused> {
        let mut state = self.state.lock();
        if !state.door.lets_in(|| self.is_own_thread()) {
            drop(state);
            drop_refused(job);
            let error = io::Error::other("the scheduler is closed");
            return Err(BlockingRefused { error, is_closed: true });
        }
        state.jobs.push_back(job);
        // A thread that runs a blocking job, or is about to take one, returns to the queue; a
        // standby may stay away for ever.
        let busy = state.running + state.coming();
        if busy >= self.limit {
            return Ok(());
        }
        let Err(error) = self.find_thread(crew, &mut state, false) else { return Ok(()) };
        if busy > 0 {
            return Ok(());
        }
        let job = state.jobs.pop_back();
        drop(state);
        drop(job);
        Err(BlockingRefused { error, is_closed: false })
    }

    /// Lets a thread of the pool work at a place. For the watchdog.
    pub(crate) fn seat(&self, crew: &Arc<C>, post: C::Post) -> Result<(), C::Post> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(post);
        }
        state.posts.push_back(post);
        match self.find_thread(crew, &mut state, true) {
            Ok(()) => Ok(()),
            Err(_) => Err(state.posts.pop_back().expect("just pushed, and the lock is held")),
        }
    }

    /// Makes sure that a thread takes what was just queued.
    fn find_thread(&self, crew: &Arc<C>, state: &mut State<C>, for_post: bool) -> io::Result<()> {
        if state.idle > 0 {
            state.idle -= 1;
            state.claims += 1;
            self.claimed.notify_one();
            return Ok(());
        }
        self.start_thread(crew, state, for_post)
    }

    /// Starts a thread that runs `work` and ends; `join` waits for it.
    pub(crate) fn start_aside(
        &self,
        crew: &Arc<C>,
        role: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let mut state = self.state.lock();
        let id = state.next_id;
        let crew = Arc::clone(crew);
        let started = Started::start(format!("{}-{role}", self.name), move || {
            let pool = crew.pool();
            OWNER.set(pool.number);
            work();
            pool.thread_ends(pool.state.lock(), id);
        })?;
        state.next_id += 1;
        state.threads.insert(id, started);
        Ok(())
    }

    pub(crate) fn niceness(&self) -> i32 {
        self.niceness.load(Ordering::Relaxed)
    }

    /// The calling thread has the usual niceness: somebody may have changed that of the whole program.
    pub(crate) fn note_niceness(&self) {
        self.niceness.store(crate::os::niceness(), Ordering::Relaxed);
    }

    /// Whether the calling thread is one of those that `join` waits for.
    pub(crate) fn is_own_thread(&self) -> bool {
        OWNER.get() == self.number
    }

    /// The calling thread's last action here: it is marked as ended, to be joined by another
    /// thread.
    fn thread_ends(&self, mut state: MutexGuard<'_, State<C>>, id: usize) {
        if let Some(own) = state.threads.remove(&id) {
            state.exited.push(own);
        }
        self.ended.notify_all();
    }

    fn start_thread(&self, crew: &Arc<C>, state: &mut State<C>, for_post: bool) -> io::Result<()> {
        let id = state.next_id;
        let crew = Arc::clone(crew);
        let started =
            Started::start(format!("{}-pool-{id}", self.name), move || crew.pool().run(&crew, id, for_post))?;
        state.next_id += 1;
        state.starting += 1;
        state.threads.insert(id, started);
        // These threads are about to end. They are not joined: the lock is held, and the
        // destructors of their thread-locals are foreign code.
        state.exited.clear();
        Ok(())
    }

    fn run(&self, crew: &Arc<C>, id: usize, for_post: bool) {
        crate::os::prepare_thread();
        crate::os::set_slice(Slice::Usual);
        OWNER.set(self.number);
        // A thread inherits the priority of the one that starts it. If that one computes, this one runs the
        // blocking jobs that are queued and ends: it must never be a worker.
        let is_low = !for_post && crate::os::niceness() != self.niceness();
        let mut state = self.state.lock();
        state.starting -= 1;
        loop {
            if let Some(work) = state.take(self.limit, is_low) {
                drop(state);
                let was_job = matches!(work, Work::Blocking(_));
                let stays = match work {
                    Work::Blocking(job) => {
                        silently(job);
                        true
                    }
                    Work::Post(post) => {
                        let stays = crew.work_at(post);
                        crate::os::set_slice(Slice::Usual);
                        stays
                    }
                };
                state = self.state.lock();
                state.running -= usize::from(was_job);
                if state.has_no_jobs() {
                    self.drained.notify_all();
                }
                crew.is_back();
                if !stays {
                    break;
                }
                continue;
            }
            if state.closed || is_low {
                break;
            }
            state.idle += 1;
            // `None`: the end is beyond what the clock can represent.
            let until = Instant::now().checked_add(self.keep_alive);
            while state.claims == 0 && !state.closed && until.is_none_or(|until| Instant::now() < until) {
                match until {
                    Some(until) => _ = self.claimed.wait_until(&mut state, until),
                    None => self.claimed.wait(&mut state),
                }
            }
            if state.claims > 0 {
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

    /// Whether no job runs and nothing waits for a thread.
    pub(crate) fn is_quiet(&self) -> bool {
        let state = self.state.lock();
        state.has_no_jobs() && state.posts.is_empty()
    }

    /// Waits for the running and queued blocking jobs to end, but not beyond the deadline. False:
    /// there were none.
    pub(crate) fn wait_for_jobs(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock();
        let had_jobs = !state.has_no_jobs();
        while !state.has_no_jobs() {
            match deadline {
                None => self.drained.wait(&mut state),
                Some(deadline) => {
                    if self.drained.wait_until(&mut state, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        had_jobs
    }

    pub(crate) fn stats(&self) -> Stats {
        let state = self.state.lock();
        Stats { threads: state.threads.len(), queued: state.jobs.len() }
    }

    /// From now on accepts jobs only from threads for which `door` is open.
    pub(crate) fn narrow(&self, door: Door) {
        let mut state = self.state.lock();
        state.door = state.door.max(door);
    }

    /// Drops the queue, and lets the threads end.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.door = Door::Closed;
        state.closed = true;
        let jobs = std::mem::take(&mut state.jobs);
        self.claimed.notify_all();
        self.drained.notify_all();
        drop(state);
        // A job's captured values are foreign code.
        for job in jobs {
            silently(|| drop(job));
        }
    }

    /// Waits for the threads to end; those that have not ended by `deadline` are left.
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
            // The thread has finished its work; the destructors of its thread-locals are foreign
            // code, and may take long.
            while !ended.presence.has_ended() && deadline.is_none_or(|deadline| Instant::now() < deadline) {
                thread::sleep(WAY_OUT);
            }
            if ended.presence.has_ended() {
                let _ = ended.handle.join();
            }
        }
    }
}
