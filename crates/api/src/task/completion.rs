//! What runs when a task is done?

use std::sync::Arc;

use selvedge_scheduler::{Slot, TaskRef};

use crate::cancel::Leaf;
use crate::contain::{self, Contained, SoonOrHere};
use crate::context_var::copy_context;
use crate::event_loop::{get_running_loop, report};
use crate::slot::{
    Callback, CallbackId, DoneFn, Notify, TaskHandle, TaskRefExt, TaskSlot, Watcher, WatcherId,
};

impl Slot for TaskSlot {
    type ForHandle = Leaf;

    fn completed(&self, task: &TaskRef) {
        if let Some(extra) = self.extra_if_any() {
            run(extra.take_watchers(), task);
        }
    }
}

/// Calls `function` once the task is done; soon, if it is done already.
pub(super) fn add_callback(task: &TaskRef, function: Box<DoneFn>) -> CallbackId {
    let callback = Callback { context: copy_context(), function: Contained::new(function) };
    CallbackId::new(watch(task, Watcher::Callback(callback)).0)
}

/// Removes a callback. Returns whether it was still waiting.
pub(super) fn remove_callback(task: &TaskRef, id: CallbackId) -> bool {
    let Some(extra) = task.task_slot().extra_if_any() else { return false };
    extra.remove_callback(WatcherId(id.number())).is_some()
}

/// Notifies `to` once the task is done; at once, if it is done already.
pub(crate) fn notify(task: &TaskRef, to: Arc<dyn Notify>, index: usize) -> WatcherId {
    watch(task, Watcher::Notify { to, index })
}

/// Removes a watcher.
pub(crate) fn stop_notifying(task: &TaskRef, id: WatcherId) {
    if let Some(extra) = task.task_slot().extra_if_any() {
        let _gone = extra.remove_watcher(id);
    }
}

fn watch(task: &TaskRef, watcher: Watcher) -> WatcherId {
    let extra = task.task_slot().extra();
    let id = extra.add_watcher(watcher);
    // The task may be ending right now. If it was done before it knew of a watcher, this call has
    // to run the watcher, unless the watcher has been taken out of the list, and run, since: the
    // list's lock decides.
    if task.watch_completion() {
        if let Some(watcher) = extra.remove_watcher(id) {
            run([watcher], task);
        }
    }
    id
}

/// Runs these watchers of a task that is done.
fn run(watchers: impl IntoIterator<Item = Watcher, IntoIter: ExactSizeIterator>, task: &TaskRef) {
    let watchers = watchers.into_iter();
    let is_only = watchers.len() == 1;
    let (mut callbacks, mut others) = (Vec::new(), Vec::new());
    for watcher in watchers {
        match watcher {
            // The common case, without an allocation.
            Watcher::Notify { to, index } if is_only => to.notify(index, task),
            Watcher::Notify { to, index } => others.push((to, index)),
            Watcher::Callback(callback) => callbacks.push(callback),
        }
    }
    // Callbacks are queued first: a loop that closes waits for the last task by a `Notify`, and
    // must then find the task's callbacks in its queue.
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
            call(callback, &handle);
        }
    });
    // A foreign thread that adds a callback to a task that is done has no loop. There the drop of
    // `all` runs the callbacks.
    if let Ok(event_loop) = get_running_loop() {
        drop(event_loop.call_soon(move || all.run()));
    }
}

/// One callback's panic is reported; the others still run.
fn call(callback: Callback, handle: &TaskHandle) {
    let Callback { context, function } = callback;
    if let Err(panic) = contain::call(|| context.run(|| function.into_inner()(handle))) {
        report::callback_panicked(Some(handle), panic.into());
    }
}
