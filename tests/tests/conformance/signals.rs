//! Do the loop's signal handlers behave as asyncio's?
//!
//! Signals belong to the process, and `cargo test` runs scenarios side by side in one process. So
//! the scenarios take turns, and a turn lasts as long as its handlers do.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use selvedge::signal::{SIGINT, SIGUSR1, SIGUSR2};
use selvedge::{ContextVar, EventLoop, Result, get_running_loop};
use signal_hook::low_level::raise;

use crate::check::conformance;
use crate::trace::Trace;
use crate::{ms, pause};

static VAR: ContextVar<u32> = ContextVar::new("var");

static IS_TAKEN: Mutex<bool> = Mutex::new(false);
static GIVEN_BACK: Condvar = Condvar::new();

/// Shared by a scenario and its handlers.
struct Turn;

impl Turn {
    fn take() -> Arc<Turn> {
        let mut is_taken = IS_TAKEN.lock();
        while *is_taken {
            GIVEN_BACK.wait(&mut is_taken);
        }
        *is_taken = true;
        Arc::new(Turn)
    }

    fn add(self: &Arc<Turn>, signal: i32, handler: impl Fn() + Send + Sync + 'static) -> Result<()> {
        let turn = Arc::clone(self);
        this_loop().add_signal_handler(signal, move || {
            let _ = &turn;
            handler();
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *IS_TAKEN.lock() = false;
        GIVEN_BACK.notify_one();
    }
}

fn this_loop() -> EventLoop {
    get_running_loop().expect("scenarios run in a loop")
}

async fn a_signal_calls_its_handler(t: Trace) -> Result<()> {
    let turn = Turn::take();
    turn.add(SIGUSR1, move || t.tell("called"))?;
    for _ in 0..2 {
        raise(SIGUSR1)?;
        t.tell("raised");
        pause(1).await?;
    }
    Ok(())
}

async fn a_handler_is_called_while_the_loop_sleeps(t: Trace) -> Result<()> {
    let turn = Turn::take();
    turn.add(SIGUSR1, move || t.tell("called"))?;
    this_loop().call_later(ms(10), || raise(SIGUSR1).expect("it is a signal"));
    pause(20).await?;
    t.tell("slept");
    Ok(())
}

async fn each_signal_has_its_own_handler(t: Trace) -> Result<()> {
    let turn = Turn::take();
    turn.add(SIGUSR1, move || t.tell("first"))?;
    turn.add(SIGUSR2, move || t.tell("second"))?;
    raise(SIGUSR2)?;
    pause(1).await?;
    raise(SIGUSR1)?;
    pause(1).await
}

async fn a_second_handler_replaces_the_first(t: Trace) -> Result<()> {
    let turn = Turn::take();
    turn.add(SIGUSR1, move || t.tell("first"))?;
    turn.add(SIGUSR1, move || t.tell("second"))?;
    raise(SIGUSR1)?;
    pause(1).await
}

async fn removing_tells_whether_there_was_one(t: Trace) -> Result<()> {
    let turn = Turn::take();
    t.value("before", this_loop().remove_signal_handler(SIGUSR1)?);
    turn.add(SIGUSR1, move || t.tell("called"))?;
    t.value("there", this_loop().remove_signal_handler(SIGUSR1)?);
    t.value("again", this_loop().remove_signal_handler(SIGUSR1)?);
    Ok(())
}

async fn a_handler_removes_itself(t: Trace) -> Result<()> {
    let turn = Turn::take();
    turn.add(SIGUSR1, move || t.result("removed", &this_loop().remove_signal_handler(SIGUSR1)))?;
    raise(SIGUSR1)?;
    pause(1).await?;
    t.value("again", this_loop().remove_signal_handler(SIGUSR1)?);
    Ok(())
}

async fn some_signals_cannot_be_caught(t: Trace) -> Result<()> {
    for number in [9, 19, 0, -1, 1000] {
        let added = this_loop().add_signal_handler(number, move || t.tell("called"));
        t.result(&format!("add {number}"), &added);
    }
    Ok(())
}

async fn removing_what_cannot_be_there(t: Trace) -> Result<()> {
    for number in [9, 0, -1, 1000] {
        t.result(&format!("remove {number}"), &this_loop().remove_signal_handler(number));
    }
    Ok(())
}

async fn a_handler_that_fails_is_reported_and_stays(t: Trace) -> Result<()> {
    let turn = Turn::take();
    turn.add(SIGUSR1, move || {
        t.tell("called");
        std::panic::resume_unwind(Box::new("broken"));
    })?;
    for _ in 0..2 {
        raise(SIGUSR1)?;
        pause(1).await?;
    }
    Ok(())
}

async fn a_handler_runs_in_a_copy_of_the_context(t: Trace) -> Result<()> {
    let turn = Turn::take();
    VAR.set(1);
    turn.add(SIGUSR1, move || {
        t.value("sees", VAR.get().unwrap_or(0));
        VAR.set(3);
    })?;
    VAR.set(2);
    for _ in 0..2 {
        raise(SIGUSR1)?;
        pause(1).await?;
    }
    t.value("task sees", VAR.get().unwrap_or(0));
    Ok(())
}

/// Tests do not run on the main thread, where `run` also listens for Ctrl-C. `tests/signals` covers
/// that.
async fn a_handler_takes_ctrl_c_from_run(t: Trace) -> Result<()> {
    let turn = Turn::take();
    turn.add(SIGINT, move || t.tell("called"))?;
    raise(SIGINT)?;
    pause(1).await?;
    t.tell("main goes on");
    Ok(())
}

conformance! {
    "signals";
    same: [
        a_signal_calls_its_handler, a_handler_is_called_while_the_loop_sleeps, each_signal_has_its_own_handler,
        a_second_handler_replaces_the_first, removing_tells_whether_there_was_one, a_handler_removes_itself,
        some_signals_cannot_be_caught, removing_what_cannot_be_there,
        a_handler_that_fails_is_reported_and_stays, a_handler_runs_in_a_copy_of_the_context,
        a_handler_takes_ctrl_c_from_run,
    ]
    alone: []
    better: []
    whenever: [
        removing_tells_whether_there_was_one, some_signals_cannot_be_caught, removing_what_cannot_be_there,
    ]
}
