//! How is a task started that is not like the others?

use std::panic::Location;

use selvedge_scheduler::Scheduler;

use super::{Task, TaskSlot, no_running_loop, spawn_eager_on, spawn_on};
use crate::context::Context;
use crate::coroutine::Coroutine;
use crate::error::Result;

/// Starts a task with a name, in a given context, or at once.
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let task = selvedge::task::Builder::new().name("answer").create_task(async { Ok(42) })?;
/// assert_eq!(task.get_name(), "answer");
/// assert_eq!(task.await?, 42);
/// # Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `create_task` is called"]
pub struct Builder {
    name: Option<String>,
    context: Option<Context>,
    eager_start: bool,
}

impl Builder {
    /// A task like any other.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// The task's name.
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// The task runs in this very context: what it sets is seen there. Without it, the task gets a copy of its creator's.
    pub fn context(mut self, context: Context) -> Builder {
        self.context = Some(context);
        self
    }

    /// The task's first step happens inside the call that makes it, on the caller's thread, up to its first suspension; a coroutine
    /// that never waits is done when the call returns. From outside of the loop the task starts like any other.
    pub fn eager_start(mut self, enabled: bool) -> Builder {
        self.eager_start = enabled;
        self
    }

    /// Starts the task on the running loop.
    ///
    /// # Errors
    ///
    /// [`RuntimeError`](crate::RuntimeError) "no running event loop".
    #[track_caller]
    pub fn create_task<C: Coroutine>(self, coro: C) -> Result<Task<C::Item>> {
        let created_at = Location::caller();
        Scheduler::with_current(|scheduler| match scheduler {
            Some(scheduler) => Ok(self.spawn_on(scheduler, coro, created_at)),
            None => Err(no_running_loop()),
        })
    }

    pub(crate) fn spawn_on<C: Coroutine>(
        self,
        scheduler: &Scheduler,
        coro: C,
        created_at: &'static Location<'static>,
    ) -> Task<C::Item> {
        let slot = TaskSlot::new(created_at);
        if let Some(name) = self.name {
            slot.extra().set_name(name);
        }
        if let Some(context) = self.context {
            let _ = slot.extra().context().set(context);
        }
        if self.eager_start { spawn_eager_on(scheduler, coro, slot) } else { spawn_on(scheduler, coro, slot) }
    }
}
