//! Who is told that a task is done?

use std::sync::Arc;

use selvedge_scheduler::TaskRef;

use super::handle::TaskHandle;
use super::reference::TaskRefExt;
use crate::contain::{self, Contained, SoonOrHere};
use crate::context::{Context, copy_context};
use crate::event_loop::{get_running_loop, report};

/// Names a callback, for [`remove_done_callback`](TaskHandle::remove_done_callback).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallbackId(u64);

impl CallbackId {
    pub(crate) fn new(number: u64) -> CallbackId {
        CallbackId(number)
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

/// Names a watcher among those of its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatcherId(pub(super) u64);

/// Something of this library that waits for several tasks at once: told once per task, on the thread where the task ended.
pub(crate) trait Notify: Send + Sync {
    /// The task that was registered under `index` is done.
    fn notify(&self, index: usize, task: &TaskRef);
}

/// Who waits for a task's end, apart from its `Task`.
pub(crate) enum Watcher {
    /// The user's callback: runs later, in the loop, like everything that is called soon.
    Callback(Callback),
    /// This library's own: runs at once, and does nothing but count and wake.
    Notify { to: Arc<dyn Notify>, index: usize },
}

type DoneFn = dyn FnOnce(&TaskHandle) + Send;

pub(crate) struct Callback {
    context: Context,
    function: Contained<Box<DoneFn>>,
}

/// Calls `function` once the task is done; soon, if it is done already.
pub(super) fn add_callback(task: &TaskRef, function: Box<DoneFn>) -> CallbackId {
    let callback = Callback { context: copy_context(), function: Contained::new(function) };
    CallbackId(watch(task, Watcher::Callback(callback)).0)
}

/// Whether the callback was still waiting.
pub(super) fn remove_callback(task: &TaskRef, id: CallbackId) -> bool {
    let Some(extra) = task.task_slot().extra_if_any() else { return false };
    extra.remove_callback(WatcherId(id.0)).is_some()
}

/// Tells `to` once the task is done; at once, if it is done already.
pub(crate) fn notify(task: &TaskRef, to: Arc<dyn Notify>, index: usize) -> WatcherId {
    watch(task, Watcher::Notify { to, index })
}

/// Tells no more.
pub(crate) fn stop_notifying(task: &TaskRef, id: WatcherId) {
    if let Some(extra) = task.task_slot().extra_if_any() {
        let _gone = extra.remove_watcher(id);
    }
}

fn watch(task: &TaskRef, watcher: Watcher) -> WatcherId {
    let extra = task.task_slot().extra();
    let id = extra.add_watcher(watcher);
    // The task may be ending right now. If it was done before it knew that anybody watches, the watcher is ours to run, unless
    // whoever asked before us has had it run: the lock around the list decides.
    if task.watch_completion() {
        if let Some(watcher) = extra.remove_watcher(id) {
            run([watcher], task);
        }
    }
    id
}

/// Runs all watchers of a task that is done.
pub(super) fn run(watchers: impl IntoIterator<Item = Watcher, IntoIter: ExactSizeIterator>, task: &TaskRef) {
    let watchers = watchers.into_iter();
    let is_only = watchers.len() == 1;
    let (mut callbacks, mut others) = (Vec::new(), Vec::new());
    for watcher in watchers {
        match watcher {
            // Nearly always, and without an allocation.
            Watcher::Notify { to, index } if is_only => to.notify(index, task),
            Watcher::Notify { to, index } => others.push((to, index)),
            Watcher::Callback(callback) => callbacks.push(callback),
        }
    }
    // First: a loop that closes waits for the last task by a `Notify`, and has to find its callbacks queued.
    if !callbacks.is_empty() {
        run_soon(callbacks, task);
    }
    for (to, index) in others {
        to.notify(index, task);
    }
}

/// The callbacks of one task run in the order in which they were added.
fn run_soon(callbacks: Vec<Callback>, task: &TaskRef) {
    let handle = TaskHandle::new(task.clone());
    let all = SoonOrHere::new(move || {
        for callback in callbacks {
            callback.run(&handle);
        }
    });
    // There is none on a foreign thread that asks about a task that is done.
    if let Ok(event_loop) = get_running_loop() {
        drop(event_loop.call_soon(move || all.run()));
    }
}

impl Callback {
    /// One callback's panic is reported; the others still run.
    fn run(self, handle: &TaskHandle) {
        let Callback { context, function } = self;
        if let Err(panic) = contain::call(|| context.run(|| function.into_inner()(handle))) {
            report::callback_panicked(Some(handle), panic.into());
        }
    }
}
