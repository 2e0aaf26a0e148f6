use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;

/// Counts its drops.
#[derive(Clone)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn drops(count: &AtomicUsize) -> usize {
    count.load(Ordering::Relaxed)
}

#[test]
fn both_are_one_word() {
    assert_eq!(size_of::<NumberOrBox<[u64; 9]>>(), size_of::<usize>());
    assert_eq!(size_of::<RefThenBox<u64, [u64; 9]>>(), size_of::<usize>());
}

#[test]
fn a_number_comes_back() {
    for number in [0, 1, 2, 12_345, usize::MAX >> 1] {
        assert_eq!(NumberOrBox::<u64>::number(number).get(), NumberOr::Number(number));
    }
    assert_eq!(NumberOrBox::<u64>::ZERO.get(), NumberOr::Number(0));
}

#[test]
fn a_box_takes_the_place_of_a_number_and_is_dropped_once() {
    let count = Arc::<AtomicUsize>::default();
    let mut word = NumberOrBox::number(7);
    let content = word.get_or_box(|number| (number, Counted(Arc::clone(&count))));
    content.0 += 1;
    assert_eq!(word.get_or_box(|_| unreachable!("there is a box")).0, 8);
    let NumberOr::Boxed(content) = word.get_mut() else { panic!("a number") };
    content.0 += 1;
    let mut word = thread::spawn(|| word).join().expect("no panic");
    assert!(matches!(word.get(), NumberOr::Boxed((9, _))));
    assert_eq!(drops(&count), 0);
    word = NumberOrBox::number(1);
    assert_eq!(drops(&count), 1);
    drop(word);
    assert_eq!(drops(&count), 1);
}

#[test]
fn a_box_that_is_not_made_changes_nothing() {
    let mut word = NumberOrBox::<Counted>::number(7);
    let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        word.get_or_box(|_| std::panic::resume_unwind(Box::new(())));
    }));
    assert!(made.is_err() && matches!(word.get(), NumberOr::Number(7)));
}

#[test]
fn of_several_boxes_one_takes_the_place_of_the_reference() {
    static NUMBER: u64 = 5;
    const THREADS: usize = 4;
    for _ in 0..500 {
        let (count, made) = (Arc::<AtomicUsize>::default(), AtomicUsize::new(0));
        let word = RefThenBox::new(&NUMBER);
        assert!(matches!(word.get(), RefOr::Ref(5)));
        thread::scope(|scope| {
            let fill = || {
                let content = word.get_or_box(|number| {
                    made.fetch_add(1, Ordering::Relaxed);
                    (*number, Counted(Arc::clone(&count)))
                });
                assert_eq!(content.0, 5);
                std::ptr::from_ref(content).addr()
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(fill)).collect();
            let found: Vec<_> = threads.into_iter().map(|one| one.join().expect("no panic")).collect();
            assert!(found.iter().all(|address| *address == found[0]));
        });
        assert_eq!(drops(&count) + 1, made.into_inner());
        assert!(matches!(word.get(), RefOr::Boxed((5, _))));
        let before = drops(&count);
        drop(word);
        assert_eq!(drops(&count), before + 1);
    }
}
