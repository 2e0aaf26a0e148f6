//! Which queues hold the runnable tasks? crossbeam's, or under the models a weaker replacement.

#[cfg(not(selvedge_loom))]
mod imp {
    use super::super::Steal;
    use crate::task::Runnable;
    use crossbeam_deque as crossbeam;

    fn convert(steal: crossbeam::Steal<Runnable>) -> Steal {
        match steal {
            crossbeam::Steal::Success(task) => Steal::Success(task),
            crossbeam::Steal::Empty => Steal::Empty,
            crossbeam::Steal::Retry => Steal::Retry,
        }
    }

    /// The owner's end of a worker's queue. First in, first out.
    pub(crate) struct Deque(crossbeam::Worker<Runnable>);

    /// The end from which thieves take.
    pub(crate) struct Stealer(crossbeam::Stealer<Runnable>);

    /// The queue that no worker owns.
    pub(crate) struct Injector(crossbeam::Injector<Runnable>);

    impl Deque {
        pub(crate) fn new() -> Self {
            Self(crossbeam::Worker::new_fifo())
        }
        pub(crate) fn stealer(&self) -> Stealer {
            Stealer(self.0.stealer())
        }
        #[inline]
        pub(crate) fn push(&self, task: Runnable) {
            self.0.push(task);
        }
        #[inline]
        pub(crate) fn pop(&self) -> Option<Runnable> {
            self.0.pop()
        }
        #[inline]
        pub(crate) fn is_empty(&self) -> bool {
            self.0.is_empty()
        }
    }

    impl Stealer {
        /// Takes about half of the queue: one task to run, the others into `into`.
        pub(crate) fn steal_batch(&self, into: &Deque) -> Steal {
            convert(self.0.steal_batch_and_pop(&into.0))
        }
        /// Takes one task.
        pub(crate) fn steal_one(&self) -> Steal {
            convert(self.0.steal())
        }
        pub(crate) fn is_empty(&self) -> bool {
            self.0.is_empty()
        }
        pub(crate) fn len(&self) -> usize {
            self.0.len()
        }
    }

    impl Injector {
        pub(crate) fn new() -> Self {
            Self(crossbeam::Injector::new())
        }
        pub(crate) fn push(&self, task: Runnable) {
            self.0.push(task);
        }
        /// Takes one task to run and moves some more into `into`.
        pub(crate) fn steal_batch(&self, into: &Deque) -> Steal {
            convert(self.0.steal_batch_and_pop(&into.0))
        }
        /// Takes one task.
        pub(crate) fn steal_one(&self) -> Steal {
            convert(self.0.steal())
        }
        pub(crate) fn is_empty(&self) -> bool {
            self.0.is_empty()
        }
        pub(crate) fn len(&self) -> usize {
            self.0.len()
        }
    }
}

#[cfg(selvedge_loom)]
mod imp {
    pub(crate) use super::super::loom_deque::{Deque, Injector, Stealer};
}

pub(crate) use imp::*;
