//! Is everything that is handed in executed, or refused at once, and dropped once in either case?
//! The test is a product: kind × thread × moment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use selvedge::{EventLoop, Result, Runner, RuntimeError, create_task, run_coroutine_threadsafe, sleep};
use selvedge_tests::{Begun, Counted, Drops, LONG};

/// The kinds that can be handed in.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Task,
    Threadsafe,
    CallSoon,
    CallLater,
    Function,
    InExecutor,
}

const KINDS: [Kind; 6] =
    [Kind::Task, Kind::Threadsafe, Kind::CallSoon, Kind::CallLater, Kind::Function, Kind::InExecutor];

/// The place from which it is handed in.
#[derive(Clone, Copy, Debug)]
enum Who {
    Foreign,
    Worker,
    Pool,
    Destructor,
    Callback,
}

const WHO: [Who; 5] = [Who::Foreign, Who::Worker, Who::Pool, Who::Destructor, Who::Callback];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    Before,
    /// A cancelled task is in its clean-up.
    During,
    After,
}

/// Hands one object in. The returned function waits for its end, and returns whether it was
/// refused.
fn hand_in(kind: Kind, event_loop: &EventLoop, counted: Counted) -> Box<dyn FnOnce() -> bool + Send> {
    let coroutine = |counted: Counted| async move {
        let _counted = counted;
        Ok(())
    };
    match kind {
        Kind::Task => {
            let task = event_loop.create_task(coroutine(counted));
            let is_refused = task.done() && is_closed_message(task.exception());
            Box::new(move || is_refused || wait_until(|| task.done()))
        }
        Kind::Threadsafe => {
            let future = run_coroutine_threadsafe(coroutine(counted), event_loop);
            let is_refused = future.done() && future.exception(None).is_ok_and(|error| error.is_some())
                || future.done() && future.cancelled();
            Box::new(move || is_refused || wait_until(|| future.done()))
        }
        Kind::CallSoon => {
            let handle = event_loop.call_soon(move || drop(counted));
            let is_refused = handle.cancelled();
            Box::new(move || is_refused)
        }
        Kind::CallLater => {
            let handle = event_loop.call_later(LONG, move || drop(counted));
            let is_refused = handle.cancelled();
            Box::new(move || {
                assert!(handle.cancelled(), "the loop is closed");
                is_refused
            })
        }
        Kind::Function | Kind::InExecutor => {
            let executor = selvedge::ThreadPoolExecutor::new(1).unwrap();
            let executor = matches!(kind, Kind::InExecutor).then_some(&executor);
            let called = event_loop.run_in_executor(executor, move || drop(counted));
            Box::new(move || {
                selvedge::run(called).is_err_and(|error| {
                    assert!(error.is::<RuntimeError>(), "{error:?}");
                    error.to_string() == "Event loop is closed"
                })
            })
        }
    }
}

fn is_closed_message(exception: Result<Option<selvedge::Error>>) -> bool {
    exception.is_err_and(|error| error.to_string() == "cancelled: Event loop is closed")
}

/// Waits until `is_done`, and returns false.
fn wait_until(is_done: impl Fn() -> bool) -> bool {
    while !is_done() {
        thread::yield_now();
    }
    false
}

struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0.take().unwrap())();
    }
}

/// Runs `f` in the place of `who`. The caller is a task on a worker, or a thread outside.
fn act(who: Who, event_loop: &EventLoop, f: impl FnOnce() + Send + 'static) {
    match who {
        Who::Foreign => thread::spawn(f).join().unwrap(),
        Who::Worker => f(),
        Who::Pool | Who::Callback | Who::Destructor => unreachable!("these need the loop: {event_loop:?}"),
    }
}

async fn act_inside(who: Who, event_loop: EventLoop, f: impl FnOnce() + Send + 'static) -> Result<()> {
    match who {
        Who::Foreign | Who::Worker => act(who, &event_loop, f),
        Who::Pool => selvedge::to_thread(f).await?,
        Who::Destructor => {
            let on_drop = OnDrop(Some(f));
            create_task(async move {
                let _on_drop = on_drop;
                Ok(())
            })
            .await
            .ok();
        }
        Who::Callback => {
            let called = event_loop.create_future();
            let ours = called.clone();
            event_loop.call_soon(move || {
                f();
                ours.set_result(()).unwrap();
            });
            called.await?;
        }
    }
    Ok(())
}

#[test]
fn whatever_is_handed_in_is_done_or_refused_and_dropped_once() {
    for kind in KINDS {
        for who in WHO {
            for moment in [Moment::Before, Moment::During, Moment::After] {
                one(kind, who, moment);
            }
        }
    }
}

fn one(kind: Kind, who: Who, moment: Moment) {
    let what = format!("{kind:?} by {who:?}, {moment:?}");
    let runner = Runner::builder().workers(2).shutdown_timeout(Duration::from_secs(20)).build().unwrap();
    let event_loop = runner.get_loop();
    let drops = Drops::new();
    let (send, receive) = mpsc::channel();
    let counted = drops.counted();
    let its_loop = event_loop.clone();
    let act_now = move || send.send(hand_in(kind, &its_loop, counted)).unwrap();
    let in_loop = event_loop.clone();
    match moment {
        Moment::Before => runner.run(async move { act_inside(who, in_loop, act_now).await }).unwrap(),
        Moment::During => {
            let main = async move {
                let (started, has_started) = async_channel::bounded(1);
                drop(create_task(async move {
                    started.send(()).await?;
                    assert!(sleep(LONG).await.unwrap_err().is_cancelled());
                    act_inside(who, in_loop, act_now).await
                }));
                Ok(has_started.recv().await?)
            };
            runner.run(main).unwrap();
        }
        Moment::After => {
            // Only foreign threads are left; a destructor may run on one of them.
            runner.close();
            match who {
                Who::Destructor => drop(event_loop.create_task({
                    let on_drop = OnDrop(Some(act_now));
                    async move {
                        let _on_drop = on_drop;
                        Ok(())
                    }
                })),
                _ => act(Who::Foreign, &event_loop, act_now),
            }
        }
    }
    runner.close();
    let wait =
        receive.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("never acted: {what}"));
    let is_refused = wait();
    let expected = match moment {
        Moment::Before => false,
        Moment::During => matches!(who, Who::Foreign),
        Moment::After => true,
    };
    assert_eq!(is_refused, expected, "{what}");
    while drops.count() == 0 {
        thread::yield_now();
    }
    assert_eq!(drops.count(), 1, "{what}");
}

/// Destructors that hand in another object with the same destructor would never end by themselves.
#[test]
fn destructors_that_hand_in_their_like_come_to_an_end() {
    struct Again(EventLoop, Drops, #[expect(dead_code, reason = "it counts its drop")] Counted);

    static MADE: AtomicUsize = AtomicUsize::new(0);

    fn again(event_loop: EventLoop, drops: Drops) -> Again {
        MADE.fetch_add(1, Ordering::SeqCst);
        let counted = drops.counted();
        Again(event_loop, drops, counted)
    }

    impl Drop for Again {
        fn drop(&mut self) {
            if self.1.count() < 200_000 {
                let again = again(self.0.clone(), self.1.clone());
                drop(self.0.create_task(async move {
                    let _again = again;
                    Ok(())
                }));
            }
        }
    }

    let drops = Drops::new();
    let event_loop = selvedge::run(async { selvedge::get_running_loop() }).unwrap();
    // On a thread with a small stack.
    let thread = thread::Builder::new().stack_size(512 << 10);
    let first = again(event_loop, drops.clone());
    thread.spawn(move || drop(first)).unwrap().join().unwrap();
    assert_eq!(drops.count(), MADE.load(Ordering::SeqCst));
    assert!(drops.count() > 200_000);
}

/// A closed loop that only its own refused tasks keep alive exists until the last of them has been
/// dropped.
#[test]
fn a_refused_task_may_hold_the_last_of_its_loop() {
    struct Chain {
        event_loop: EventLoop,
        left: usize,
        drops: Drops,
    }

    impl Drop for Chain {
        fn drop(&mut self) {
            if self.left == 0 {
                return;
            }
            let counted = self.drops.counted();
            let next =
                Chain { event_loop: self.event_loop.clone(), left: self.left - 1, drops: self.drops.clone() };
            drop(self.event_loop.create_task(async move {
                let _held = (next, counted);
                Ok(())
            }));
        }
    }

    // As deep as refused tasks are dropped inside each other, a little deeper, and much deeper.
    for length in (1..40).chain([1_000]) {
        let [first, second] =
            [(); 2].map(|()| selvedge::run(async { selvedge::get_running_loop() }).unwrap());
        let drops = Drops::new();
        let chain = Chain { event_loop: second, left: length, drops: drops.clone() };
        drop(first.create_task(async move {
            let _chain = chain;
            Ok(())
        }));
        assert_eq!(drops.count(), length);
    }
}

/// A callback is called soon. If the loop has ended, it is still called, before `close` returns.
#[test]
fn each_callback_of_a_task_that_a_shutdown_ends_is_called() {
    const TASKS: usize = 20;
    for _ in 0..100 {
        let runner = Runner::builder().workers(2).build().unwrap();
        let event_loop = runner.get_loop();
        let (begun, called) = (Begun::default(), std::sync::Arc::new(AtomicUsize::new(0)));
        for _ in 0..TASKS {
            let (of_task, of_future) = (called.clone(), called.clone());
            let future = event_loop.create_future::<()>();
            future.add_done_callback(move |_| _ = of_future.fetch_add(1, Ordering::SeqCst));
            let task = event_loop.create_task(begun.counts(async move {
                let slept = sleep(LONG).await;
                future.set_result(())?;
                slept
            }));
            task.add_done_callback(move |_| _ = of_task.fetch_add(1, Ordering::SeqCst));
        }
        runner.run(begun.are(TASKS)).unwrap();
        runner.close();
        assert_eq!(called.load(Ordering::SeqCst), 2 * TASKS);
    }
}
