//! What does a task inherit from its creator?
//!
//! A [`Context`] is a cell that holds a map from variables to values, which is not changed while others share it. Copying a context copies one
//! reference. A task that sets nothing never gets a cell: it reads the map that its creator had when it was made.

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

/// A map from variables to values, of which copies share what they have in common.
///
/// Programs have a handful of context variables, and read and inherit them far more often than they set one: a sorted row beats a tree at that
/// size, also when all of it is copied. A row that has become too long forks by the last digits of its variables, which are numbered
/// one by one and so fork evenly. Whatever a copy shares is copied once more where it is changed: the nodes on the way to one row, and
/// nothing at all where nobody shares them. So each of n variables costs log n to set.
#[derive(Clone)]
pub(crate) enum Bindings {
    Row(Vec<(u64, Value)>),
    /// By the next digit of the variable.
    Fork(Box<[Option<Arc<Bindings>>; FORK]>),
}

/// Variables in a row, at most, when it is set.
const ROW: usize = 16;
const FORK: usize = 16;

impl Default for Bindings {
    fn default() -> Bindings {
        Bindings::Row(Vec::new())
    }
}

/// The digit by which the fork below `level` others branches.
const fn digit(variable: u64, level: u32) -> usize {
    (variable >> (level * FORK.ilog2())) as usize % FORK
}

impl Bindings {
    fn get(&self, variable: u64) -> Option<&Value> {
        let (mut node, mut level) = (self, 0);
        while let Bindings::Fork(children) = node {
            node = children[digit(variable, level)].as_deref()?;
            level += 1;
        }
        let Bindings::Row(row) = node else { unreachable!("forks end in rows") };
        let index = row.binary_search_by_key(&variable, |(key, _)| *key).ok()?;
        Some(&row[index].1)
    }

    /// Sets or unsets a variable, and returns the value it had. What this map shared with others goes to `shared`: the last reference to a value may be in
    /// there, whose drop is the user's code.
    fn bind(
        this: &mut Arc<Bindings>,
        variable: u64,
        value: Option<Value>,
        shared: &mut Vec<Arc<Bindings>>,
    ) -> Option<Value> {
        Bindings::bind_below(this, 0, variable, value, shared)
    }

    /// `level` forks are above. There are no more of them than a number has digits.
    fn bind_below(
        this: &mut Arc<Bindings>,
        level: u32,
        variable: u64,
        value: Option<Value>,
        shared: &mut Vec<Arc<Bindings>>,
    ) -> Option<Value> {
        let is_set = value.is_some();
        let node = Bindings::owned(this, shared);
        match node {
            Bindings::Row(row) => {
                let former = match (row.binary_search_by_key(&variable, |(key, _)| *key), value) {
                    (Ok(index), Some(value)) => Some(std::mem::replace(&mut row[index].1, value)),
                    (Ok(index), None) => Some(row.remove(index).1),
                    (Err(index), Some(value)) => {
                        row.insert(index, (variable, value));
                        None
                    }
                    (Err(_), None) => None,
                };
                if is_set && row.len() > ROW {
                    *node = Bindings::forked(std::mem::take(row), level);
                }
                former
            }
            Bindings::Fork(children) => {
                let child = &mut children[digit(variable, level)];
                let inner = child.get_or_insert_default();
                let former = Bindings::bind_below(inner, level + 1, variable, value, shared);
                if !is_set && matches!(&**inner, Bindings::Row(row) if row.is_empty()) {
                    *child = None;
                    if children.iter().all(Option::is_none) {
                        *node = Bindings::default();
                    }
                }
                former
            }
        }
    }

    /// What has become too long for a row.
    fn forked(row: Vec<(u64, Value)>, level: u32) -> Bindings {
        let mut rows: [Vec<_>; FORK] = Default::default();
        for (variable, value) in row {
            rows[digit(variable, level)].push((variable, value));
        }
        let child = |row: Vec<_>| (!row.is_empty()).then(|| Arc::new(Bindings::Row(row)));
        Bindings::Fork(Box::new(rows.map(child)))
    }

    /// For this map alone: a copy, if others share it.
    fn owned<'a>(this: &'a mut Arc<Bindings>, shared: &mut Vec<Arc<Bindings>>) -> &'a mut Bindings {
        if Arc::get_mut(this).is_none() {
            #[cfg(test)]
            tests::COPIED.set(tests::COPIED.get() + this.width());
            let copy = Arc::new(Bindings::clone(this));
            shared.push(std::mem::replace(this, copy));
        }
        Arc::get_mut(this).expect("nobody else knows the copy")
    }

    fn len(&self) -> usize {
        match self {
            Bindings::Row(row) => row.len(),
            Bindings::Fork(children) => children.iter().flatten().map(|child| child.len()).sum(),
        }
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
        let mut shared = Vec::new();
        let before = {
            let mut bindings = self.0.lock();
            Bindings::bind(bindings.get_or_insert_default(), variable, value, &mut shared)
        };
        // The former maps may hold the last reference to a value, whose drop is the user's code: they go after the lock.
        drop(shared);
        before
    }

    fn is(&self, other: &Context) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.bindings().map_or(0, |bindings| bindings.len());
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

#[cfg(test)]
mod tests {
    use super::*;

    thread_local! {
        /// How many entries were copied because others shared them.
        pub(super) static COPIED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    impl Bindings {
        pub(super) fn width(&self) -> usize {
            match self {
                Bindings::Row(row) => row.len(),
                Bindings::Fork(children) => children.len(),
            }
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "that is what `bind` takes")]
    fn value(number: u64) -> Option<Value> {
        Some(Arc::new(number))
    }

    fn number(context: &Context, variable: u64) -> Option<u64> {
        context.bindings()?.get(variable)?.downcast_ref().copied()
    }

    /// What each of many variables costs: nothing to copy where nobody shares the map, and the way to one row where somebody does.
    #[test]
    fn no_variable_costs_more_for_the_others() {
        const MANY: u64 = 20_000;
        let context = Context::new();
        COPIED.set(0);
        for variable in 1..=MANY {
            assert!(context.bind(variable, value(variable)).is_none());
        }
        assert_eq!(COPIED.get(), 0);
        // Five forks branch more often than there are variables; a row may be one too long.
        let most = 5 * FORK + ROW + 1;
        let mut copies = Vec::new();
        for variable in (1..=MANY).rev() {
            copies.push(context.copy());
            COPIED.set(0);
            let value = if variable % 2 == 0 { value(variable + 1) } else { None };
            assert!(context.bind(variable, value).is_some());
            assert!(COPIED.get() <= most, "{variable}: {} of at most {most}", COPIED.get());
        }
        // Each copy is as it was.
        for (copy, variable) in copies.iter().zip((1..=MANY).rev()).step_by(997) {
            assert_eq!(copy.bindings().map(|it| it.len() as u64), Some(MANY - (MANY - variable) / 2));
            assert_eq!(number(copy, variable), Some(variable));
        }
        assert_eq!((number(&context, 2), number(&context, 1)), (Some(3), None));
    }

    /// Beside the standard library's map, with keys that share their last digits too.
    #[test]
    fn it_does_what_a_map_does() {
        let (context, mut map) = (Context::new(), std::collections::BTreeMap::new());
        let mut kept = Vec::new();
        let mut state = 1_u64;
        for round in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let variable = ((state >> 40) % 300) << ((state >> 32) % 3 * 20);
            let new = (state >> 60 > 5).then_some(round);
            let before = context.bind(variable, new.and_then(value));
            let expected = match new {
                Some(new) => map.insert(variable, new),
                None => map.remove(&variable),
            };
            assert_eq!(before.and_then(|it| it.downcast_ref().copied()), expected);
            if round % 1000 == 0 {
                kept.push((context.copy(), map.clone()));
            }
        }
        kept.push((context.copy(), map.clone()));
        for (context, map) in kept {
            assert_eq!(context.bindings().map_or(0, |it| it.len()), map.len());
            assert!(map.iter().all(|(&variable, &known)| number(&context, variable) == Some(known)));
        }
        for &variable in map.keys() {
            drop(context.bind(variable, None));
        }
        assert!(context.bindings().is_some_and(|it| matches!(&*it, Bindings::Row(row) if row.is_empty())));
    }
}
