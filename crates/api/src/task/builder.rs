//! How is a task started with a name, in a given context, or at once?

use std::panic::Location;

use selvedge_scheduler::Scheduler;

use super::{Task, new_slot, spawn_eager_on, spawn_on};
use crate::context::Context;
use crate::coroutine::Coroutine;
use crate::error::{Result, no_running_loop};

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
    /// A builder of a task like any other, until something is set.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// The task's name, for messages and listings. Without it the task is `Task-1`, `Task-2` ….
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// The task runs in this very context, not in a copy: what the task sets is seen there. Without
    /// it, the task gets a copy of its creator's context.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge::{Context, ContextVar, task};
    ///
    /// static USER: ContextVar<&str> = ContextVar::new("user");
    ///
    /// # selvedge::run(async {
    /// let context = Context::new();
    /// let task = task::Builder::new().context(context.clone()).create_task(async {
    ///     USER.set("anna");
    ///     Ok(())
    /// })?;
    /// task.await?;
    /// assert_eq!(context.run(|| USER.get()), Some("anna"));
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    pub fn context(mut self, context: Context) -> Builder {
        self.context = Some(context);
        self
    }

    /// The task's first step happens inside the call that creates it, on the caller's thread, up to
    /// its first suspension. A coroutine that never waits is done when the call returns. If the
    /// call comes from outside of the loop, the task starts like any other. So does a task that is
    /// created inside fifty nested first steps, because these share one stack.
    ///
    /// This is asyncio's `eager_start=True`, and its eager task factory for one task.
    ///
    /// # Examples
    ///
    /// ```
    /// # selvedge::run(async {
    /// let task = selvedge::task::Builder::new().eager_start(true).create_task(async { Ok(42) })?;
    /// assert!(task.done());
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    pub fn eager_start(mut self, enabled: bool) -> Builder {
        self.eager_start = enabled;
        self
    }

    /// Starts the task on the running loop. To start it on another loop, use
    /// [`EventLoop::create_task_with`](crate::EventLoop::create_task_with); in a group,
    /// [`TaskGroup::create_task_with`](crate::TaskGroup::create_task_with).
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
        let slot = new_slot(created_at);
        if let Some(name) = self.name {
            slot.extra().set_name(name);
        }
        if let Some(context) = self.context {
            let _ = slot.extra().context().set(context);
        }
        if self.eager_start { spawn_eager_on(scheduler, coro, slot) } else { spawn_on(scheduler, coro, slot) }
    }
}
