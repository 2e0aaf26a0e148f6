//! What can be gathered, and what are the results?

use selvedge_scheduler::TaskRef;

use crate::coroutine::Coroutine;
use crate::error::{Error, Result};
use crate::slot::TaskRefExt;
use crate::task::{self, HeldChildren, Task};

/// What [`gather`](crate::gather) takes: a `Vec` or an array of one type of coroutine or task, or a
/// tuple of several types.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be gathered",
    label = "expected a `Vec`, an array or a tuple of coroutines or `Task`s",
    note = "collect an iterator first: `gather(iter.collect::<Vec<_>>())`",
    note = "a coroutine is a future that returns `selvedge::Result<T>`, is `Send` and borrows nothing"
)]
pub trait GatherInput {
    /// The tasks that the input becomes.
    type Children: Children;

    /// Creates a task for each coroutine.
    #[doc(hidden)]
    fn start(self, start: &mut HeldChildren) -> Self::Children;
}

/// Tasks that are gathered. An implementation detail of [`Gather`](crate::Gather).
#[doc(hidden)]
pub trait Children {
    type Values;
    type Results;

    fn count(&self) -> usize;
    fn for_each(&self, f: &mut dyn FnMut(usize, &TaskRef));
    /// All children succeeded. (A `Task` whose result was moved out before it was gathered yields
    /// an error nevertheless.)
    fn into_values(self) -> Result<Self::Values>;
    /// All children are done.
    fn into_results(self) -> Self::Results;
    /// The error of the child at `index`, which failed.
    fn into_error(self, index: usize) -> Error;
}

fn result_of<T: Send + 'static>(task: &mut Task<T>) -> Result<T> {
    task.try_take().unwrap_or_else(|| Err(task::result_was_taken()))
}

fn error_of<T: Send + 'static>(task: &Task<T>) -> Error {
    task.task_ref().failure().expect("the child failed")
}

impl<C: Coroutine> GatherInput for Vec<C> {
    type Children = Vec<Task<C::Item>>;

    #[track_caller]
    fn start(self, start: &mut HeldChildren) -> Self::Children {
        let mut tasks = Vec::with_capacity(self.len());
        for coro in self {
            tasks.push(start.add(coro));
        }
        tasks
    }
}

impl<T: Send + 'static> Children for Vec<Task<T>> {
    type Values = Vec<T>;
    type Results = Vec<Result<T>>;

    fn count(&self) -> usize {
        self.len()
    }

    fn for_each(&self, f: &mut dyn FnMut(usize, &TaskRef)) {
        self.iter().enumerate().for_each(|(index, task)| f(index, task.task_ref()));
    }

    fn into_values(mut self) -> Result<Vec<T>> {
        self.iter_mut().map(result_of).collect()
    }

    fn into_results(mut self) -> Vec<Result<T>> {
        self.iter_mut().map(result_of).collect()
    }

    fn into_error(self, index: usize) -> Error {
        error_of(&self[index])
    }
}

impl<C: Coroutine, const N: usize> GatherInput for [C; N] {
    type Children = [Task<C::Item>; N];

    #[track_caller]
    fn start(self, start: &mut HeldChildren) -> Self::Children {
        // Not `self.map(..)`: its closure would not pass the caller's location on to the tasks.
        let mut tasks = [const { None }; N];
        for (place, coro) in tasks.iter_mut().zip(self) {
            *place = Some(start.add(coro));
        }
        tasks.map(|task| task.expect("there is one coroutine for each place"))
    }
}

impl<T: Send + 'static, const N: usize> Children for [Task<T>; N] {
    type Values = [T; N];
    type Results = [Result<T>; N];

    fn count(&self) -> usize {
        N
    }

    fn for_each(&self, f: &mut dyn FnMut(usize, &TaskRef)) {
        self.iter().enumerate().for_each(|(index, task)| f(index, task.task_ref()));
    }

    fn into_values(mut self) -> Result<[T; N]> {
        let values: Vec<T> = self.iter_mut().map(result_of).collect::<Result<_>>()?;
        Ok(<[T; N]>::try_from(values)
            .unwrap_or_else(|_| unreachable!("there is one value for each of the {N} tasks")))
    }

    fn into_results(self) -> [Result<T>; N] {
        self.map(|mut task| result_of(&mut task))
    }

    fn into_error(self, index: usize) -> Error {
        error_of(&self[index])
    }
}

/// Tuples of each size; the field names double as the names of the types.
macro_rules! gather_tuple {
    ($count:literal: $($name:ident $index:tt),+) => {
        impl<$($name: Coroutine),+> GatherInput for ($($name,)+) {
            type Children = ($(Task<$name::Item>,)+);

            #[track_caller]
            fn start(self, start: &mut HeldChildren) -> Self::Children {
                ($(start.add(self.$index),)+)
            }
        }

        impl<$($name: Send + 'static),+> Children for ($(Task<$name>,)+) {
            type Values = ($($name,)+);
            type Results = ($(Result<$name>,)+);

            fn count(&self) -> usize {
                $count
            }

            fn for_each(&self, f: &mut dyn FnMut(usize, &TaskRef)) {
                $(f($index, self.$index.task_ref());)+
            }

            fn into_values(mut self) -> Result<Self::Values> {
                Ok(($(result_of(&mut self.$index)?,)+))
            }

            fn into_results(mut self) -> Self::Results {
                ($(result_of(&mut self.$index),)+)
            }

            fn into_error(self, index: usize) -> Error {
                match index {
                    $($index => error_of(&self.$index),)+
                    _ => unreachable!("there is no such child"),
                }
            }
        }
    };
}

gather_tuple!(1: A 0);
gather_tuple!(2: A 0, B 1);
gather_tuple!(3: A 0, B 1, C 2);
gather_tuple!(4: A 0, B 1, C 2, D 3);
gather_tuple!(5: A 0, B 1, C 2, D 3, E 4);
gather_tuple!(6: A 0, B 1, C 2, D 3, E 4, F 5);
gather_tuple!(7: A 0, B 1, C 2, D 3, E 4, F 5, G 6);
gather_tuple!(8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
gather_tuple!(9: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
gather_tuple!(10: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
gather_tuple!(11: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
gather_tuple!(12: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
