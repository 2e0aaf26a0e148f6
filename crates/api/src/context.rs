//! What is a context, and how is it entered?
//!
//! A [`Context`] is a cell that holds a map from variables to values. The map is not changed while
//! others share it, so copying a context copies one reference. Which context is current, and what a
//! task inherits, is in `context_var.rs`.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::mem::{ManuallyDrop, needs_drop};
use std::sync::Arc;

use crate::contain::silently;
use crate::sync::{Mutex, thread_locals};

/// A [`Contained`](crate::contain::Contained) of the variable's type, because the last reference to
/// it may be dropped anywhere, and a value may hold contexts.
pub(crate) type Value = Arc<dyn Any + Send + Sync>;

/// A map from variables to values. Copies share its nodes.
///
/// Programs have a handful of context variables, and read and inherit them far more often than they
/// set one. At that size a sorted row is faster than a tree, even if all of it is copied. A row
/// that has become too long becomes a fork of rows, by the last digits of its variables, which are
/// numbered one by one and so are distributed evenly. Changing a map copies only nodes that are
/// shared, and only those on the way to one row. So setting one of n variables costs log n.
#[derive(Clone)]
pub(crate) enum Bindings {
    Row(Vec<(u64, Value)>),
    /// The children, by the next digit of the variable.
    Fork(Box<[Option<Arc<Bindings>>; FORK]>),
}

/// The most variables of a row.
const ROW: usize = 16;
const FORK: usize = 16;

impl Default for Bindings {
    fn default() -> Bindings {
        Bindings::Row(Vec::new())
    }
}

/// The digit by which a fork chooses a child if `level` forks are above it.
const fn digit(variable: u64, level: u32) -> usize {
    (variable >> (level * FORK.ilog2())) as usize % FORK
}

impl Bindings {
    pub(crate) fn get(&self, variable: u64) -> Option<&Value> {
        let (mut node, mut level) = (self, 0);
        while let Bindings::Fork(children) = node {
            node = children[digit(variable, level)].as_deref()?;
            level += 1;
        }
        let Bindings::Row(row) = node else { unreachable!("forks end in rows") };
        let index = row.binary_search_by_key(&variable, |(key, _)| *key).ok()?;
        Some(&row[index].1)
    }

    /// Sets or unsets a variable, and returns the value it had. Nodes that this map shared with
    /// others are moved to `shared`: they may hold the last reference to a value, whose drop is the
    /// program's code.
    fn bind(
        this: &mut Arc<Bindings>,
        variable: u64,
        value: Option<Value>,
        shared: &mut Vec<Arc<Bindings>>,
    ) -> Option<Value> {
        Bindings::bind_below(this, 0, variable, value, shared)
    }

    /// `level` forks are above. There are at most as many as a number has digits.
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

    /// Turns a row that has become too long into a fork.
    fn forked(row: Vec<(u64, Value)>, level: u32) -> Bindings {
        let mut rows: [Vec<_>; FORK] = Default::default();
        for (variable, value) in row {
            rows[digit(variable, level)].push((variable, value));
        }
        let child = |row: Vec<_>| (!row.is_empty()).then(|| Arc::new(Bindings::Row(row)));
        Bindings::Fork(Box::new(rows.map(child)))
    }

    /// Makes the node this map's own: copies it if others share it.
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

/// The values of all context variables for a task, or for a thread outside of tasks.
///
/// Clones share it; [`copy_context`](crate::copy_context) and [`copy`](Context::copy) make another
/// one with the same values, in constant time.
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

    /// Calls `f` in this context: variables that it sets are set here, and tasks that it creates
    /// inherit from here. It may be entered again inside, and on several threads at once, which
    /// asyncio refuses.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let _leave = Entered { around: replace_entered(Some(self.clone())) };
        f()
    }

    pub(crate) fn holding(bindings: Option<Arc<Bindings>>) -> Context {
        Context(Arc::new(Mutex::new(bindings)))
    }

    pub(crate) fn bindings(&self) -> Option<Arc<Bindings>> {
        self.0.lock().clone()
    }

    /// Sets or unsets a variable and returns the value it had.
    pub(crate) fn bind(&self, variable: u64, value: Option<Value>) -> Option<Value> {
        let mut shared = Vec::new();
        let before = {
            let mut bindings = self.0.lock();
            Bindings::bind(bindings.get_or_insert_default(), variable, value, &mut shared)
        };
        // The former maps may hold the last reference to a value, whose drop is the program's code,
        // so they are dropped after the lock is released.
        drop(shared);
        before
    }

    pub(crate) fn is(&self, other: &Context) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.bindings().map_or(0, |bindings| bindings.len());
        f.debug_struct("Context").field("variables", &count).finish_non_exhaustive()
    }
}

/// The context that [`Context::run`] has entered, which hides the task's or thread's own. The code
/// that stores one here takes it out again, so nothing is left to drop when the thread ends. A
/// thread-local without a destructor can still be used in the destructors of others.
type OnTop = RefCell<ManuallyDrop<Option<Context>>>;

const _: () = assert!(!needs_drop::<OnTop>());

thread_locals! {
    static ENTERED: OnTop = const { RefCell::new(ManuallyDrop::new(None)) };
    /// The context of code outside of tasks. It holds the program's values, so it has a destructor,
    /// and is gone after that: only `OfThread::with` reads it.
    static OF_THREAD: OfThread = OfThread(Some(Context::new()));
}

fn replace_entered(context: Option<Context>) -> Option<Context> {
    ManuallyDrop::into_inner(ENTERED.replace(ManuallyDrop::new(context)))
}

pub(crate) fn entered<R>(look: impl FnOnce(&Context) -> R) -> Option<R> {
    ENTERED.with(|entered| entered.borrow().as_ref().map(look))
}

/// A thread's own context.
pub(crate) struct OfThread(Option<Context>);

impl OfThread {
    /// Returns `None` if the thread is ending and its own context is gone.
    pub(crate) fn with<R>(look: impl FnOnce(&Context) -> R) -> Option<R> {
        OF_THREAD.try_with(|own| own.0.as_ref().map(look)).ok().flatten()
    }
}

impl Drop for OfThread {
    fn drop(&mut self) {
        // The last owner of the values drops them, which is the program's code. A panic that leaves
        // the destructor of a thread-local would end the process.
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

/// Leaves the entered context while this lives: for the first poll of another task inside this
/// task's poll.
pub(crate) struct OutsideContext {
    _returns: Entered,
}

impl OutsideContext {
    pub(crate) fn step() -> OutsideContext {
        OutsideContext { _returns: Entered { around: replace_entered(None) } }
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

    /// Setting one of many variables copies nothing if the map is not shared, and otherwise only
    /// the way to one row.
    #[test]
    fn no_variable_costs_more_for_the_others() {
        const MANY: u64 = 20_000;
        let context = Context::new();
        COPIED.set(0);
        for variable in 1..=MANY {
            assert!(context.bind(variable, value(variable)).is_none());
        }
        assert_eq!(COPIED.get(), 0);
        // Five levels of forks are more than the variables need; a row may be one too long.
        let most = 5 * FORK + ROW + 1;
        let mut copies = Vec::new();
        for variable in (1..=MANY).rev() {
            copies.push(context.copy());
            COPIED.set(0);
            let value = if variable % 2 == 0 { value(variable + 1) } else { None };
            assert!(context.bind(variable, value).is_some());
            assert!(COPIED.get() <= most, "{variable}: {} of at most {most}", COPIED.get());
        }
        // The other copies have not changed.
        for (copy, variable) in copies.iter().zip((1..=MANY).rev()).step_by(997) {
            assert_eq!(copy.bindings().map(|it| it.len() as u64), Some(MANY - (MANY - variable) / 2));
            assert_eq!(number(copy, variable), Some(variable));
        }
        assert_eq!((number(&context, 2), number(&context, 1)), (Some(3), None));
    }

    /// Compares with the standard library's map, also with keys that share their last digits.
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
