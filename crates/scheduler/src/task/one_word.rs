//! How are values of two kinds kept in one word?
//!
//! By its lowest bit, which is clear in a pointer to anything that is aligned to more than a byte.
//! The layer above keeps such words in each task's cell, where each word counts.

use std::fmt;
use std::marker::PhantomData;
use std::ptr;

use crate::sync::{AtomicPtr, Ordering};

const TAG: usize = 1;

fn is_tagged<P>(word: *mut P) -> bool {
    word.addr() & TAG != 0
}

fn tag<P>(word: *mut P) -> *mut P {
    word.map_addr(|address| address | TAG)
}

fn untag<P>(word: *mut P) -> *mut P {
    word.map_addr(|address| address & !TAG)
}

/// A number of [`NUMBER_BITS`] bits, or a box.
pub struct NumberOrBox<T> {
    /// Twice the number; or the box, tagged.
    word: *mut T,
    owns: PhantomData<Box<T>>,
}

/// How large the number in a [`NumberOrBox`] may be.
pub const NUMBER_BITS: u32 = usize::BITS - 1;

/// What a [`NumberOrBox`] holds. `R` is a reference to what is in the box.
#[derive(Debug, PartialEq, Eq)]
pub enum NumberOr<R> {
    /// The number.
    Number(usize),
    /// The content of the box.
    Boxed(R),
}

// SAFETY: it owns the box, if there is one, and gives access to it only by its own borrows.
unsafe impl<T: Send> Send for NumberOrBox<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for NumberOrBox<T> {}

impl<T> NumberOrBox<T> {
    /// The number zero.
    pub const ZERO: Self = Self { word: ptr::null_mut(), owns: PhantomData };

    /// A number, of which the highest bit is lost.
    #[inline]
    pub fn number(number: usize) -> Self {
        debug_assert!(number >> NUMBER_BITS == 0, "{number} is too large");
        Self { word: ptr::without_provenance_mut(number << 1), owns: PhantomData }
    }

    /// What is there.
    #[inline]
    pub fn get(&self) -> NumberOr<&T> {
        if !is_tagged(self.word) {
            return NumberOr::Number(self.word.addr() >> 1);
        }
        // SAFETY: a tagged word is the pointer to a box, which this value owns and `self` borrows.
        NumberOr::Boxed(unsafe { &*untag(self.word) })
    }

    /// What is there, to change the content of the box.
    #[inline]
    pub fn get_mut(&mut self) -> NumberOr<&mut T> {
        if !is_tagged(self.word) {
            return NumberOr::Number(self.word.addr() >> 1);
        }
        // SAFETY: as in `get`; `self` is borrowed exclusively.
        NumberOr::Boxed(unsafe { &mut *untag(self.word) })
    }

    /// The content of the box. If a number is there, a box takes its place.
    pub fn get_or_box(&mut self, make: impl FnOnce(usize) -> T) -> &mut T {
        const { assert!(align_of::<T>() > TAG, "the tag needs the lowest bit") };
        if let NumberOr::Number(number) = self.get() {
            self.word = tag(Box::into_raw(Box::new(make(number))));
        }
        // SAFETY: as in `get_mut`: the word is tagged now.
        unsafe { &mut *untag(self.word) }
    }
}

impl<T> Drop for NumberOrBox<T> {
    #[inline]
    fn drop(&mut self) {
        if is_tagged(self.word) {
            // SAFETY: a tagged word comes from `Box::into_raw`, and this value, which ends, owns it.
            drop(unsafe { Box::from_raw(untag(self.word)) });
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for NumberOrBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// A reference to a static, until a box takes its place, once.
pub struct RefThenBox<R: 'static, T> {
    /// The reference, tagged; or the box.
    word: AtomicPtr<()>,
    owns: PhantomData<(&'static R, Box<T>)>,
}

/// What a [`RefThenBox`] holds.
#[derive(Debug)]
pub enum RefOr<'a, R: 'static, T> {
    /// The reference, before there is a box.
    Ref(&'static R),
    /// The content of the box.
    Boxed(&'a T),
}

// `T: Send`, because the thread that makes the box may be another one than the thread that drops it.
impl<R: Sync, T: Send + Sync> RefThenBox<R, T> {
    /// Without a box.
    #[inline]
    pub fn new(reference: &'static R) -> Self {
        const { assert!(align_of::<R>() > TAG && align_of::<T>() > TAG, "the tag needs the lowest bit") };
        let word = tag(ptr::from_ref(reference).cast_mut());
        Self { word: AtomicPtr::new(word.cast()), owns: PhantomData }
    }

    /// What is there.
    #[inline]
    pub fn get(&self) -> RefOr<'_, R, T> {
        // Ordering: Acquire pairs with the Release of `fill`.
        let word = self.word.load(Ordering::Acquire);
        // SAFETY: it was read from this value with Acquire, and the result borrows this value.
        unsafe { Self::read(word) }
    }

    /// The content of the box. If there is none, one is made; if two threads make one at the same time,
    /// the later one is dropped.
    #[inline]
    pub fn get_or_box(&self, make: impl FnOnce(&'static R) -> T) -> &T {
        match self.get() {
            RefOr::Boxed(content) => content,
            RefOr::Ref(reference) => self.fill(reference, Box::new(make(reference))),
        }
    }

    #[cold]
    fn fill(&self, reference: &'static R, content: Box<T>) -> &T {
        let before = tag(ptr::from_ref(reference).cast_mut()).cast();
        let new = Box::into_raw(content);
        // Ordering: Release publishes the content to `get`; a failure's Acquire pairs with the Release
        // of the thread that was faster.
        match self.word.compare_exchange(before, new.cast(), Ordering::Release, Ordering::Acquire) {
            // SAFETY: the word owns the box now, and keeps it as long as `self` exists.
            Ok(_) => unsafe { &*new },
            Err(other) => {
                // SAFETY: it was made above, and no other thread knows it.
                drop(unsafe { Box::from_raw(new) });
                // SAFETY: as in `get`.
                match unsafe { Self::read(other) } {
                    RefOr::Boxed(content) => content,
                    RefOr::Ref(_) => unreachable!("only a box takes the place of the reference"),
                }
            }
        }
    }

    /// # Safety
    ///
    /// `word` must have been read with Acquire from the word of a value that exists throughout `'a`.
    #[inline]
    unsafe fn read<'a>(word: *mut ()) -> RefOr<'a, R, T> {
        if is_tagged(word) {
            // SAFETY: a tagged word is the reference to a static.
            RefOr::Ref(unsafe { &*untag(word).cast::<R>() })
        } else {
            // SAFETY: any other word is a box, which exists as long as the value that the word is from,
            // and whose content was published by `fill`.
            RefOr::Boxed(unsafe { &*word.cast::<T>() })
        }
    }
}

impl<R, T> Drop for RefThenBox<R, T> {
    #[inline]
    fn drop(&mut self) {
        // Relaxed: the owner has exclusive access, so it has all that other threads wrote.
        let word = self.word.load(Ordering::Relaxed);
        if !is_tagged(word) {
            // SAFETY: an untagged word comes from `Box::into_raw`, and this value, which ends, owns it.
            drop(unsafe { Box::from_raw(word.cast::<T>()) });
        }
    }
}

impl<R: fmt::Debug + Sync, T: fmt::Debug + Send + Sync> fmt::Debug for RefThenBox<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests;
