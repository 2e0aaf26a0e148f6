//! Where does a task go that is queued on a worker's thread, and is another worker woken for it?

use super::Local;
use super::wake_policy::{Decision, Push};
use crate::cpu_bound::Class;
use crate::sync::Ordering;
use crate::task::{Runnable, TaskRef};
use crate::worker_slot::NO_POLL;

impl Local {
    /// Queues a task behind all others.
    #[inline]
    pub(crate) fn push_behind(&self, task: Runnable, class: Class) {
        if class == Class::Light && !self.computes.get() {
            self.deque.push(task);
            self.wake_another_after_push();
        } else {
            self.shared.inject(task, class);
        }
    }

    /// Queues a task that was woken on this thread.
    #[inline]
    pub(super) fn push_woken(&self, task: Runnable, class: Class) {
        // Without a watchdog nothing would take the task out of the next-task slot of a worker that
        // is stuck, and a computing thread runs no light tasks.
        let is_kept = self.shared.watchdog.is_on() && !self.computes.get();
        if class == Class::Light && is_kept && !self.has_own_tasks() {
            self.slot().next.put(task);
        } else {
            self.push_behind(task, class);
        }
    }

    /// Queues a task that woke itself in the poll that has just ended. For a light one no worker is
    /// woken, as this one comes to it. Nor is one woken for a cpu-bound one whose poll ran on a computing
    /// thread, which comes to the lane again: two threads would change places at each poll. Nor by a worker
    /// that was demoted in this poll, which comes to the lane next.
    #[inline]
    pub(super) fn push_again(&self, task: Runnable) {
        let class = Class::of_woken(task.with_task(TaskRef::has_weight));
        if self.computes.get() {
            self.push_again_from_lane(task, class);
        } else if class == Class::Light {
            self.deque.push(task);
        } else if self.is_demoted() {
            self.shared.lanes.push(task, false);
        } else {
            self.shared.push_to_lane(task, class);
        }
    }

    #[cold]
    fn push_again_from_lane(&self, task: Runnable, class: Class) {
        if class == Class::Light {
            self.shared.inject(task, class);
        } else {
            self.shared.lanes.push(task, false);
        }
    }

    /// Queues a task that was woken in its poll inside another poll. The outer poll goes on, so unlike
    /// in `push_again` another worker may be woken.
    pub(super) fn push_after_inner_poll(&self, task: Runnable) {
        let class = Class::of_woken(task.with_task(TaskRef::has_weight));
        self.push_behind(task, class);
    }

    /// After a push into this worker's deque. There is no fence: this worker is awake and comes to
    /// the task itself, so a parked worker that is missed costs time, no task. The end of the poll
    /// looks again, as does each further push, maintenance, and the watchdog if the poll is long.
    #[inline]
    fn wake_another_after_push(&self) {
        if !self.shared.watchdog.is_on() {
            // A parked worker that is missed might be missed for ever.
            return self.shared.notify();
        }
        let is_wanted = self.shared.idle.seems_wanted() && !self.policy.in_burst();
        if self.policy.note_push(is_wanted) {
            self.carry_out_decision(is_wanted);
        }
    }

    #[cold]
    fn carry_out_decision(&self, is_wanted: bool) {
        let slot = self.slot();
        let push = Push {
            is_wanted,
            is_only_task: self.has_only_one_task(),
            in_long_poll: slot.progress.marked.load(Ordering::Relaxed)
                == slot.progress.poll.load(Ordering::Relaxed),
        };
        let kept_local = self.policy.keeps_local();
        match self.policy.decide(push) {
            Decision::KeepLocal => {
                slot.keeps_local.store(slot.progress.poll.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            decision => {
                if kept_local {
                    slot.keeps_local.store(NO_POLL, Ordering::Relaxed);
                }
                if decision == Decision::WakeAnother {
                    self.shared.notify_if_visible();
                }
            }
        }
        self.policy.begin_timing(push);
    }

    /// A poll has ended, or a round of waking for timers or sockets.
    #[inline]
    pub(super) fn wake_another_after_poll(&self) {
        if self.policy.end_poll(|| self.deque.is_empty()) {
            self.wake_another_if_worth_it();
        }
    }

    /// Wakes another worker if more is queued here than a task that is kept local.
    pub(super) fn wake_another_if_worth_it(&self) {
        let keeps_all = self.policy.keeps_local() && self.has_only_one_task();
        if !self.deque.is_empty() && !keeps_all {
            self.shared.notify_if_visible();
        }
    }

    /// From now on tasks are shared again, until this worker has learned anew to keep them.
    pub(super) fn keep_nothing_local(&self) {
        if self.policy.keeps_local() {
            self.slot().keeps_local.store(NO_POLL, Ordering::Relaxed);
        }
        self.policy.wake_others_again();
    }
}
