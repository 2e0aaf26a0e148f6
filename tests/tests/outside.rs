//! Does every function that needs a running loop return an error without one?

use std::time::Duration;

use futures_lite::future::block_on;
use selvedge::{
    Error, Result, RuntimeError, cancellable, sleep, task_group, timeout, to_thread, wait, wait_for,
};
use selvedge_tests::{LONG, foreign};

fn says_so<T>(result: Result<T>) {
    let error: Error = result.err().expect("there is no loop");
    assert!(error.is::<RuntimeError>());
    assert_eq!(error.to_string(), "no running event loop");
}

#[test]
fn what_needs_a_clock_is_an_error_and_not_a_wait_without_end() {
    says_so(block_on(sleep(LONG)));
    says_so(block_on(wait_for(cancellable(foreign()), LONG)));
    says_so(block_on(timeout(LONG, async |_| cancellable(foreign()).await)));
    says_so(block_on(to_thread(|| ())));
    let runner = selvedge::Runner::builder().workers(1).build().unwrap();
    let task = runner.get_loop().create_task(sleep(LONG));
    says_so(block_on(wait([&task]).timeout(LONG)));
}

#[test]
fn what_needs_none_works() {
    assert_eq!(block_on(wait_for(async { Ok(1) }, None)).unwrap(), 1);
    assert_eq!(block_on(timeout(None, async |_| Ok(2))).unwrap(), 2);
    assert_eq!(block_on(cancellable(async { 3 })).unwrap(), 3);
    assert_eq!(block_on(task_group(async |_| Ok(4))).unwrap(), 4);
    block_on(sleep(Duration::ZERO)).unwrap();
    let runner = selvedge::Runner::builder().workers(1).build().unwrap();
    let task = runner.get_loop().create_task(sleep(Duration::from_millis(1)).returning(5));
    assert_eq!(block_on(task).unwrap(), 5);
}
