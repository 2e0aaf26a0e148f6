//! How does a thread become a worker, and how does it stop being one?

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::maintenance::Maintenance;
use super::steal::Rng;
use super::wake_policy::WakePolicy;
use super::{Local, replace_here};
use crate::os;
use crate::pool::{Crew, Pool};
use crate::queue::Deque;
use crate::shared::{Scheduler, Shared};
use crate::sync::Ordering;
use crate::timers::Stage;
use crate::watchdog::Role;
use crate::worker_slot::{NO_THREAD, Post, Priority};

/// Starts a thread for one of the N workers. It ends when it is dismissed, or, once demoted, when it has had
/// nothing to compute for a while.
pub(crate) fn start(shared: &Arc<Shared>, index: usize) -> io::Result<()> {
    let for_thread = Arc::clone(shared);
    let deque = shared.slots[index].vacant.lock().take().expect("a worker's place is taken once");
    shared.slots[index].assign(Role::Light, false);
    shared.watchdog.took_place(index, Role::Light);
    let started = shared.pool.start_aside(shared, &format!("worker-{index}"), move || {
        os::prepare_thread();
        let _role = work_at(for_thread, Post { index, deque });
    });
    if started.is_err() {
        shared.watchdog.left(Role::Light);
    }
    started
}

/// Works at a place, which is taken already, until dismissed. Returns what the thread was in the end.
fn work_at(shared: Arc<Shared>, post: Post) -> Role {
    let local = enter(shared, post.index, post.deque);
    let priority = match (local.computes.get(), local.slot().is_boosted.load(Ordering::Relaxed)) {
        (false, _) => Priority::Light,
        (true, true) => Priority::Boosted,
        (true, false) => Priority::Computing,
    };
    local.shared.set_priority(os::current_thread(), priority);
    local.serve();
    exit(local)
}

/// The calling thread is the worker at place `index` from now on.
pub(super) fn enter(shared: Arc<Shared>, index: usize, deque: Deque) -> Rc<Local> {
    let seed = shared.config.seed ^ (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let slot = &shared.slots[index];
    let poll = slot.progress.poll.load(Ordering::Relaxed) & !1;
    let computes = slot.computes.load(Ordering::Relaxed);
    slot.parker.occupy();
    slot.progress.thread.store(os::current_thread(), Ordering::Relaxed);
    let local = Rc::new(Local {
        scheduler: Scheduler::handle_to(&shared),
        shared,
        index,
        stage: Stage::default(),
        deque,
        computes: Cell::new(computes),
        poll: Cell::new(poll),
        maintenance: Maintenance::new(),
        policy: WakePolicy::default(),
        rng: Rng::new(seed),
    });
    let _none = replace_here(Some(Rc::clone(&local)));
    local
}

/// The calling thread is no worker any more.
pub(super) fn exit(local: Rc<Local>) -> Role {
    let role = if local.computes.get() { Role::Computing } else { Role::Light };
    local.leave();
    drop(replace_here(None));
    let local = Rc::into_inner(local).expect("the thread's own copy was just dropped");
    let Local { shared, index, deque, .. } = local;
    // From here on the watchdog must not lower the priority of this thread.
    shared.slots[index].is_boosted.store(false, Ordering::Relaxed);
    shared.slots[index].progress.thread.store(NO_THREAD, Ordering::Relaxed);
    *shared.slots[index].vacant.lock() = Some(deque);
    shared.watchdog.left(role);
    // All the workers that are left may sleep, and the holder of the driver does not know yet.
    shared.recheck_quiescence();
    role
}

impl Local {
    /// Runs light tasks or computes, whatever the thread is for, until dismissed.
    pub(super) fn serve(&self) {
        if !self.computes.get() {
            self.work();
            if self.is_demoted() {
                self.become_computing();
            }
        }
        if self.computes.get() {
            self.compute();
        }
    }

    /// Hands over what is left here.
    fn leave(&self) {
        self.pause();
        let closing = self.shared.is_closing();
        self.stage.clear(self.shared.timers_of(self.index));
        while let Some(task) = self.pop() {
            if closing {
                self.drop_unpolled(task);
            } else {
                self.shared.injector.push(task);
            }
        }
        if !closing {
            self.shared.notify();
        }
    }
}

impl Crew for Shared {
    type Post = Post;

    fn pool(&self) -> &Pool<Self> {
        &self.pool
    }

    fn work_at(self: &Arc<Self>, post: Post) -> bool {
        work_at(Arc::clone(self), post) == Role::Light
    }

    fn is_back(&self) {
        self.recheck_quiescence();
    }
}
