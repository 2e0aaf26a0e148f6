//! Which threads run what is no task: blocking jobs, and the places of spares?
//!
//! Threads are started on demand, up to a bound, and retire when they have had nothing to do for a while. A thread that the
//! operating system refuses is an error if no other thread would come to the job.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::contain::silently;
use crate::door::Door;
use crate::refused::drop_refused;
use crate::sync::thread::{self, Builder};
use crate::sync::{Condvar, HintU64, Instant, Mutex, MutexGuard, Ordering, Presence, mutation};

crate::sync::thread_locals! {
    /// The number of the pool that the calling thread belongs to, or zero. It stays until the thread has
    /// ended: the destructors of thread-locals run there too, and must not wait for the thread that they run
    /// on.
    static OWNER: Cell<u64> = const { Cell::new(0) };
}

/// A number, since an address may be another pool's by the time a thread's last destructor compares it.
fn next_number() -> u64 {
    static NEXT: HintU64 = HintU64::new(1);
    // Relaxed: the numbers only have to differ.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Between two looks whether a thread is gone that has left our code.
const WAY_OUT: Duration = Duration::from_micros(50);

/// A closure that may block.
pub type BlockingJob = Box<dyn FnOnce() + Send>;

/// Why a blocking job was not taken.
#[derive(Debug)]
#[non_exhaustive]
pub struct BlockingRefused {
    /// `ErrorKind::Other` if the scheduler takes no more; else what the operating system answered.
    pub error: io::Error,
    /// The scheduler is closed, or is being closed and takes no more from the calling thread.
    pub is_closed: bool,
}

/// Whose threads these are.
pub(crate) trait Crew: Send + Sync + Sized + 'static {
    /// A worker's place, with what belongs to it.
    type Post: Send;
    fn pool(&self) -> &Pool<Self>;
    /// The calling thread works there until it is dismissed.
    fn work_at(self: &Arc<Self>, post: Self::Post);
    /// A thread comes back from its work.
    fn is_back(&self);
}

/// The pool.
pub(crate) struct Pool<C: Crew> {
    state: Mutex<State<C>>,
    /// A thread is claimed, or the pool is closed.
    claimed: Condvar,
    /// A thread has ended.
    ended: Condvar,
    /// No blocking job is queued or runs.
    drained: Condvar,
    limit: usize,
    keep_alive: Duration,
    name: Arc<str>,
    number: u64,
}

struct State<C: Crew> {
    jobs: VecDeque<BlockingJob>,
    posts: VecDeque<C::Post>,
    /// Blocking jobs that run.
    running: usize,
    /// Threads that wait and are not claimed.
    idle: usize,
    /// Threads that were claimed and have not noticed yet.
    claims: usize,
    /// Threads that were started and have not taken their first work yet.
    starting: usize,
    threads: HashMap<usize, Started>,
    /// They have left our code, and are to be joined.
    exited: Vec<Started>,
    next_id: usize,
    /// Whose jobs are taken.
    door: Door,
    closed: bool,
}

/// A thread, for whoever joins it.
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

/// Some numbers.
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
    /// Threads on their way to the queue of jobs: each post takes one of those that are on their way.
    fn coming(&self) -> usize {
        (self.claims + self.starting).saturating_sub(self.posts.len())
    }

    fn has_no_jobs(&self) -> bool {
        self.running == 0 && self.jobs.is_empty()
    }

    fn take(&mut self, limit: usize) -> Option<Work<C::Post>> {
        if let Some(post) = self.posts.pop_front() {
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
        }
    }

    /// Queues a blocking job.
    pub(crate) fn submit(&self, crew: &Arc<C>, job: BlockingJob) -> Result<(), BlockingRefused> {
        let mut state = self.state.lock();
        if !state.door.lets_in(|| self.is_own_thread()) && !mutation("submit-though-closed") {
            drop(state);
            drop_refused(job);
            let error = io::Error::other("the scheduler is closed");
            return Err(BlockingRefused { error, is_closed: true });
        }
        state.jobs.push_back(job);
        // Who runs a blocking job, or comes for one, comes back to the queue; a stand-in may stay away for ever.
        let busy = state.running + state.coming();
        if busy >= self.limit {
            return Ok(());
        }
        let Err(error) = self.find_thread(crew, &mut state) else { return Ok(()) };
        if busy > 0 {
            return Ok(());
        }
        let job = state.jobs.pop_back();
        drop(state);
        drop(job);
        Err(BlockingRefused { error, is_closed: false })
    }

    /// Lets a thread of the pool work at a spare's place.
    pub(crate) fn seat(&self, crew: &Arc<C>, post: C::Post) -> Result<(), C::Post> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(post);
        }
        state.posts.push_back(post);
        match self.find_thread(crew, &mut state) {
            Ok(()) => Ok(()),
            Err(_) => Err(state.posts.pop_back().expect("just pushed, and the lock is held")),
        }
    }

    /// Sees to it that a thread comes to what was just queued.
    fn find_thread(&self, crew: &Arc<C>, state: &mut State<C>) -> io::Result<()> {
        if state.idle > 0 {
            state.idle -= 1;
            state.claims += 1;
            self.claimed.notify_one();
            return Ok(());
        }
        self.start_thread(crew, state)
    }

    /// Starts a thread that does one thing and ends; `join` waits for it.
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

    /// The calling thread is one of those that `join` waits for.
    pub(crate) fn is_own_thread(&self) -> bool {
        OWNER.get() == self.number
    }

    /// The calling thread's last act here: it is to be joined by whoever comes next.
    fn thread_ends(&self, mut state: MutexGuard<'_, State<C>>, id: usize) {
        if let Some(own) = state.threads.remove(&id) {
            state.exited.push(own);
        }
        self.ended.notify_all();
    }

    fn start_thread(&self, crew: &Arc<C>, state: &mut State<C>) -> io::Result<()> {
        let id = state.next_id;
        let crew = Arc::clone(crew);
        let started = Started::start(format!("{}-pool-{id}", self.name), move || crew.pool().run(&crew, id))?;
        state.next_id += 1;
        state.starting += 1;
        state.threads.insert(id, started);
        // They are on their way out. Not joined: the lock is held, and what they run there (destructors of thread-locals) is foreign code.
        state.exited.clear();
        Ok(())
    }

    fn run(&self, crew: &Arc<C>, id: usize) {
        crate::os::prepare_thread();
        OWNER.set(self.number);
        let mut state = self.state.lock();
        state.starting -= 1;
        loop {
            if let Some(work) = state.take(self.limit) {
                drop(state);
                let was_job = matches!(work, Work::Blocking(_));
                match work {
                    Work::Blocking(job) => silently(job),
                    Work::Post(post) => crew.work_at(post),
                }
                state = self.state.lock();
                state.running -= usize::from(was_job && !mutation("job-never-ends"));
                if state.has_no_jobs() {
                    self.drained.notify_all();
                }
                crew.is_back();
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            // None: beyond what the clock can tell.
            let until = Instant::now().checked_add(self.keep_alive);
            while state.claims == 0 && !state.closed && until.is_none_or(|until| Instant::now() < until) {
                match until {
                    Some(until) => _ = self.claimed.wait_until(&mut state, until),
                    None => self.claimed.wait(&mut state),
                }
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
        state.has_no_jobs() && state.posts.is_empty()
    }

    /// Waits for the blocking jobs to end, the queued ones too, but not beyond the deadline. False: there were none.
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

    /// Takes jobs only from those for whom `door` is open, from now on.
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
        // A job's captures are foreign code.
        for job in jobs {
            silently(|| drop(job));
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
            // It has left our code; the destructors of its thread-local variables are foreign code, and may take their time.
            while !ended.presence.has_ended() && deadline.is_none_or(|deadline| Instant::now() < deadline) {
                thread::sleep(WAY_OUT);
            }
            if ended.presence.has_ended() {
                let _ = ended.handle.join();
            }
        }
    }
}
