//! Which methods of asyncio's tasks do `Task` and `TaskHandle` share?

use std::panic::Location;

use selvedge_scheduler::TaskRef;

use super::{Task, completion};
use crate::context::Context;
use crate::context_var;
use crate::error::{Error, Result};
use crate::slot::{CallbackId, TaskHandle, TaskId, TaskRefExt, coro_name};

/// The coroutine of a task: what [`get_coro`](crate::TaskHandle::get_coro) returns. asyncio returns
/// the coroutine object; here it stays inside the task, and this only describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Coro {
    name: &'static str,
    created_at: &'static Location<'static>,
}

impl Coro {
    fn of(task: &TaskRef) -> Coro {
        Coro { name: coro_name(task), created_at: task.task_slot().created_at() }
    }

    /// The name of the coroutine's type. It contains the name of the `async fn`, or of the function
    /// around the `async` block.
    pub fn type_name(&self) -> &'static str {
        self.name
    }

    /// Where the task was created.
    pub fn created_at(&self) -> &'static Location<'static> {
        self.created_at
    }
}

/// Writes each method once for both types, which differ only in how they get the scheduler's
/// reference.
macro_rules! task_methods {
    ($($head:tt)+) => {
        $($head)+ {
            /// Requests that the task stop: the await at which it is suspended returns
            /// [`CancelledError`](crate::CancelledError).
            ///
            /// Returns false, and does nothing, if the task is done. Two requests before one
            /// delivery deliver one error. The task may refuse, so true does not mean that it will
            /// end: await it. A task that is cancelled before its first step never runs. May be
            /// called from any thread.
            ///
            /// # Examples
            ///
            /// ```
            /// # selvedge::run(async {
            /// let task = selvedge::create_task(selvedge::sleep(std::time::Duration::MAX));
            /// assert!(task.cancel());
            /// assert!(task.await.unwrap_err().is_cancelled());
            /// # Ok(())
            /// # }).unwrap();
            /// ```
            pub fn cancel(&self) -> bool {
                self.task_ref().cancel(None)
            }

            /// [`cancel`](Self::cancel) with a message. If several requests come before a delivery,
            /// the message of the first is delivered.
            pub fn cancel_with(&self, message: impl Into<String>) -> bool {
                self.task_ref().cancel(Some(message.into().into()))
            }

            /// How many requests to stop the task has received, less those that
            /// [`uncancel`](Self::uncancel) took back. A deadline and a failing group do not count:
            /// they cancel only what runs inside them.
            pub fn cancelling(&self) -> u32 {
                self.task_ref().task_slot().requests().load().cancelling()
            }

            /// Takes one request back and returns how many are left. When none is left, a request
            /// that was not delivered yet is rescinded. Meant for a coroutine that has refused a
            /// cancellation and goes on. With no request left it does nothing.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::time::Duration;
            ///
            /// # selvedge::run(async {
            /// let task = selvedge::create_task(async {
            ///     if selvedge::sleep(Duration::MAX).await.is_err_and(|e| e.is_cancelled()) {
            ///         let this = selvedge::current_task().expect("it runs in a task");
            ///         assert_eq!(this.uncancel(), 0);
            ///     }
            ///     Ok("still here")
            /// });
            /// selvedge::sleep(Duration::from_millis(1)).await?;
            /// task.cancel();
            /// assert_eq!(task.await?, "still here");
            /// # Ok(())
            /// # }).unwrap();
            /// ```
            pub fn uncancel(&self) -> u32 {
                self.task_ref().task_slot().uncancel()
            }

            /// Whether the task ended by cancellation: it passed on a
            /// [`CancelledError`](crate::CancelledError), or never began.
            pub fn cancelled(&self) -> bool {
                self.task_ref().ended_cancelled()
            }

            /// Whether the task has ended, in whatever way.
            pub fn done(&self) -> bool {
                self.task_ref().is_done()
            }

            /// The error that the task failed with, which then counts as retrieved; `None` if it
            /// succeeded.
            ///
            /// # Errors
            ///
            /// [`CancelledError`](crate::CancelledError) if it was cancelled;
            /// [`InvalidStateError`](crate::InvalidStateError) if it is not done.
            pub fn exception(&self) -> Result<Option<Error>> {
                self.task_ref().exception()
            }

            /// Calls `f` in the loop once the task is done, in a copy of the context that is
            /// current now. If the task is done already, it calls `f` soon. `f` never runs inside
            /// this call, unless a thread outside of the loop makes the call and the task is done.
            /// Callbacks run in the order in which they were added. A panic in one is reported to
            /// the exception handler.
            ///
            /// # Examples
            ///
            /// ```
            /// # selvedge::run(async {
            /// let (sender, receiver) = std::sync::mpsc::channel();
            /// let task = selvedge::create_task(async { Ok(42) });
            /// task.add_done_callback(move |task| sender.send(task.cancelled()).unwrap());
            /// assert_eq!(selvedge::to_thread(move || receiver.recv()).await??, false);
            /// # Ok(())
            /// # }).unwrap();
            /// ```
            pub fn add_done_callback(&self, f: impl FnOnce(&TaskHandle) + Send + 'static) -> CallbackId {
                completion::add_callback(self.task_ref(), Box::new(f))
            }

            /// Removes a callback. False if it has run or is about to. (asyncio finds callbacks by
            /// equality, and returns how many it found.)
            pub fn remove_done_callback(&self, id: CallbackId) -> bool {
                completion::remove_callback(self.task_ref(), id)
            }

            /// The task's name: `Task-1`, `Task-2` … unless it was given one.
            pub fn get_name(&self) -> String {
                self.task_ref().task_slot().name()
            }

            /// Gives the task another name.
            pub fn set_name(&self, name: impl Into<String>) {
                self.task_ref().task_slot().extra().set_name(name.into());
            }

            /// The context that the task runs in: the very one, not a copy.
            pub fn get_context(&self) -> Context {
                context_var::of_task(self.task_ref().task_slot())
            }

            /// What the task runs, and where it was created.
            pub fn get_coro(&self) -> Coro {
                Coro::of(self.task_ref())
            }

            /// A number that distinguishes this task from every other one for the life of the process.
            pub fn id(&self) -> TaskId {
                TaskId(self.task_ref().task_slot().number())
            }

            /// The task without its type, to be kept beside tasks of other types, compared and counted.
            #[must_use]
            pub fn handle(&self) -> TaskHandle {
                TaskHandle::new(self.task_ref().clone())
            }
        }
    };
}

task_methods!(impl<T: Send + 'static> Task<T>);
task_methods!(impl TaskHandle);
