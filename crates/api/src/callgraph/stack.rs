//! Where is one task suspended?

use std::io::{self, Write};

use super::entry::FrameCallGraphEntry;
use super::survey::{coroutine_of, stack_of};
use crate::slot::{TaskHandle, TaskRefExt};
use crate::task::Task;

/// Writes each method once for both types, as in `task/methods.rs`.
macro_rules! stack_methods {
    ($($head:tt)+) => {
        $($head)+ {
            /// The call stack of a suspended task: the functions from the task's coroutine inwards,
            /// and the await, last. At most `limit` entries: the innermost ones.
            ///
            /// Empty for a task that succeeded or was cancelled. A task that failed, or that is
            /// running and so cannot be captured, has one entry: its coroutine, and where the task
            /// was created. Nothing is recorded while the task runs.
            /// [`capture_call_graph`](crate::capture_call_graph) says what this costs and what it
            /// needs to name functions, and also shows which tasks await the task. (asyncio returns
            /// only the outermost coroutine.)
            ///
            /// # Examples
            ///
            /// ```
            /// # selvedge::Runner::builder().workers(1).virtual_time(true).run(async {
            /// let task = selvedge::create_task(selvedge::sleep(std::time::Duration::MAX));
            /// selvedge::sleep(std::time::Duration::from_millis(1)).await?;
            /// assert_eq!(task.get_stack(1)[0].function(), "selvedge::sleep");
            /// # Ok(())
            /// # }).unwrap();
            /// ```
            pub fn get_stack(&self, limit: impl Into<Option<usize>>) -> Vec<FrameCallGraphEntry> {
                let mut stack = stack_of(self.task_ref());
                if stack.is_empty() && self.task_ref().failure().is_some_and(|error| !error.is_cancelled()) {
                    stack.push(coroutine_of(self.task_ref()));
                }
                stack.truncate(limit.into().unwrap_or(usize::MAX));
                stack.reverse();
                stack
            }

            /// Writes [`get_stack`](Self::get_stack) as text.
            ///
            /// # Examples
            ///
            /// ```
            /// # selvedge::run(async {
            /// let task = selvedge::create_task(selvedge::sleep(std::time::Duration::MAX));
            /// task.print_stack(None, &mut std::io::stdout())?;
            /// # Ok(())
            /// # }).unwrap();
            /// ```
            ///
            /// # Errors
            ///
            /// The errors of `out`.
            pub fn print_stack(&self, limit: impl Into<Option<usize>>, out: &mut impl Write) -> io::Result<()> {
                let stack = self.get_stack(limit);
                if stack.is_empty() {
                    return writeln!(out, "No stack for {self:?}");
                }
                writeln!(out, "Stack for {self:?} (most recent call last):")?;
                for entry in stack {
                    writeln!(out, "  {entry}")?;
                }
                Ok(())
            }
        }
    };
}

stack_methods!(impl<T: Send + 'static> Task<T>);
stack_methods!(impl TaskHandle);
