//! Which context is current, and which value has a variable in it?
//!
//! A task that sets no variable never gets a context of its own: it reads the map that was current
//! when it was created.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use selvedge_scheduler::TaskRef;

use crate::contain::Contained;
use crate::context::{Bindings, Context, OfThread, Value, entered};
use crate::error::{Result, RuntimeError};
use crate::slot::TaskSlot;

/// A copy of the current context: the task's, or the thread's outside of tasks. It takes constant
/// time.
pub fn copy_context() -> Context {
    Context::holding(current_bindings())
}

/// The map that is current now: what a new task inherits.
pub(crate) fn current_bindings() -> Option<Arc<Bindings>> {
    if let Some(entered) = entered(Context::bindings) {
        return entered;
    }
    let of_task = TaskRef::with_current(|task| task?.slot().map(bindings_of));
    // A thread that is ending, and whose own context is gone, has nothing to pass on.
    of_task.unwrap_or_else(|| OfThread::with(Context::bindings).flatten())
}

/// The current context, in which a variable is set. Created if the task has none yet.
fn current() -> Context {
    if let Some(entered) = entered(Context::clone) {
        return entered;
    }
    let of_task = TaskRef::with_current(|task| task?.slot().map(of_task));
    // If the thread's own context is gone, the value is set in a context that only the token holds.
    of_task.or_else(|| OfThread::with(Context::clone)).unwrap_or_default()
}

fn bindings_of(slot: &TaskSlot) -> Option<Arc<Bindings>> {
    match slot.extra_if_any().and_then(|extra| extra.context().get()) {
        Some(own) => own.bindings(),
        None => slot.inherited().cloned(),
    }
}

/// The context of a task, created if it has none yet.
pub(crate) fn of_task(slot: &TaskSlot) -> Context {
    slot.extra().context().get_or_init(|| Context::holding(slot.inherited().cloned())).clone()
}

/// A variable with a value for each task. A new task gets a copy of the values of the task that
/// creates it, and so do functions in [`to_thread`](crate::to_thread) and callbacks. A variable has
/// no default: where asyncio raises `LookupError`, [`get`](ContextVar::get) returns `None`.
///
/// A thread outside of loops has a context of its own, which ends with the thread. In the
/// destructors of thread-locals that run after that, no variable has a value, and a value that is
/// [set](ContextVar::set) is not kept: [`get`](ContextVar::get) still returns `None`, and
/// [`reset`](ContextVar::reset) an error. [`Context::run`] works there as everywhere.
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

    /// A clone of the value in the current context; `None` if it is not set there.
    pub fn get(&self) -> Option<T> {
        let bindings = current_bindings()?;
        let value = bindings.get(self.key.load(Ordering::Relaxed))?;
        value.downcast_ref::<Contained<T>>().map(|value| value.get().clone())
    }

    /// Sets the value in the current context. The token restores the former one.
    pub fn set(&self, value: T) -> Token<T> {
        let (context, key) = (current(), self.key());
        let before = context.bind(key, Some(Arc::new(Contained::new(value))));
        Token { context, key, before, value: PhantomData }
    }

    /// Restores the value that the variable had before [`set`](ContextVar::set) returned this
    /// token.
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
    /// [`RuntimeError`] if the token belongs to another variable, or was made in another context.
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

    /// The number that identifies the variable. It is drawn when the variable is first set, because
    /// a `static` cannot draw one.
    fn key(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: a key is only compared with keys. A reader that still sees zero finds no value,
        // as it would have a moment before.
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
