//! Where is a live task registered?
//!
//! In a place (an entry) of a page. Pages are aligned, so the address of a place gives its page. So
//! one pointer leads a task to its place, its shard and its scheduler. Registering or removing a
//! task touches no other task. A linked list would touch the neighbours: a cache miss each, when
//! tasks end in another order than they began.
//!
//! Removing a task only empties its place; pages keep no count. When the current page is used up, a
//! clock hand goes round the pages and takes the first one with at least `WORTH` vacant places.
//! After `PASSED` unsuitable pages a new page is allocated, unless more than half of all places are
//! vacant: then the hand continues until it finds a page. So there are at most about twice as many
//! places as the largest number of tasks, and the search is short on average; one search may visit
//! all pages of a shard.
//!
//! Rejected: a bound on the search for a vacant place. The number of pages then grew without bound.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell as StdCell;
use std::collections::BTreeSet;
use std::ptr::NonNull;

use super::ScheduleHere;
use super::cell::Header;
use super::owned::Shard;

/// Pages begin at multiples of this.
const ALIGNMENT: usize = 1024;
/// The size of a page in bytes. With the header that glibc's `malloc` adds, pages lie directly
/// behind each other.
const SIZE: usize = ALIGNMENT - 16;
/// The bytes before the places.
const HEAD: usize = 3 * size_of::<usize>();
pub(super) const PLACES: usize = (SIZE - HEAD) / size_of::<Place>();
/// A page with fewer vacant places is passed over …
const WORTH: usize = PLACES / 4;
/// … and after this many pages in a row a new page is allocated instead.
const PASSED: usize = 2;
/// The pages that a shard may have in addition to twice what its tasks need.
const EXTRA: usize = 2;
/// The number of pages that one call of `trim` examines.
const TRIMMED_AT_ONCE: usize = 16;

/// Some places. They are accessed under the shard's lock (rule *Place*).
#[repr(C)]
struct Page {
    shard: NonNull<Shard>,
    scheduler: *const (),
    schedule_here: ScheduleHere,
    places: [StdCell<Place>; PLACES],
}

const _: () = assert!(size_of::<Page>() <= SIZE && std::mem::offset_of!(Page, places) == HEAD);

const LAYOUT: Layout = match Layout::from_size_align(SIZE, ALIGNMENT) {
    Ok(layout) => layout,
    Err(_) => panic!("it is a power of two"),
};

impl Page {
    fn allocate(shard: &Shard) -> NonNull<Page> {
        // SAFETY: the layout's size is not zero.
        let room = unsafe { alloc(LAYOUT) };
        let Some(room) = NonNull::new(room.cast::<()>()) else { handle_alloc_error(LAYOUT) };
        let page = room.cast::<Page>();
        let empty = Page {
            shard: NonNull::from(shard),
            scheduler: shard.owner().as_ptr().cast(),
            schedule_here: shard.schedule_here(),
            places: [const { StdCell::new(Place::VACANT) }; PLACES],
        };
        // SAFETY: the allocation is large enough and sufficiently aligned, and this function owns
        // it.
        unsafe { page.write(empty) };
        page
    }

    /// # Safety
    ///
    /// `page` must come from `allocate`, and no other pointer to it may be used any more.
    unsafe fn free(page: NonNull<Page>) {
        // SAFETY: the caller guarantees it; a page has no destructor.
        unsafe { dealloc(page.as_ptr().cast(), LAYOUT) };
    }

    fn vacancies(&self) -> usize {
        self.places.iter().filter(|place| place.get().is_vacant()).count()
    }
}

/// A task, or null.
#[derive(Clone, Copy)]
struct Place(*mut Header);

impl Place {
    const VACANT: Self = Self(std::ptr::null_mut());
    /// The place of a task that walks must not find. No task has an odd address.
    const UNSEEN: Self = Self(std::ptr::without_provenance_mut(1));

    fn is_vacant(self) -> bool {
        self.0.is_null()
    }

    fn task(self) -> Option<NonNull<Header>> {
        if self.0.addr() == Self::UNSEEN.0.addr() { None } else { NonNull::new(self.0) }
    }
}

/// The pointer from a task to its place.
#[derive(Clone, Copy)]
pub(super) struct Home(NonNull<StdCell<Place>>);

impl Home {
    /// For a task that has no place yet.
    pub(super) const NONE: Self = Self(NonNull::dangling());

    fn new(page: NonNull<Page>, number: usize) -> Self {
        Self(page.map_addr(|start| start.saturating_add(HEAD + number * size_of::<Place>())).cast())
    }

    /// Where the page begins: to compare with the pages of a shard, not to follow.
    pub(super) fn page_address(self) -> usize {
        self.0.addr().get() & !(ALIGNMENT - 1)
    }

    /// The result may access the whole page, because the place's address was derived from a pointer
    /// to the page.
    fn page(self) -> NonNull<Page> {
        let start = self.0.as_ptr().map_addr(|place| place & !(ALIGNMENT - 1));
        NonNull::new(start.cast()).expect("no page begins at address zero")
    }

    /// The shard that the task is registered with.
    ///
    /// # Safety
    ///
    /// The task must still be registered.
    pub(super) unsafe fn shard(self) -> NonNull<Shard> {
        // SAFETY: a page that has a task is not freed.
        unsafe { self.page().as_ref() }.shard
    }

    /// The address of the scheduler that the task belongs to, and the function with which that
    /// scheduler's own threads queue the task.
    ///
    /// # Safety
    ///
    /// As for [`shard`](Self::shard).
    #[inline]
    pub(super) unsafe fn scheduler(self) -> (*const (), ScheduleHere) {
        // SAFETY: as above.
        let page = unsafe { self.page().as_ref() };
        (page.scheduler, page.schedule_here)
    }
}

/// A shard's pages. They are guarded by the shard's lock. (So the allocator is called under it.)
pub(super) struct Pages {
    all: Vec<NonNull<Page>>,
    /// Where these pages begin.
    addresses: BTreeSet<usize>,
    /// The page in which new tasks are registered.
    current: usize,
    /// The first place of `current` that has not been tried yet.
    next: usize,
    /// The page that was last examined for vacant places.
    hand: usize,
    len: usize,
    /// The number of tasks at the last `trim`; `usize::MAX` if a page was allocated since.
    trimmed: usize,
}

// SAFETY: this value owns the pages, and tasks may be referred to from any thread.
unsafe impl Send for Pages {}

impl Pages {
    pub(super) const fn new() -> Self {
        Self {
            all: Vec::new(),
            addresses: BTreeSet::new(),
            current: 0,
            next: PLACES,
            hand: 0,
            len: 0,
            trimmed: usize::MAX,
        }
    }

    /// The number of registered tasks, without those that were refused.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    fn page(&self, index: usize) -> &Page {
        // SAFETY: a page in `all` is not freed, and its cells are accessed through this value
        // alone.
        unsafe { self.all[index].as_ref() }
    }

    /// Registers a task of `shard`, to which these pages belong.
    #[inline]
    pub(super) fn insert(&mut self, task: NonNull<Header>, shard: &Shard) -> Home {
        self.len += 1;
        self.occupy(Place(task.as_ptr()), shard)
    }

    /// A home for a refused task: the task needs one until it is dropped, but is not among the
    /// registered tasks.
    pub(super) fn refuse(&mut self, shard: &Shard) -> Home {
        self.occupy(Place::UNSEEN, shard)
    }

    #[inline]
    fn occupy(&mut self, place: Place, shard: &Shard) -> Home {
        loop {
            while self.next < PLACES {
                let number = self.next;
                self.next += 1;
                let room = &self.page(self.current).places[number];
                if room.get().is_vacant() {
                    room.set(place);
                    return Home::new(self.all[self.current], number);
                }
            }
            self.turn(shard);
        }
    }

    /// Moves on to another page.
    #[cold]
    fn turn(&mut self, shard: &Shard) {
        self.next = 0;
        for passed in 0..self.all.len() {
            if passed >= PASSED && !self.has_plenty() {
                break;
            }
            self.hand = (self.hand + 1) % self.all.len();
            if self.page(self.hand).vacancies() >= WORTH {
                self.current = self.hand;
                return;
            }
        }
        self.current = self.all.len();
        let page = Page::allocate(shard);
        self.addresses.insert(page.addr().get());
        self.all.push(page);
        self.trimmed = usize::MAX;
    }

    /// Whether more than half of all places are vacant.
    fn has_plenty(&self) -> bool {
        self.all.len() > 2 * self.len.div_ceil(PLACES) + EXTRA
    }

    /// Removes the task at `home`.
    ///
    /// # Safety
    ///
    /// `home` must come from `insert` or `refuse` of this value, and must not have been removed
    /// since.
    #[inline]
    pub(super) unsafe fn remove(&mut self, home: Home) {
        // SAFETY: a page that has a task is not freed, and its cells are accessed through this
        // value alone.
        let place = unsafe { home.0.as_ref() }.replace(Place::VACANT);
        self.len -= usize::from(place.task().is_some());
    }

    /// Frees pages without tasks, if more than half of all places are vacant. Unless a new page is
    /// allocated, it does so again only when half of the remaining tasks have ended.
    ///
    /// Examines up to `TRIMMED_AT_ONCE` pages below page `below` (from the end if `None`). Returns
    /// the `below` of the next call, or `None` when it is done.
    pub(super) fn trim(&mut self, below: Option<usize>) -> Option<usize> {
        if below.is_none() && (!self.has_plenty() || self.len > self.trimmed / 2) {
            return None;
        }
        let end = below.unwrap_or(usize::MAX).min(self.all.len()).max(EXTRA);
        let start = end.saturating_sub(TRIMMED_AT_ONCE).max(EXTRA);
        for index in (start..end).rev() {
            if self.page(index).vacancies() == PLACES {
                let page = self.all.swap_remove(index);
                self.addresses.remove(&page.addr().get());
                // SAFETY: `allocate` made it, and no task has a place in it.
                unsafe { Page::free(page) };
            }
        }
        (self.current, self.next, self.hand) = (0, 0, 0);
        if start > EXTRA {
            return Some(start);
        }
        self.trimmed = self.len;
        None
    }

    /// A page of these begins at `address`.
    pub(super) fn has_page_at(&self, address: usize) -> bool {
        self.addresses.contains(&address)
    }

    /// The number of pages. A page keeps its number until the next call of `trim`.
    pub(super) fn pages(&self) -> usize {
        self.all.len()
    }

    /// The tasks that are registered on one of the pages.
    pub(super) fn on_page(&self, index: usize) -> impl Iterator<Item = NonNull<Header>> {
        self.page(index).places.iter().filter_map(|place| place.get().task())
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // `OwnedTasks` leaks a shard that still has tasks, because each task follows its home.
        for page in self.all.drain(..) {
            // SAFETY: `allocate` made it, and no task has a place in it.
            unsafe { Page::free(page) };
        }
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// A pointer that is never followed.
    fn task(number: usize) -> NonNull<Header> {
        NonNull::new(std::ptr::without_provenance_mut(64 * (number + 1))).expect("not zero")
    }

    fn trim(pages: &mut Pages) {
        let mut below = None;
        loop {
            below = pages.trim(below);
            if below.is_none() {
                return;
            }
        }
    }

    fn check(pages: &Pages, expected: &[(usize, Home)]) {
        let found: HashSet<_> = (0..pages.pages()).flat_map(|page| pages.on_page(page)).collect();
        assert_eq!((pages.len(), found.len()), (expected.len(), expected.len()));
        for (number, home) in expected {
            assert!(found.contains(&task(*number)));
            // SAFETY: the task is registered.
            assert_eq!(unsafe { home.0.as_ref() }.get().task(), Some(task(*number)));
        }
    }

    #[test]
    fn tasks_come_and_go_in_any_order() {
        let shard = Shard::of_nobody();
        for seed in 1..20_u64 {
            let (mut pages, mut live) = (Pages::new(), Vec::new());
            let mut random = seed;
            let mut below = |limit: usize| {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) as usize % limit
            };
            for number in 0..5 * PLACES {
                live.push((number, pages.insert(task(number), &shard)));
                // SAFETY: the task is registered.
                assert_eq!(unsafe { live[live.len() - 1].1.shard() }, NonNull::from(&shard));
                if below(3) == 0 {
                    let (_, home) = live.swap_remove(below(live.len()));
                    // SAFETY: the task was registered here, and has left `live`.
                    unsafe { pages.remove(home) };
                }
                if number % 50 == 0 {
                    check(&pages, &live);
                }
            }
            check(&pages, &live);
            while !live.is_empty() {
                let (_, home) = live.swap_remove(below(live.len()));
                // SAFETY: as above.
                unsafe { pages.remove(home) };
                if live.len() % 50 == 0 {
                    check(&pages, &live);
                }
            }
            trim(&mut pages);
            assert_eq!(pages.all.len(), EXTRA);
        }
    }

    #[test]
    fn a_task_that_is_refused_is_not_found() {
        let shard = Shard::of_nobody();
        let mut pages = Pages::new();
        let home = pages.refuse(&shard);
        // SAFETY: the task has a place.
        assert_eq!(unsafe { home.shard() }, NonNull::from(&shard));
        check(&pages, &[]);
        let other = pages.insert(task(0), &shard);
        // SAFETY: the task is removed once.
        unsafe { pages.remove(home) };
        check(&pages, &[(0, other)]);
        // SAFETY: as above.
        unsafe { pages.remove(other) };
    }

    #[test]
    fn vacant_places_are_used_again() {
        let shard = Shard::of_nobody();
        let mut pages = Pages::new();
        let mut live: Vec<_> =
            (0..10 * PLACES).map(|number| (number, pages.insert(task(number), &shard))).collect();
        assert_eq!(pages.all.len(), 10);
        // Half of the tasks end and others begin, again and again: every page is used.
        for round in 0..20 {
            let stays = |(number, _): &(usize, Home)| number % 2 != round % 2;
            let (staying, leaving): (Vec<_>, Vec<_>) = live.into_iter().partition(stays);
            for (_, home) in leaving {
                // SAFETY: each task is removed once.
                unsafe { pages.remove(home) };
            }
            live = staying;
            let numbers: Vec<_> = (0..10 * PLACES).filter(|number| number % 2 == round % 2).collect();
            live.extend(numbers.into_iter().map(|number| (number, pages.insert(task(number), &shard))));
            check(&pages, &live);
            assert!(pages.all.len() <= 15, "{} pages in round {round}", pages.all.len());
        }
    }

    /// Two full pages of tasks that stay, and one task at a time that begins and ends.
    #[test]
    fn full_pages_do_not_hide_vacant_places() {
        let shard = Shard::of_nobody();
        for stay in [2 * PLACES, 50 * PLACES] {
            let mut pages = Pages::new();
            let live: Vec<_> = (0..stay).map(|number| (number, pages.insert(task(number), &shard))).collect();
            for number in stay..stay + 100_000 {
                let home = pages.insert(task(number), &shard);
                // SAFETY: the task is removed once.
                unsafe { pages.remove(home) };
            }
            check(&pages, &live);
            let most = 2 * (stay + 1).div_ceil(PLACES) + EXTRA + 1;
            assert!(pages.all.len() <= most, "{} pages for {stay} tasks", pages.all.len());
        }
    }

    #[test]
    fn pages_are_freed_when_few_tasks_are_left() {
        let shard = Shard::of_nobody();
        let mut pages = Pages::new();
        let mut live: Vec<_> =
            (0..100 * PLACES).map(|number| (number, pages.insert(task(number), &shard))).collect();
        trim(&mut pages);
        assert_eq!(pages.all.len(), 100);
        // One task is left in every tenth page.
        let (staying, leaving): (Vec<_>, Vec<_>) =
            live.into_iter().partition(|(number, _)| *number % (10 * PLACES) == 0);
        for (_, home) in leaving {
            // SAFETY: each task is removed once.
            unsafe { pages.remove(home) };
        }
        live = staying;
        // A walk that begins between two portions stops the rest of the trimming; the next call
        // starts again.
        assert!(pages.trim(None).is_some());
        trim(&mut pages);
        check(&pages, &live);
        assert!(pages.all.len() <= 10 + EXTRA, "{} pages", pages.all.len());
        // New tasks find places there.
        for number in 1..=3 * PLACES {
            live.push((1_000_000 + number, pages.insert(task(1_000_000 + number), &shard)));
        }
        check(&pages, &live);
        assert!(pages.all.len() <= 10 + EXTRA, "{} pages", pages.all.len());
    }
}
