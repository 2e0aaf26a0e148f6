//! What does a task inherit from its creator?
//!
//! A [`Context`] is a cell that holds an immutable map from variables to values. Copying a context copies one reference. A task
//! that sets nothing never gets a cell: it reads the map that its creator had when it was made.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, needs_drop};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use selvedge_scheduler::TaskRef;

use crate::contain::{Contained, silently};
use crate::error::{Result, RuntimeError};
use crate::sync::{Mutex, thread_locals};
use crate::task::TaskSlot;

/// A [`Contained`] of the variable's type: the last reference to it may go anywhere, and a value may hold contexts.
type Value = Arc<dyn Any + Send + Sync>;

/// An immutable map from variables to values, sorted by variable.
///
/// Programs have a handful of context variables, and read and inherit them far more often than they set one: a sorted row that
/// is copied on a change beats a tree at that size.
#[derive(Clone, Default)]
pub(crate) struct Bindings(Vec<(u64, Value)>);

impl Bindings {
    fn get(&self, variable: u64) -> Option<&Value> {
        let index = self.0.binary_search_by_key(&variable, |(key, _)| *key).ok()?;
        Some(&self.0[index].1)
    }

    fn with(&self, variable: u64, value: Option<Value>) -> Bindings {
        let mut row = self.0.clone();
        match (row.binary_search_by_key(&variable, |(key, _)| *key), value) {
            (Ok(index), Some(value)) => row[index].1 = value,
            (Err(index), Some(value)) => row.insert(index, (variable, value)),
            (Ok(index), None) => drop(row.remove(index)),
            (Err(_), None) => {}
        }
        Bindings(row)
    }
}

/// The values of all context variables in one line of execution.
///
/// Clones share it; [`copy_context`] and [`copy`](Context::copy) make another one with the same values, in constant time.
///
/// # Examples
///
/// ```
/// use selvedge::{ContextVar, copy_context};
///
/// static DEPTH: ContextVar<u32> = ContextVar::new("depth");
///
/// DEPTH.set(1);
/// let context = copy_context();
/// context.run(|| DEPTH.set(2));
/// assert_eq!(DEPTH.get(), Some(1));
/// assert_eq!(context.run(|| DEPTH.get()), Some(2));
/// ```
#[derive(Clone, Default)]
pub struct Context(Arc<Mutex<Option<Arc<Bindings>>>>);

impl Context {
    /// A context in which no variable is set.
    pub fn new() -> Context {
        Context::default()
    }

    /// Another context with the same values.
    #[must_use]
    pub fn copy(&self) -> Context {
        Context::holding(self.bindings())
    }

    /// Calls `f` in this context: what it sets stays here, and tasks made in it inherit from here. It may be entered again inside, and on several
    /// threads at once, which asyncio refuses.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let _leave = Entered { around: replace_entered(Some(self.clone())) };
        f()
    }

    fn holding(bindings: Option<Arc<Bindings>>) -> Context {
        Context(Arc::new(Mutex::new(bindings)))
    }

    fn bindings(&self) -> Option<Arc<Bindings>> {
        self.0.lock().clone()
    }

    /// Sets or unsets a variable and returns the value it had.
    fn bind(&self, variable: u64, value: Option<Value>) -> Option<Value> {
        let mut bindings = self.0.lock();
        let before = bindings.as_ref().and_then(|bindings| bindings.get(variable).cloned());
        let after = bindings.as_deref().cloned().unwrap_or_default().with(variable, value);
        // The former map may hold the last reference to a value, whose drop is the user's code: it goes after the lock.
        let former = bindings.replace(Arc::new(after));
        drop(bindings);
        drop(former);
        before
    }

    fn is(&self, other: &Context) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.bindings().map_or(0, |bindings| bindings.0.len());
        f.debug_struct("Context").field("variables", &count).finish_non_exhaustive()
    }
}

/// A copy of the context that is current now: the task's; outside of tasks, the thread's. In constant time.
pub fn copy_context() -> Context {
    Context::holding(current_bindings())
}

/// The context that [`Context::run`] put on top of the task's or thread's own. Whoever puts one here takes it
/// out again, so there is nothing to drop when the thread ends; and what has no destructor is still there for
/// the destructors of other thread-locals.
type OnTop = RefCell<ManuallyDrop<Option<Context>>>;

const _: () = assert!(!needs_drop::<OnTop>());

thread_locals! {
    static ENTERED: OnTop = const { RefCell::new(ManuallyDrop::new(None)) };
    /// What code outside of tasks runs in. It holds users' values, so it has a destructor, after which it is
    /// gone: only `OfThread::with` looks at it.
    static OF_THREAD: OfThread = OfThread(Some(Context::new()));
}

fn replace_entered(context: Option<Context>) -> Option<Context> {
    ManuallyDrop::into_inner(ENTERED.replace(ManuallyDrop::new(context)))
}

fn entered<R>(look: impl FnOnce(&Context) -> R) -> Option<R> {
    ENTERED.with(|entered| entered.borrow().as_ref().map(look))
}

/// A thread's own context.
struct OfThread(Option<Context>);

impl OfThread {
    /// `None` if the thread is ending and its own context is gone.
    fn with<R>(look: impl FnOnce(&Context) -> R) -> Option<R> {
        OF_THREAD.try_with(|own| own.0.as_ref().map(look)).ok().flatten()
    }
}

impl Drop for OfThread {
    fn drop(&mut self) {
        // The last owner of the values drops them, which is the user's code. A panic that left a
        // thread-local's destructor would end the process.
        let own = self.0.take();
        silently(|| drop(own));
    }
}

struct Entered {
    around: Option<Context>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let _left = replace_entered(self.around.take());
    }
}

/// Steps out of the entered context while it lives: for the first poll of another task inside this one's.
pub(crate) struct OutsideContext {
    _returns: Entered,
}

impl OutsideContext {
    pub(crate) fn step() -> OutsideContext {
        OutsideContext { _returns: Entered { around: replace_entered(None) } }
    }
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

/// A variable whose value belongs to the line of execution: the task and, copied at their creation, the tasks it makes. [`to_thread`](crate::to_thread)
/// and callbacks take a copy along too. It has no default: asyncio's raises `LookupError` where [`get`](ContextVar::get) returns `None`.
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
        // Relaxed: a key is only compared with keys. A reader that still sees zero finds nothing, which was so a moment ago.
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
