//! asyncio's methods of a task, for `Task` and `TaskHandle` alike.

use std::panic::Location;

use selvedge_scheduler::TaskRef;

use super::{Task, completion};
use crate::context::Context;
use crate::context_var;
use crate::error::{Error, Result};
use crate::slot::{CallbackId, TaskHandle, TaskId, TaskRefExt, coro_name};

/// The coroutine of a task: what [`get_coro`](crate::TaskHandle::get_coro) returns. asyncio returns
/// the coroutine object; here the task keeps that to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Coro {
    name: &'static str,
    created_at: &'static Location<'static>,
}

impl Coro {
    fn of(task: &TaskRef) -> Coro {
        Coro { name: coro_name(task), created_at: task.task_slot().created_at() }
    }

    /// The name of its type, which names the `async fn` or the function around the `async` block.
    pub fn type_name(&self) -> &'static str {
        self.name
    }

    /// Where the task was made of it.
    pub fn created_at(&self) -> &'static Location<'static> {
        self.created_at
    }
}

/// One method body per name; the two types differ only in how they reach the scheduler's reference.
macro_rules! task_methods {
    ($($head:tt)+) => {
        $($head)+ {
            /// Asks the task to stop: the await at which it is suspended returns
            /// [`CancelledError`](crate::CancelledError).
            ///
            /// Returns false, and does nothing, if the task is done. Two requests before one
            /// delivery deliver one error. The task may refuse, so true does not mean that it will
            /// end: await it. Cancelled before its first step, it never runs. May be called from
            /// any thread.
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

            /// [`cancel`](Self::cancel) that says why. The first message before a delivery is the
            /// one delivered.
            pub fn cancel_with(&self, message: impl Into<String>) -> bool {
                self.task_ref().cancel(Some(message.into().into()))
            }

            /// How many requests the task has been given, less those it was pardoned by
            /// [`uncancel`](Self::uncancel). A deadline and a failing group do not count: they
            /// cancel only what runs inside them.
            pub fn cancelling(&self) -> u32 {
                self.task_ref().task_slot().requests().load().cancelling()
            }

            /// Takes one request back and returns how many are left. The last one rescinds what was
            /// not delivered yet. Meant for a coroutine that has refused a cancellation and goes
            /// on. With no request left it does nothing.
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

            /// Whether the task ended, however it did.
            pub fn done(&self) -> bool {
                self.task_ref().is_done()
            }

            /// The error that the task failed with; `None` if it succeeded. It counts as retrieved then.
            ///
            /// # Errors
            ///
            /// [`CancelledError`](crate::CancelledError) if it was cancelled;
            /// [`InvalidStateError`](crate::InvalidStateError) if it is not done.
            pub fn exception(&self) -> Result<Option<Error>> {
                self.task_ref().exception()
            }

            /// Calls `f` in the loop once the task is done, in a copy of the context that is
            /// current now; soon, if the task is done already. Never inside this call, unless a
            /// thread outside of the loop calls this for a task that is done. Callbacks run in the
            /// order in which they were added. A panic in one is reported to the exception handler.
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

            /// Takes a callback back. False if it has run or is about to. (asyncio finds callbacks
            /// by equality, and says how many it found.)
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

            /// What the task runs, and where it was made.
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
