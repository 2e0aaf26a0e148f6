//! Which handler is called when a signal arrives?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_channel::{Receiver, Sender, unbounded};
use selvedge::signal::{
    SIGALRM, SIGHUP, SIGIO, SIGPIPE, SIGPROF, SIGQUIT, SIGTTIN, SIGTTOU, SIGURG, SIGUSR1, SIGUSR2, SIGVTALRM,
    SIGWINCH, SIGXCPU, SIGXFSZ,
};
use selvedge::{ContextVar, Error, PanicError, Result, Runner, get_running_loop, sleep, to_thread, wait_for};
use selvedge_tests::{Drops, LONG, Reports};
use signal_hook::low_level::raise;

/// A call that does not come within this time counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

fn tell<T: Send + 'static>(calls: &Sender<T>, value: T) {
    calls.try_send(value).expect("the test listens");
}

async fn next<T: Send + 'static>(calls: &Receiver<T>) -> Result<T> {
    wait_for(async { Ok(calls.recv().await?) }, PATIENCE).await
}

#[selvedge::test(workers = 2)]
async fn each_signal_is_a_call() -> Result<()> {
    let (called, calls) = unbounded();
    let event_loop = get_running_loop()?;
    event_loop.add_signal_handler(SIGUSR1, move || tell(&called, selvedge::get_running_loop()))?;
    for _ in 0..100 {
        raise(SIGUSR1)?;
        assert_eq!(next(&calls).await??, event_loop, "it is called in the loop");
    }
    assert!(calls.is_empty());
    Ok(())
}

/// With one worker no handler is called before main waits, so all signals have arrived together.
#[selvedge::test(workers = 1)]
async fn signals_of_several_kinds_are_told_apart() -> Result<()> {
    let (called, calls) = unbounded();
    let event_loop = get_running_loop()?;
    for signal in [SIGTTIN, SIGTTOU] {
        let called = called.clone();
        event_loop.add_signal_handler(signal, move || tell(&called, signal))?;
    }
    for expected in [&[SIGTTIN][..], &[SIGTTOU], &[SIGTTIN, SIGTTOU]] {
        for &signal in expected {
            raise(signal)?;
        }
        for &signal in expected {
            assert_eq!(next(&calls).await?, signal);
        }
        assert!(calls.is_empty());
    }
    Ok(())
}

/// A signal whose handler has not been called yet is delivered to the new handler.
#[selvedge::test(workers = 1)]
async fn a_second_handler_replaces_the_first() -> Result<()> {
    let (called, calls) = unbounded();
    let (drops, event_loop) = (Drops::new(), get_running_loop()?);
    let captured = drops.counted();
    event_loop.add_signal_handler(SIGUSR2, move || {
        let _ = &captured;
        unreachable!("it was replaced");
    })?;
    raise(SIGUSR2)?;
    event_loop.add_signal_handler(SIGUSR2, move || tell(&called, ()))?;
    assert_eq!(drops.count(), 1);
    next(&calls).await?;
    raise(SIGUSR2)?;
    next(&calls).await?;
    assert!(event_loop.remove_signal_handler(SIGUSR2)?);
    assert!(!event_loop.remove_signal_handler(SIGUSR2)?, "there is one handler, not a stack");
    Ok(())
}

/// Rust programs start with this signal ignored.
#[selvedge::test(workers = 1)]
async fn a_removed_handler_is_not_called_and_one_that_is_added_again_is() -> Result<()> {
    let (called, calls) = unbounded();
    let event_loop = get_running_loop()?;
    assert!(!event_loop.remove_signal_handler(SIGPIPE)?);
    for round in 0..3 {
        let called = called.clone();
        event_loop.add_signal_handler(SIGPIPE, move || tell(&called, round))?;
        raise(SIGPIPE)?;
        assert_eq!(next(&calls).await?, round);
        assert!(event_loop.remove_signal_handler(SIGPIPE)?);
        raise(SIGPIPE)?;
    }
    // A call for the signal that was raised last would come before this one.
    event_loop.add_signal_handler(SIGPIPE, move || tell(&called, 3))?;
    raise(SIGPIPE)?;
    assert_eq!(next(&calls).await?, 3);
    assert!(calls.is_empty());
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_handler_may_remove_itself() -> Result<()> {
    let (called, calls) = unbounded();
    let (drops, event_loop) = (Drops::new(), get_running_loop()?);
    let (captured, handlers, seen) = (drops.counted(), event_loop.clone(), drops.clone());
    event_loop.add_signal_handler(SIGXFSZ, move || {
        let _ = &captured;
        let removed = handlers.remove_signal_handler(SIGXFSZ);
        tell(&called, (removed, seen.count()));
    })?;
    raise(SIGXFSZ)?;
    let (removed, dropped_in_the_call) = next(&calls).await?;
    assert!(removed?);
    assert_eq!(dropped_in_the_call, 0, "what it captured outlives the call");
    assert!(calls.recv().await.is_err(), "and goes with it");
    assert_eq!(drops.count(), 1);
    Ok(())
}

#[test]
fn each_loop_has_its_own() -> Result<()> {
    let (called, calls) = unbounded();
    let runners = [Runner::builder().workers(1).build()?, Runner::builder().workers(2).build()?];
    let add = |n: usize| {
        let called = called.clone();
        runners[n].get_loop().add_signal_handler(SIGHUP, move || tell(&called, n))
    };
    let called_are = |expected: &[usize]| -> Result<()> {
        raise(SIGHUP)?;
        let mut told = Vec::new();
        for _ in expected {
            told.push(runners[0].run({
                let calls = calls.clone();
                async move { next(&calls).await }
            })?);
        }
        told.sort_unstable();
        assert_eq!(told, expected);
        assert!(calls.is_empty());
        Ok(())
    };
    add(0)?;
    called_are(&[0])?;
    add(1)?;
    called_are(&[0, 1])?;
    assert!(runners[0].get_loop().remove_signal_handler(SIGHUP)?);
    called_are(&[1])?;
    add(0)?;
    runners[1].close();
    called_are(&[0])
}

#[test]
fn any_thread_may_add_one() -> Result<()> {
    let runner = Runner::builder().workers(1).build()?;
    let (event_loop, (called, calls)) = (runner.get_loop(), unbounded());
    let adding = std::thread::spawn(move || {
        event_loop.add_signal_handler(SIGURG, move || tell(&called, std::thread::current().id()))?;
        // Raised at once: the loop may not have begun to read its end of the pair.
        raise(SIGURG)?;
        Ok::<_, Error>(std::thread::current().id())
    });
    let adder = adding.join().expect("it does not panic")?;
    let worker = runner.run(async move { next(&calls).await })?;
    assert!(worker != adder && worker != std::thread::current().id());
    Ok(())
}

static VAR: ContextVar<u32> = ContextVar::new("var");

/// As with a callback of the loop: the context is a copy, which the calls share.
#[selvedge::test(workers = 2)]
async fn it_runs_in_the_context_of_the_call_that_added_it() -> Result<()> {
    let (called, calls) = unbounded();
    VAR.set(1);
    get_running_loop()?.add_signal_handler(SIGPROF, move || {
        tell(&called, VAR.get());
        VAR.set(3);
    })?;
    VAR.set(2);
    raise(SIGPROF)?;
    assert_eq!(next(&calls).await?, Some(1));
    raise(SIGPROF)?;
    assert_eq!(next(&calls).await?, Some(3));
    assert_eq!(VAR.get(), Some(2));
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_panic_is_reported_and_the_handler_stays() -> Result<()> {
    let (called, calls) = unbounded();
    let event_loop = get_running_loop()?;
    let reports = Reports::of(&event_loop);
    event_loop.set_exception_handler({
        let reports = reports.clone();
        move |_, context| {
            reports.note(context);
            tell(&called, context.exception().is_some_and(Error::is::<PanicError>));
        }
    });
    event_loop.add_signal_handler(SIGVTALRM, || std::panic::resume_unwind(Box::new("broken")))?;
    for _ in 0..2 {
        raise(SIGVTALRM)?;
        assert!(next(&calls).await?, "the report has the panic");
    }
    assert_eq!(reports.messages(), ["Exception in callback", "Exception in callback"]);
    Ok(())
}

#[selvedge::test(workers = 2, virtual_time)]
async fn a_handler_that_waits_does_not_hold_the_clock() -> Result<()> {
    let (called, calls) = unbounded();
    get_running_loop()?.add_signal_handler(SIGXCPU, move || tell(&called, ()))?;
    sleep(LONG).await?;
    assert!(calls.is_empty());
    raise(SIGXCPU)?;
    next(&calls).await
}

/// Other handlers are served meanwhile, and the last signal is not lost.
#[selvedge::test(workers = 1)]
async fn a_storm_hangs_and_kills_nobody() -> Result<()> {
    const STORM: usize = 10_000;
    let count = Arc::new(AtomicUsize::new(0));
    let (called, calls) = unbounded();
    let counts = Arc::clone(&count);
    get_running_loop()?.add_signal_handler(SIGIO, move || {
        counts.fetch_add(1, Ordering::SeqCst);
        let _ = called.try_send(());
    })?;
    let storm = to_thread(|| (0..STORM).try_for_each(|_| raise(SIGIO)));
    storm.await??;
    next(&calls).await?;
    while calls.try_recv().is_ok() {}
    assert!((1..=STORM).contains(&count.load(Ordering::SeqCst)));
    // The handler still works.
    raise(SIGIO)?;
    next(&calls).await?;
    Ok(())
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new("broken"));
    }
}

/// The two panics come one after the other: two at once would end the process.
#[selvedge::test(workers = 1)]
async fn a_handler_may_remove_itself_and_panic_and_what_it_captured_may_panic() -> Result<()> {
    let (told, reports) = unbounded();
    let event_loop = get_running_loop()?;
    event_loop.set_exception_handler(move |_, context| {
        let exception = context.exception().map(ToString::to_string);
        told.try_send((context.message().to_owned(), exception)).expect("the test listens");
    });
    let (handlers, bomb) = (event_loop.clone(), Bomb);
    event_loop.add_signal_handler(SIGQUIT, move || {
        let _ = &bomb;
        assert!(handlers.remove_signal_handler(SIGQUIT).is_ok_and(|removed| removed));
        std::panic::resume_unwind(Box::new("called"));
    })?;
    raise(SIGQUIT)?;
    for panic in ["called", "broken"] {
        let report = next(&reports).await?;
        assert_eq!(report, ("Exception in callback".to_owned(), Some(panic.to_owned())));
    }
    Ok(())
}

/// A captured value that panics in its drop does not prevent the drop of the others.
#[test]
fn what_handlers_captured_goes_with_the_loop() -> Result<()> {
    let drops = Drops::new();
    let runner = Runner::builder().workers(1).build()?;
    let bomb = Bomb;
    let event_loop = runner.get_loop();
    event_loop.add_signal_handler(SIGALRM, move || {
        let _ = &bomb;
    })?;
    let captured = (drops.counted(), event_loop.clone());
    event_loop.add_signal_handler(SIGWINCH, move || {
        let _ = &captured;
    })?;
    runner.close();
    assert_eq!(drops.count(), 1);
    assert!(!event_loop.remove_signal_handler(SIGWINCH)?);
    Ok(())
}
