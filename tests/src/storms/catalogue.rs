//! Which storms are there?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use selvedge::{
    EventLoop, Result, Task, create_task, gather, run_coroutine_threadsafe, sleep, task_group, timeout,
    to_thread, wait, wait_for,
};

use super::{Progress, Storm, Weather};
use crate::lifecycle::{self, Settings};
use crate::{Counted, Drops};

/// All storms. The last one tests the watchdog of the stress program, and runs only when it is
/// named.
pub const STORMS: &[Storm] = &[
    Storm { name: "spawns", run: spawns },
    Storm { name: "wakes", run: wakes },
    Storm { name: "cancels", run: cancels },
    Storm { name: "standbys", run: standbys },
    Storm { name: "demotions", run: demotions },
    Storm { name: "runtimes", run: runtimes },
    Storm { name: "timers", run: timers },
    Storm { name: "threadsafe", run: threadsafe },
    Storm { name: "mixed", run: mixed },
    Storm { name: "programs", run: programs },
    Storm { name: "stuck", run: stuck },
];

/// A smaller load under a sanitizer, where each step takes many times as long.
const SCALE: u64 = if cfg!(selvedge_sanitize) { 10 } else { 1 };

/// Awaits all tasks, and returns how many ended well.
async fn count_good<T: Send + 'static>(tasks: Vec<Task<T>>, progress: &Progress) -> usize {
    let mut good = 0;
    for task in tasks {
        good += usize::from(task.await.is_ok());
        progress.made();
    }
    good
}

/// Trees of tasks that are spawned by tasks, and as many by foreign threads: each task runs once.
fn spawns(weather: &mut Weather<'_>) {
    let (width, threads) = (weather.between(2_000 / SCALE, 20_000 / SCALE), weather.between(1, 4));
    let (ran, drops) = (Arc::new(AtomicUsize::new(0)), Drops::new());
    let one = |ran: &Arc<AtomicUsize>, guard: Counted| {
        let ran = Arc::clone(ran);
        async move {
            let _guard = guard;
            ran.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    };
    let (count, guards) = (Arc::clone(&ran), drops.clone());
    weather.on_a_loop(move |event_loop, progress| async move {
        let foreign: Vec<_> = (0..threads)
            .map(|_| {
                let (event_loop, count, guards) = (event_loop.clone(), Arc::clone(&count), guards.clone());
                thread::spawn(move || {
                    (0..width)
                        .map(|_| event_loop.create_task(one(&count, guards.counted())))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let own: Vec<_> = (0..width)
            .map(|_| {
                let (count, guards) = (Arc::clone(&count), guards.clone());
                create_task(async move { create_task(one(&count, guards.counted())).await })
            })
            .collect();
        assert_eq!(count_good(own, &progress).await, width);
        for thread in foreign {
            let tasks = to_thread(move || thread.join()).await?.expect("it does not panic");
            assert_eq!(count_good(tasks, &progress).await, width);
        }
        Ok(())
    });
    let all = width * (threads + 1);
    assert_eq!((ran.load(Ordering::Relaxed), drops.count()), (all, all));
}

/// Foreign threads and tasks wake the same wakers many times; every message arrives.
fn wakes(weather: &mut Weather<'_>) {
    let (pairs, messages) = (weather.between(1, 16), weather.between(500 / SCALE, 5_000 / SCALE));
    let (threads, bound) = (weather.between(1, 3), weather.between(1, 4));
    weather.on_a_loop(move |_, progress| async move {
        let mut receivers = Vec::new();
        let mut senders = Vec::new();
        for _ in 0..pairs {
            let (sender, receiver) = async_channel::bounded::<usize>(bound);
            for _ in 0..threads {
                let sender = sender.clone();
                senders.push(thread::spawn(move || (0..messages).all(|n| sender.send_blocking(n).is_ok())));
            }
            drop(create_task(async move {
                for n in 0..messages {
                    sender.send(n).await?;
                }
                Ok(())
            }));
            let progress = progress.clone();
            receivers.push(create_task(async move {
                let mut sum = 0;
                while let Ok(n) = receiver.recv().await {
                    sum += n;
                    progress.made();
                }
                Ok(sum)
            }));
        }
        for receiver in receivers {
            assert_eq!(receiver.await?, (threads + 1) * (messages * (messages - 1) / 2));
        }
        for sender in senders {
            assert!(sender.join().expect("it does not panic"));
        }
        Ok(())
    });
}

/// Tasks that sleep, wait for each other and finish, while threads cancel them: each task ends, and
/// is dropped once.
fn cancels(weather: &mut Weather<'_>) {
    let (tasks, threads) = (weather.between(200, 5_000 / SCALE), weather.between(1, 3));
    let (salt, drops) = (weather.next(), Drops::new());
    let guards = drops.clone();
    weather.on_a_loop(move |_, progress| async move {
        let all: Vec<_> = (0..tasks)
            .map(|n| {
                let guard = guards.counted();
                let nap = Duration::from_micros((salt ^ n as u64).wrapping_mul(0x9e37_79b9) % 3_000);
                create_task(async move {
                    let _guard = guard;
                    let inner = create_task(sleep(nap));
                    timeout(nap, async |_| inner.await).await
                })
            })
            .collect();
        let handles: Arc<[_]> = all.iter().map(Task::handle).collect();
        let cancellers: Vec<_> = (0..threads)
            .map(|_| {
                let handles = Arc::clone(&handles);
                thread::spawn(move || handles.iter().filter(|task| task.cancel()).count())
            })
            .collect();
        count_good(all, &progress).await;
        for canceller in cancellers {
            let _told = to_thread(move || canceller.join()).await?.expect("it does not panic");
        }
        assert!(handles.iter().all(selvedge::TaskHandle::done));
        Ok(())
    });
    assert_eq!(drops.count(), tasks);
}

/// More blocking polls than there are workers, with light tasks, timers and messages beside them.
fn standbys(weather: &mut Weather<'_>) {
    let (blockers, light) = (weather.between(1, 12), weather.between(100, 2_000 / SCALE));
    weather.on_a_loop(move |_, progress| async move {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let released = Arc::new(parking_lot::Mutex::new(released));
        let stuck: Vec<_> = (0..blockers)
            .map(|_| {
                let released = Arc::clone(&released);
                create_task(async move {
                    // Another worker must run the task that is left in the own queue.
                    let left = create_task(async { Ok(()) });
                    let _ = released.lock().recv();
                    left.await
                })
            })
            .collect();
        let light = (0..light)
            .map(|n| {
                create_task(async move {
                    sleep(Duration::from_micros(n as u64 % 700)).await?;
                    Ok(n)
                })
            })
            .collect::<Vec<_>>();
        let count = light.len();
        assert_eq!(
            count_good(light, &progress).await,
            count,
            "light tasks end while every worker is blocked"
        );
        drop(release);
        assert_eq!(count_good(stuck, &progress).await, blockers);
        Ok(())
    });
}

/// Polls of a few kinds, between nothing and some milliseconds long, in bursts: threads change their roles
/// all the time. Light tasks, timers and cancellations beside them.
fn demotions(weather: &mut Weather<'_>) {
    /// Computes once for each length, in microseconds. Each `KIND` has a record of its own.
    async fn computes<const KIND: u64>(lengths: Vec<u64>) -> Result<usize> {
        for &length in &lengths {
            let began = Instant::now();
            while began.elapsed() < Duration::from_micros(length) {
                std::hint::black_box(KIND);
            }
            sleep(Duration::from_micros(length % 7)).await?;
        }
        Ok(lengths.len())
    }
    let bursts: Vec<Vec<Vec<u64>>> = (0..weather.between(1, 8))
        .map(|_| {
            let longest = [100, 1_500, 5_000][weather.between(0, 2)];
            let mut task =
                || (0..weather.between(1, 4)).map(|_| weather.between(0, longest) as u64).collect();
            (0..60 / SCALE).map(|_| task()).collect()
        })
        .collect();
    weather.on_a_loop(move |event_loop, progress| async move {
        for burst in bursts {
            let count = burst.len();
            let mut tasks = Vec::new();
            for lengths in burst {
                tasks.push(match lengths[0] % 3 {
                    0 => create_task(computes::<0>(lengths)),
                    1 => create_task(computes::<1>(lengths)),
                    _ => create_task(computes::<2>(lengths)),
                });
            }
            let cancelled: Vec<_> = (0..20).map(|_| create_task(computes::<3>(vec![300; 5]))).collect();
            let light = (0..200)
                .map(|n| {
                    create_task(async move {
                        sleep(Duration::from_micros(n % 700)).await?;
                        Ok(n as usize)
                    })
                })
                .collect();
            assert_eq!(count_good(light, &progress).await, 200);
            for task in &cancelled {
                task.cancel();
            }
            assert_eq!(count_good(tasks, &progress).await, count);
            wait(cancelled).await?;
            let metrics = event_loop.metrics();
            // Eight for each of four workers, and those that keep the usual niceness for a while.
            assert!(metrics.computing_threads <= 36, "{metrics:?}");
        }
        Ok(())
    });
}

/// Loops that begin and end side by side, some of them with tasks that still sleep.
fn runtimes(weather: &mut Weather<'_>) {
    let (threads, times) = (weather.between(1, 6), weather.between(5, 60 / SCALE.min(4)));
    let (progress, drops) = (weather.progress(), Drops::new());
    thread::scope(|scope| {
        for n in 0..threads {
            let (progress, drops) = (progress.clone(), drops.clone());
            scope.spawn(move || {
                for _ in 0..times {
                    let guard = drops.counted();
                    let runner = selvedge::Runner::builder().workers(1 + n % 3).build();
                    let ended = runner.expect("threads can be started").run(async move {
                        drop(create_task(async move {
                            let _guard = guard;
                            sleep(Duration::MAX).await
                        }));
                        gather((0..8).map(|_| sleep(Duration::ZERO)).collect::<Vec<_>>()).await
                    });
                    assert!(ended.is_ok(), "{ended:?}");
                    progress.made();
                }
            });
        }
    });
    assert_eq!(drops.count(), threads * times);
}

/// Timers that fire, are dropped, and race with the operations that they guard.
fn timers(weather: &mut Weather<'_>) {
    let (tasks, salt) = (weather.between(500 / SCALE, 5_000 / SCALE), weather.next());
    weather.on_a_loop(move |_, progress| async move {
        let all: Vec<_> = (0..tasks)
            .map(|n| {
                create_task(async move {
                    let mut state = salt ^ (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                    let mut fired = 0;
                    for _ in 0..10 {
                        state ^= state << 13;
                        state ^= state >> 7;
                        state ^= state << 17;
                        let (nap, limit) = (state % 2_000, (state >> 32) % 2_000);
                        let began = std::time::Instant::now();
                        let ended =
                            wait_for(sleep(Duration::from_micros(nap)), Duration::from_micros(limit)).await;
                        assert!(began.elapsed() >= Duration::from_micros(nap.min(limit)), "too early");
                        match ended {
                            Ok(()) => fired += 1,
                            Err(error) if error.is_timeout() => {}
                            Err(error) => return Err(error),
                        }
                    }
                    Ok(fired)
                })
            })
            .collect();
        assert_eq!(count_good(all, &progress).await, tasks);
        Ok(())
    });
}

/// Threads that wait for coroutines, give up, and cancel them: each thread that gets a result gets
/// the right one.
fn threadsafe(weather: &mut Weather<'_>) {
    let (threads, times, salt) = (weather.between(1, 4), weather.between(100, 2_000 / SCALE), weather.next());
    weather.on_a_loop(move |event_loop, progress| async move {
        let askers: Vec<_> = (0..threads)
            .map(|thread| {
                let (event_loop, progress) = (event_loop.clone(), progress.clone());
                thread::spawn(move || {
                    (0..times).for_each(|n| ask(&event_loop, salt ^ (thread * times + n) as u64, &progress));
                })
            })
            .collect();
        for asker in askers {
            to_thread(move || asker.join()).await?.expect("every answer is right");
        }
        Ok(())
    });
}

fn ask(event_loop: &EventLoop, n: u64, progress: &Progress) {
    let nap = Duration::from_micros(n.wrapping_mul(0x9e37_79b9) % 200);
    let future = run_coroutine_threadsafe(sleep(nap).returning(n), event_loop);
    let cancelled = n.is_multiple_of(3) && future.cancel();
    match future.result(n.is_multiple_of(5).then_some(nap / 2)) {
        Ok(answer) => assert_eq!(answer, n),
        Err(error) => assert!(error.is_timeout() || (error.is_cancelled() && cancelled), "{error:?}"),
    }
    progress.made();
}

/// Groups of gathers under deadlines. Some of them fail.
fn mixed(weather: &mut Weather<'_>) {
    let (groups, salt, drops) = (weather.between(50 / SCALE, 500 / SCALE), weather.next(), Drops::new());
    let guards = drops.clone();
    weather.on_a_loop(move |_, progress| async move {
        let all: Vec<_> = (0..groups)
            .map(|n| {
                let (guards, progress) = (guards.clone(), progress.clone());
                create_task(async move { group(salt ^ n as u64, guards, progress).await })
            })
            .collect();
        assert_eq!(count_good(all, &progress).await, groups);
        Ok(())
    });
    assert_eq!(drops.count(), groups * 8 * 4);
}

async fn group(salt: u64, guards: Drops, progress: Progress) -> Result<()> {
    let mine = Drops::new();
    let limit = Duration::from_micros(salt.wrapping_mul(0x9e37_79b9) % 3_000);
    let _ = timeout(limit, async |_| {
        task_group(async |tg| {
            for child in 0..8 {
                let sleeps: Vec<_> = (0..4)
                    .map(|n| {
                        let (guard, mine) = (guards.counted(), mine.counted());
                        let nap = Duration::from_micros((salt >> (4 * n)) % 2_000);
                        async move {
                            let _guards = (guard, mine);
                            sleep(nap).await?;
                            if (salt + child).is_multiple_of(61) {
                                Err(selvedge::Error::msg("on purpose"))
                            } else {
                                Ok(())
                            }
                        }
                    })
                    .collect();
                // `return_exceptions` waits for all four children; a plain gather would end with
                // the first error and leave the others running. The gather begins inside the
                // member: a member that is cancelled before its first step has started no child.
                tg.create_task(async move {
                    gather(sleeps).return_exceptions().await?.into_iter().collect::<Result<Vec<()>>>()
                });
            }
            Ok(())
        })
        .await
    })
    .await;
    assert_eq!(mine.count(), 8 * 4, "a group ended before its children");
    progress.made();
    Ok(())
}

/// Random programs: see [`lifecycle`].
fn programs(weather: &mut Weather<'_>) {
    let progress = weather.progress();
    for _ in 0..200 / SCALE {
        let bytes: Vec<u8> = (0..weather.between(1, 200)).map(|_| (weather.next() >> 24) as u8).collect();
        let settings = Settings { workers: weather.between(1, 4), virtual_time: weather.next() >> 63 == 0 };
        lifecycle::run(lifecycle::decode(&bytes), settings);
        progress.made();
    }
}

/// Never ends.
fn stuck(weather: &mut Weather<'_>) {
    weather.on_a_loop(|_, _| async {
        create_task(async {
            crate::foreign().await;
            Ok(())
        })
        .named("waits for ever")
        .await
    });
}
