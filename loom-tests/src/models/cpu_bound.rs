//! Does a cpu-bound task always find the permit that another one gives back?

use std::sync::Arc;
use std::task::Poll;

use loom::thread;

use crate::support::{End, Ledger, Model, house, join, spawn};

/// A cpu-bound task is queued while the only permit is given back: the task is announced, or the
/// worker that gives the permit back finds it.
pub(super) const PERMIT_RETURNS_VS_PUSH: Model = Model::new(
    "permit_returns_vs_push",
    "a cpu-bound task is queued while the last permit comes back",
    || {
        let house = house(1, 0);
        let ledger = Arc::new(Ledger::default());
        let worker = house.reserve(0).sit();
        let handles = [(); 2].map(|()| {
            let mut polled = false;
            let handle = spawn(&house, &ledger, move |_| {
                if std::mem::replace(&mut polled, true) { Poll::Ready(End::Value) } else { Poll::Pending }
            });
            assert!(worker.turn());
            house.make_cpu_bound(handle.task());
            handle
        });
        handles[0].task().wake();
        let [mut first, mut second] = handles;
        let wakes = house.clone();
        let foreign = thread::spawn(move || {
            second.task().wake();
            assert_eq!(join(&mut first), End::Value);
            assert_eq!(join(&mut second), End::Value);
            wakes.dismiss_all();
        });
        worker.work();
        foreign.join().expect("no panic");
        assert_eq!((ledger.polls(), ledger.slots_dropped()), (4, 2));
    },
)
.finds(&["cpu-bound-push-without-fence"]);
