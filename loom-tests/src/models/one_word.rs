//! Do all threads see one box, with its content, in a word that gets it once?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::thread;
use selvedge_scheduler::{RefOr, RefThenBox};

use crate::support::{Model, reached};

static MADE_ONE: AtomicUsize = AtomicUsize::new(0);
static MADE_TWO: AtomicUsize = AtomicUsize::new(0);
static FOUND_REF: AtomicUsize = AtomicUsize::new(0);
static FOUND_BOX: AtomicUsize = AtomicUsize::new(0);

/// Counts its drops, outside of loom.
struct Content(loom::sync::atomic::AtomicUsize, Arc<AtomicUsize>);

impl Drop for Content {
    fn drop(&mut self) {
        reached(&self.1);
    }
}

/// Two threads make a box at the same time, and a third one looks.
pub(super) const BOX_IS_MADE_ONCE: Model =
    Model::new("box_is_made_once", "one box takes the place of a reference, and is published", || {
        static REFERENCE: u64 = 5;
        let (made, dropped) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let word = Arc::new(RefThenBox::new(&REFERENCE));
        let make = |word: Arc<RefThenBox<u64, Content>>| {
            let (made, dropped) = (Arc::clone(&made), Arc::clone(&dropped));
            move || {
                let content = word.get_or_box(|reference| {
                    reached(&made);
                    let content = Content(loom::sync::atomic::AtomicUsize::new(0), dropped);
                    // Relaxed: the word publishes it.
                    content.0.store(*reference as usize, Ordering::Relaxed);
                    content
                });
                assert_eq!(content.0.load(Ordering::Relaxed), 5);
                std::ptr::from_ref(content).addr()
            }
        };
        let (first, second) = (make(Arc::clone(&word)), make(Arc::clone(&word)));
        let other = thread::spawn(first);
        let seen = Arc::clone(&word);
        let looks = thread::spawn(move || match seen.get() {
            RefOr::Ref(reference) => {
                reached(&FOUND_REF);
                assert_eq!(*reference, 5);
            }
            RefOr::Boxed(content) => {
                reached(&FOUND_BOX);
                assert_eq!(content.0.load(Ordering::Relaxed), 5);
            }
        });
        let here = second();
        assert_eq!(other.join().expect("no panic"), here);
        looks.join().expect("no panic");
        let made = made.load(Ordering::Relaxed);
        reached(if made == 1 { &MADE_ONE } else { &MADE_TWO });
        assert_eq!(dropped.load(Ordering::Relaxed), made - 1);
        drop(word);
        assert_eq!(dropped.load(Ordering::Relaxed), made);
    })
    .finds(&["box-is-published-relaxed"])
    .reaches(|| {
        vec![
            ("one box was made", &MADE_ONE),
            ("two were made", &MADE_TWO),
            ("the third thread found the reference", &FOUND_REF),
            ("it found the box", &FOUND_BOX),
        ]
    });
