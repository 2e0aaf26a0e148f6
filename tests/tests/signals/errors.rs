//! Which signals and loops are refused for a handler?

use selvedge::signal::SIGTERM;
use selvedge::{EventLoop, Result, Runner, RuntimeError, get_running_loop};
use selvedge_tests::Drops;
use signal_hook::consts::{SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGSTOP};

/// Returns the error's text, and checks that the handler's captured values are dropped.
#[track_caller]
fn refused(event_loop: &EventLoop, signal: i32) -> String {
    let drops = Drops::new();
    let captured = drops.counted();
    let added = event_loop.add_signal_handler(signal, move || {
        let _ = &captured;
    });
    assert_eq!(drops.count(), 1);
    let error = added.expect_err("it is refused");
    assert!(error.is::<RuntimeError>(), "{error:?}");
    error.to_string()
}

#[selvedge::test(workers = 1)]
async fn signals_that_cannot_be_caught() -> Result<()> {
    let event_loop = get_running_loop()?;
    for signal in [SIGKILL, SIGSTOP, SIGSEGV, SIGILL, SIGFPE] {
        assert_eq!(refused(&event_loop, signal), format!("sig {signal} cannot be caught"));
        assert!(!event_loop.remove_signal_handler(signal)?, "it is a signal all the same");
    }
    Ok(())
}

#[selvedge::test(workers = 1)]
async fn numbers_that_are_no_signal() -> Result<()> {
    let event_loop = get_running_loop()?;
    for number in [0, -1, i32::MIN, i32::MAX, 129] {
        let message = format!("invalid signal number {number}");
        assert_eq!(refused(&event_loop, number), message);
        let removed = event_loop.remove_signal_handler(number);
        let error = removed.expect_err("it is refused");
        assert!(error.is::<RuntimeError>() && error.to_string() == message, "{error:?}");
    }
    // The C library reserves this signal for itself.
    if cfg!(all(target_os = "linux", target_env = "gnu")) {
        assert_eq!(refused(&event_loop, 32), "invalid signal number 32");
    }
    Ok(())
}

#[test]
fn a_closed_loop() -> Result<()> {
    let runner = Runner::builder().workers(1).build()?;
    let event_loop = runner.get_loop();
    event_loop.add_signal_handler(SIGTERM, || ())?;
    runner.close();
    assert_eq!(refused(&event_loop, SIGTERM), "Event loop is closed");
    assert!(!event_loop.remove_signal_handler(SIGTERM)?);

    let runner = Runner::builder().workers(1).build()?;
    let without_any = runner.get_loop();
    drop(runner);
    assert_eq!(refused(&without_any, SIGTERM), "Event loop is closed");
    Ok(())
}
