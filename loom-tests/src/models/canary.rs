//! Does the shipped code use loom's atomics in these models?

use std::sync::Arc;

use loom::thread;
use selvedge_scheduler::model::Canary;

use crate::support::Model;

/// Two threads, a cell and a flag without an ordering. On std's atomics this would pass.
pub(super) const CANARY: Model = Model::new("canary", "a relaxed publication: must fail", || {
    let canary = Arc::new(Canary::new());
    let singer = Arc::clone(&canary);
    let thread = thread::spawn(move || singer.sing());
    if let Some(value) = canary.hear() {
        assert_eq!(value, 1);
    }
    thread.join().expect("no panic");
})
.must_fail();
