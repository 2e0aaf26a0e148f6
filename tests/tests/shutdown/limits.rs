//! Does `shutdown_timeout` hold, whatever the tasks and threads do?

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use selvedge::{BlockingTask, EventLoop, Result, Runner, create_task, run_coroutine_threadsafe, sleep};
use selvedge_tests::{Counted, Drops, LONG, Reports};

const TIMEOUT: Duration = Duration::from_millis(400);
/// The tolerance that is added to it.
const SLACK: Duration = Duration::from_millis(200);

/// The results that `functions hand in functions` awaits. They are kept here, so that they are no
/// leak.
static KEPT: Mutex<Vec<BlockingTask<()>>> = Mutex::new(Vec::new());

struct Respawns(EventLoop);

impl Drop for Respawns {
    fn drop(&mut self) {
        let (event_loop, next) = (self.0.clone(), Respawns(self.0.clone()));
        drop(event_loop.create_task(async move {
            let _next = next;
            sleep(Duration::ZERO).await
        }));
    }
}

/// Starts activity that goes on until `stop`. Each object that it hands in has a counted value.
type Trouble = fn(&EventLoop, &Drops, &Arc<AtomicUsize>, &Arc<AtomicBool>);

fn counted(drops: &Drops, made: &AtomicUsize) -> Counted {
    made.fetch_add(1, Ordering::SeqCst);
    drops.counted()
}

fn on_thread(stop: &Arc<AtomicBool>, mut f: impl FnMut() + Send + 'static) {
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        while !stop.load(Ordering::SeqCst) {
            f();
        }
    });
}

const TROUBLES: [(&str, Trouble); 9] = [
    ("threads create tasks", |event_loop, drops, made, stop| {
        for _ in 0..2 {
            let (event_loop, drops, made) = (event_loop.clone(), drops.clone(), Arc::clone(made));
            on_thread(stop, move || {
                let counted = counted(&drops, &made);
                drop(event_loop.create_task(async move {
                    let _counted = counted;
                    Ok(())
                }));
            });
        }
    }),
    ("threads run coroutines and call", |event_loop, drops, made, stop| {
        let (event_loop, drops, made) = (event_loop.clone(), drops.clone(), Arc::clone(made));
        on_thread(stop, move || {
            let ours = counted(&drops, &made);
            drop(run_coroutine_threadsafe(
                async move {
                    let _ours = ours;
                    sleep(LONG).await
                },
                &event_loop,
            ));
            let ours = counted(&drops, &made);
            event_loop.call_soon_threadsafe(move || drop(ours));
            let ours = counted(&drops, &made);
            event_loop.call_later(LONG, move || drop(ours));
        });
    }),
    ("threads hand in functions", |event_loop, drops, made, stop| {
        let (event_loop, drops, made) = (event_loop.clone(), drops.clone(), Arc::clone(made));
        on_thread(stop, move || {
            let ours = counted(&drops, &made);
            drop(event_loop.run_in_executor(None, move || drop(ours)));
        });
    }),
    ("threads wake and cancel", |event_loop, _, _, stop| {
        let task = event_loop.create_task(async {
            loop {
                let _ = sleep(LONG).await;
            }
            #[expect(unreachable_code, reason = "it says of which type it is a coroutine")]
            Ok(())
        });
        on_thread(stop, move || {
            task.cancel();
        });
    }),
    ("tasks spawn for ever", |event_loop, drops, made, _| {
        fn spawns(counted_ones: (Drops, Arc<AtomicUsize>)) -> impl Future<Output = Result<()>> + Send {
            let (drops, made) = counted_ones;
            let ours = counted(&drops, &made);
            async move {
                let _ours = ours;
                loop {
                    let ours = counted(&drops, &made);
                    drop(create_task(async move {
                        let _ours = ours;
                        sleep(LONG).await
                    }));
                    let _ = sleep(Duration::from_micros(50)).await;
                }
            }
        }
        drop(event_loop.create_task(spawns((drops.clone(), Arc::clone(made)))));
    }),
    ("destructors spawn for ever", |event_loop, _, _, _| drop(Respawns(event_loop.clone()))),
    ("callbacks call back for ever", |event_loop, _, _, _| {
        fn again(event_loop: &EventLoop) {
            let next = event_loop.clone();
            event_loop.call_soon(move || again(&next));
        }
        again(event_loop);
    }),
    ("functions hand in functions", |event_loop, drops, made, stop| {
        fn again(event_loop: EventLoop, drops: Drops, made: Arc<AtomicUsize>, stop: Arc<AtomicBool>) {
            if !stop.load(Ordering::SeqCst) {
                let ours = counted(&drops, &made);
                let next = event_loop.clone();
                event_loop.call_soon(move || {
                    let _ours = ours;
                    let there = next.clone();
                    let handed_in = next.run_in_executor(None, move || again(there, drops, made, stop));
                    // A drop would cancel the function.
                    KEPT.lock().unwrap().push(handed_in);
                });
            }
        }
        again(event_loop.clone(), drops.clone(), Arc::clone(made), Arc::clone(stop));
    }),
    ("a thousand tasks refuse", |event_loop, drops, made, _| {
        for _ in 0..1000 {
            let ours = counted(drops, made);
            drop(event_loop.create_task(async move {
                let _ours = ours;
                loop {
                    let _ = sleep(LONG).await;
                }
                #[expect(unreachable_code, reason = "it says of which type it is a coroutine")]
                Ok(())
            }));
        }
    }),
];

#[test]
fn the_shutdown_timeout_holds_and_nothing_leaks() {
    for (name, trouble) in TROUBLES {
        let runner = Runner::builder().workers(2).shutdown_timeout(TIMEOUT).build().unwrap();
        let event_loop = runner.get_loop();
        let reports = Reports::of(&event_loop);
        let (drops, made, stop) = (Drops::new(), Arc::default(), Arc::default());
        runner.run(sleep(Duration::from_millis(1))).unwrap();
        trouble(&event_loop, &drops, &made, &stop);
        runner.run(sleep(Duration::from_millis(20))).unwrap();
        let start = Instant::now();
        runner.close();
        let lasted = start.elapsed();
        assert!(lasted < TIMEOUT + SLACK, "{name}: {lasted:?}");
        // Checked before the activity stops: the loop refuses it without further reports.
        let messages = reports.messages();
        assert!(messages.len() <= 1, "{name}: {messages:?}");
        assert!(
            messages.iter().all(|message| message.matches("Task-").count() <= 20),
            "{name}: {messages:?}"
        );
        stop.store(true, Ordering::SeqCst);
        let (mut last, patience) = (0, Instant::now());
        let is_over = |last| {
            let count = drops.count();
            last == count && count == made.load(Ordering::SeqCst) && event_loop.all_tasks().is_empty()
        };
        while !is_over(last) {
            last = drops.count();
            assert!(
                patience.elapsed() < Duration::from_secs(30),
                "{name}: {} of {made:?} dropped",
                drops.count()
            );
            thread::sleep(Duration::from_millis(1));
        }
    }
}
