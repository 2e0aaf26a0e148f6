//! Which tasks belong to the group, and which errors have they ended with?

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use selvedge_scheduler::TaskRef;

use crate::cancel::Scope;
use crate::capture::Notes;
use crate::contain::wake_quietly;
use crate::error::{Error, Result, RuntimeError};
use crate::request::Route;
use crate::slot::{Notify, PassedOn, TaskRefExt, TaskSlot};
use crate::sync::{Mutex, lock_to_wait};
use crate::task::notify;

/// What the block, the body and the tasks share.
pub(super) struct Members(Mutex<State>);

/// Guarded by the lock. Tasks are cancelled, wakers woken and errors dropped after it is released.
struct State {
    phase: Phase,
    next_index: usize,
    /// How many tasks are being created for the group.
    joining: usize,
    /// The tasks that have not ended, in the order in which they came.
    unfinished: BTreeMap<usize, TaskRef>,
    errors: Vec<Error>,
    /// The scope of the body, as long as the body runs. It gets a request when a task fails.
    scope: Option<Arc<Scope>>,
    is_body_over: bool,
    /// The waker of the task that polls the block.
    waker: Option<Waker>,
    /// The number of the task that polls the block.
    owner: Option<u64>,
}

/// ```text
///  Open ---> ShuttingDown ---> Finished      (first failure or request; then all have ended)
///    \--------------------------^
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    ShuttingDown,
    Finished,
}

/// The number of tasks that are fetched under the lock at a time.
const PORTION: usize = 64;

/// What the caller must do when it has released the lock.
#[derive(Default)]
#[must_use = "the tasks have to be cancelled and the block woken"]
struct Duties {
    /// Tasks with a smaller index are cancelled.
    cancel_before: usize,
    owner: Option<u64>,
    wake: Option<Waker>,
}

/// Cancels a task of the group. The request starts its route at the group's owner, which waits for
/// the task: if the task awaits the owner in turn, that circle is detected and the task takes the
/// request itself.
///
/// In the loop's shutdown a task that has been cancelled is not cancelled again, which would
/// disturb its clean-up, unless passing the shutdown on would close a circle.
fn cancel(task: &TaskRef, owner: Option<u64>, message: Option<Arc<str>>) {
    let shutdown =
        TaskRef::with_current(|current| current?.slot::<TaskSlot>().and_then(TaskSlot::shutdown_route));
    if shutdown.is_some_and(|route| task.pass_on_shutdown(&route) != PassedOn::Circle) {
        return;
    }
    let route = owner.and_then(|owner| Route::starting(owner).onward(task.task_slot().number()));
    task.cancel_along(route, message);
}

impl State {
    /// No task is in the group, and none is being created for it.
    fn is_deserted(&self) -> bool {
        self.unfinished.is_empty() && self.joining == 0
    }

    /// Cancels the tasks and the body, once: a second request would disturb the clean-up that the
    /// first one began.
    fn shut_down(&mut self) -> Duties {
        if self.phase != Phase::Open {
            return Duties::default();
        }
        self.phase = Phase::ShuttingDown;
        // `admit` cancels the tasks that join later.
        let mut duties = Duties { cancel_before: self.next_index, owner: self.owner, ..Duties::default() };
        if let Some(scope) = &self.scope {
            // Under the lock, because `attach` stores the waker under it before the body is polled.
            // If there is no waker, the end of the last task has just taken it, and the poll that
            // it causes must find this request.
            let _ = scope.request();
            duties.wake = self.waker.take();
        }
        duties
    }
}

/// The right to bring one task into the group.
#[must_use = "the group waits for the task"]
pub(super) struct Joining<'a>(Option<&'a Arc<Members>>);

impl Joining<'_> {
    /// Adds the task. If the group has begun to shut down meanwhile, the task is cancelled.
    pub(super) fn admit(mut self, task: &TaskRef) {
        let members = self.0.take().expect("only this and the drop take it");
        // The group reports the task's error, so the drop of its handle must not.
        task.task_slot().mark_retrieved();
        let (index, is_late, owner) = {
            let mut state = members.0.lock();
            state.joining -= 1;
            let index = state.next_index;
            state.next_index += 1;
            state.unfinished.insert(index, task.clone());
            (index, state.phase != Phase::Open, state.owner)
        };
        if is_late {
            cancel(task, owner, None);
        }
        notify(task, Arc::clone(members) as Arc<dyn Notify>, index);
    }
}

impl Drop for Joining<'_> {
    /// The task could not be created.
    fn drop(&mut self) {
        let Some(members) = self.0.take() else { return };
        let waker = {
            let mut state = members.0.lock();
            state.joining -= 1;
            if state.is_deserted() { state.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            wake_quietly(waker);
        }
    }
}

impl Members {
    pub(super) fn new() -> Members {
        Members(Mutex::new(State {
            phase: Phase::Open,
            next_index: 0,
            joining: 0,
            unfinished: BTreeMap::new(),
            errors: Vec::new(),
            scope: None,
            is_body_over: false,
            waker: None,
            owner: None,
        }))
    }

    /// Lets a task join if the group is open. The group does not end before that task has been
    /// created and has ended.
    pub(super) fn join(this: &Arc<Members>) -> Result<Joining<'_>> {
        let mut state = this.0.lock();
        match state.phase {
            Phase::Open => {
                state.joining += 1;
                Ok(Joining(Some(this)))
            }
            Phase::ShuttingDown => Err(RuntimeError::new("TaskGroup is shutting down").into()),
            Phase::Finished => Err(RuntimeError::new("TaskGroup is finished").into()),
        }
    }

    /// Stores the waker and the scope of the poll of the block that begins now. Returns whether the
    /// group is shutting down.
    pub(super) fn attach(&self, scope: &Arc<Scope>, waker: &Waker) -> bool {
        let owner = TaskRef::with_current(|task| task?.slot::<TaskSlot>().map(TaskSlot::number));
        let (fresh, mut state) = lock_to_wait(&self.0, waker, |state| state.waker.as_ref());
        state.owner = owner;
        let former_scope = if state.is_body_over { None } else { state.scope.replace(Arc::clone(scope)) };
        let former_waker = fresh.and_then(|fresh| state.waker.replace(fresh));
        let is_shutting_down = state.phase == Phase::ShuttingDown;
        drop(state);
        drop((former_scope, former_waker));
        is_shutting_down
    }

    pub(super) fn is_shutting_down(&self) -> bool {
        self.0.lock().phase == Phase::ShuttingDown
    }

    /// Notes the tasks that have not ended, for call graphs.
    pub(super) fn note(&self, notes: &mut Notes) {
        let end = self.0.lock().next_index;
        self.each_before(end, |task| notes.task_owned(task));
    }

    /// Calls `f` with each unfinished task whose index is below `end`. `f` does not run under the
    /// lock, which every task takes when it ends.
    fn each_before(&self, end: usize, mut f: impl FnMut(TaskRef)) {
        let mut start = 0;
        while start < end {
            let portion: Vec<_> = {
                let state = self.0.lock();
                let tasks = state.unfinished.range(start..end);
                tasks.take(PORTION).map(|(index, task)| (*index, task.clone())).collect()
            };
            let Some((last, _)) = portion.last() else { return };
            start = last + 1;
            for (_, task) in portion {
                f(task);
            }
        }
    }

    fn fulfil(&self, duties: Duties, message: Option<&Arc<str>>) {
        self.each_before(duties.cancel_before, |task| cancel(&task, duties.owner, message.cloned()));
        if let Some(waker) = duties.wake {
            wake_quietly(waker);
        }
    }

    /// From now on there is no body that could get a request.
    pub(super) fn body_ended(&self) {
        let mut state = self.0.lock();
        state.is_body_over = true;
        let scope = state.scope.take();
        drop(state);
        drop(scope);
    }

    pub(super) fn shut_down(&self) {
        self.shut_down_with(None);
    }

    pub(super) fn shut_down_with(&self, message: Option<Arc<str>>) {
        let duties = self.0.lock().shut_down();
        self.fulfil(duties, message.as_ref());
    }

    /// Ends the group if all tasks have ended.
    pub(super) fn try_finish(&self) -> bool {
        let mut state = self.0.lock();
        let is_finished = state.is_deserted();
        if is_finished {
            state.phase = Phase::Finished;
        }
        is_finished
    }

    pub(super) fn take_errors(&self) -> Vec<Error> {
        std::mem::take(&mut self.0.lock().errors)
    }
}

impl Notify for Members {
    fn notify(&self, index: usize, task: &TaskRef) {
        let failure = task.failure().filter(|error| !error.is_cancelled());
        let (duties, gone) = {
            let mut state = self.0.lock();
            let gone = state.unfinished.remove(&index);
            let mut duties = match failure {
                Some(error) => {
                    state.errors.push(error);
                    state.shut_down()
                }
                None => Duties::default(),
            };
            if state.is_deserted() && duties.wake.is_none() {
                duties.wake = state.waker.take();
            }
            (duties, gone)
        };
        drop(gone);
        self.fulfil(duties, None);
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("TaskGroup")
            .field("phase", &state.phase)
            .field("tasks", &state.unfinished.len())
            .field("errors", &state.errors.len())
            .finish()
    }
}
