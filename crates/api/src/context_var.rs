//! Which context is current, and what value has a variable in it?
//!
//! A task that sets nothing never gets a context of its own: it reads the map that its creator had
//! when it was made.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use selvedge_scheduler::TaskRef;

use crate::contain::Contained;
use crate::context::{Bindings, Context, OfThread, Value, entered};
use crate::error::{Result, RuntimeError};
use crate::slot::TaskSlot;

/// A copy of the context that is current now: the task's; outside of tasks, the thread's. In constant time.
pub fn copy_context() -> Context {
    Context::holding(current_bindings())
}

/// The map that is current now: what a new task inherits.
pub(crate) fn current_bindings() -> Option<Arc<Bindings>> {
    if let Some(entered) = entered(Context::bindings) {
        return entered;
    }
    let of_task = TaskRef::with_current(|task| task?.slot().map(bindings_of));
    // A thread whose own context is gone has nothing to pass on.
    of_task.unwrap_or_else(|| OfThread::with(Context::bindings).flatten())
}

/// The cell that is current now, made if the task has none yet: where a variable is set.
fn current() -> Context {
    if let Some(entered) = entered(Context::clone) {
        return entered;
    }
    let of_task = TaskRef::with_current(|task| task?.slot().map(of_task));
    // Where the thread's own is gone, what is set has nowhere to stay: it lies in a context that only the
    // token holds.
    of_task.or_else(|| OfThread::with(Context::clone)).unwrap_or_default()
}

fn bindings_of(slot: &TaskSlot) -> Option<Arc<Bindings>> {
    match slot.extra_if_any().and_then(|extra| extra.context().get()) {
        Some(own) => own.bindings(),
        None => slot.inherited().cloned(),
    }
}

/// The cell that a task runs in, made if it has none yet.
pub(crate) fn of_task(slot: &TaskSlot) -> Context {
    slot.extra().context().get_or_init(|| Context::holding(slot.inherited().cloned())).clone()
}

/// A variable whose value belongs to the line of execution: the task and, copied at their creation,
/// the tasks it makes. [`to_thread`](crate::to_thread) and callbacks take a copy along too. It has
/// no default: asyncio's raises `LookupError` where [`get`](ContextVar::get) returns `None`.
///
/// A thread outside of loops has a context of its own, which ends with the thread. In the destructor of a
/// thread-local that comes after that, no variable has a value, and what is [set](ContextVar::set) is not
/// kept: [`get`](ContextVar::get) still returns `None`, and [`reset`](ContextVar::reset) an error.
/// [`Context::run`] works there as everywhere.
///
/// # Examples
///
/// ```
/// use selvedge::ContextVar;
///
/// static REQUEST: ContextVar<u32> = ContextVar::new("request");
///
/// selvedge::run(async {
///     REQUEST.set(7);
///     let child = selvedge::create_task(async { Ok(REQUEST.get()) });
///     REQUEST.set(8);
///     assert_eq!(child.await?, Some(7));
///     Ok(())
/// })
/// .unwrap();
/// ```
pub struct ContextVar<T> {
    name: &'static str,
    /// Zero until the variable is first set.
    key: AtomicU64,
    value: PhantomData<fn() -> T>,
}

/// The value that a variable had before it was set, for [`ContextVar::reset`].
#[derive(Debug)]
pub struct Token<T> {
    context: Context,
    key: u64,
    before: Option<Value>,
    value: PhantomData<fn() -> T>,
}

impl<T: Clone + Send + Sync + 'static> ContextVar<T> {
    /// A variable without a value. Meant for a `static`.
    pub const fn new(name: &'static str) -> ContextVar<T> {
        ContextVar { name, key: AtomicU64::new(0), value: PhantomData }
    }

    /// The name it was given.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A clone of the value in the current context; `None` if it was never set here.
    pub fn get(&self) -> Option<T> {
        let bindings = current_bindings()?;
        let value = bindings.get(self.key.load(Ordering::Relaxed))?;
        value.downcast_ref::<Contained<T>>().map(|value| value.get().clone())
    }

    /// Sets the value in the current context. The token brings back the former one.
    pub fn set(&self, value: T) -> Token<T> {
        let (context, key) = (current(), self.key());
        let before = context.bind(key, Some(Arc::new(Contained::new(value))));
        Token { context, key, before, value: PhantomData }
    }

    /// Gives the variable the value that it had before [`set`](ContextVar::set) returned this token.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge::ContextVar;
    ///
    /// static USER: ContextVar<&str> = ContextVar::new("user");
    ///
    /// let before = USER.set("anna");
    /// USER.reset(before)?;
    /// assert_eq!(USER.get(), None);
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RuntimeError`] if the token is another variable's, or was made in another context.
    pub fn reset(&self, token: Token<T>) -> Result<()> {
        if token.key != self.key() {
            return Err(RuntimeError::new(format!(
                "the token was created by a different ContextVar than {:?}",
                self.name
            ))
            .into());
        }
        if !token.context.is(&current()) {
            return Err(RuntimeError::new(format!(
                "the token of {:?} was created in a different Context",
                self.name
            ))
            .into());
        }
        drop(token.context.bind(token.key, token.before));
        Ok(())
    }

    /// Variables are told apart by a number drawn when they are first set, since a `static` cannot draw one.
    fn key(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: a key is only compared with keys. A reader that still sees zero finds nothing,
        // which was so a moment ago.
        let key = self.key.load(Ordering::Relaxed);
        if key != 0 {
            return key;
        }
        let drawn = NEXT.fetch_add(1, Ordering::Relaxed);
        match self.key.compare_exchange(0, drawn, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => drawn,
            Err(won_by_another) => won_by_another,
        }
    }
}

impl<T> fmt::Debug for ContextVar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextVar").field("name", &self.name).finish_non_exhaustive()
    }
}
