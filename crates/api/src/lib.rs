//! A multi-threaded work-stealing executor with the shape of Python's asyncio.
//!
//! A **coroutine** is any future that returns [`selvedge::Result`](Result). Python raises; Rust
//! returns `Err`, and `?` is the unwinding. Cancellation is not a silent drop in the middle of an
//! await: [`Task::cancel`] makes the await at which the task is suspended return
//! `Err(CancelledError)`. The coroutine sees it as a value, runs its clean-up (which may await),
//! and passes it on with `?`, or refuses it.
//!
//! Write `use selvedge as asyncio` (or `use selvedge` as it is) and name things through it, as in
//! Python: `asyncio::sleep`. A glob import would hide names that every Rust program uses:
//! [`Result`], [`Future`], and the standard library's `Context` and `Error` where they are imported
//! too.
//!
//! ```
//! use std::time::Duration;
//!
//! use selvedge as asyncio;
//!
//! async fn cancel_me() -> asyncio::Result<()> {
//!     println!("cancel_me(): before sleep");
//!     let slept = asyncio::sleep(Duration::from_secs(3600)).await;
//!     if slept.as_ref().is_err_and(|e| e.is_cancelled()) {
//!         println!("cancel_me(): cancel sleep");
//!     }
//!     println!("cancel_me(): after sleep");
//!     slept
//! }
//!
//! #[selvedge::main]
//! async fn main() -> asyncio::Result<()> {
//!     let task = asyncio::create_task(cancel_me());
//!     asyncio::sleep(Duration::from_millis(10)).await?;
//!     task.cancel();
//!     if task.await.is_err_and(|e| e.is_cancelled()) {
//!         println!("main(): cancel_me is cancelled now");
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Features
//!
//! No feature is on by default.
//!
//! - `tokio-io`: the streams of [`net`] and their halves implement tokio's `AsyncRead` and
//!   `AsyncWrite`. It depends on `tokio`, without any of its features.
//! - `hyper`: the module `selvedge::hyper` with an executor and a timer for hyper; the streams of
//!   [`net`] and their halves implement hyper's `Read` and `Write`. It depends on `hyper`, without
//!   any of its features, and on what that needs: `http`, `http-body`, `bytes`, `tokio`.
//!
//! # Rust versions
//!
//! This crate and the crates that it is built on compile with Rust 1.85 and later. A release that
//! needs a later Rust raises the minor version and names the Rust version in the changelog. That
//! version is at least six months old.

// Imports run downwards only, and none of a row imports another of it (`tests/layers.rs` reads this
// and checks it):
//
// ```text
//  entry                                        what the attributes `main` and `test` call
//  runner/  streams/  hyper  signal_handlers    how a program starts, ends, serves, handles signals
//  net/  waiting/                               sockets; awaits of time and of other tasks
//  threads/  future  task_or_coroutine          blocking functions; results that are set by hand
//  callgraph/                                   which task awaits which, and where each stands
//  task/                                        a coroutine that runs on its own, and its result
//  event_loop/                                  the scheduler as asyncio's loop: callbacks, reports
//  leaf  start  context_var                     what an await does; held children; the current context
//  cancel/                                      how a request reaches an await
//  slot/  signal/                               what a task carries; the table of signal handlers
//  request/  context                            data: requests to stop, contexts
//  contain  coroutine                           calls of the user's code; what can become a task
//  error/
//  sync  time  capture
// ```
//
// Methods of `Task`, `TaskHandle` and `EventLoop` stand with what they need:
// `EventLoop::create_task` in `task/`, `create_future` in `future.rs`, `run_in_executor` in
// `threads/`, `add_signal_handler` in `signal_handlers.rs`, `get_stack` in `callgraph/`.

#![forbid(unsafe_code)]
// docs.rs shows which feature an item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_debug_implementations)]

#[doc(hidden)]
#[path = "entry.rs"]
pub mod __private;
#[cfg(doctest)]
mod pages;

mod callgraph;
mod cancel;
mod capture;
mod contain;
mod context;
mod context_var;
mod coroutine;
mod error;
mod event_loop;
mod future;
#[cfg(feature = "hyper")]
pub mod hyper;
mod leaf;
#[cfg(selvedge_loom)]
pub mod model;
pub mod net;
mod request;
mod runner;
#[cfg(unix)]
pub mod signal;
#[cfg(unix)]
mod signal_handlers;
mod slot;
mod start;
pub mod streams;
mod sync;
pub mod task;
mod task_or_coroutine;
mod threads;
mod time;
mod waiting;

pub use selvedge_macros::{main, test};

pub use self::callgraph::{
    Activity, AnyFuture, FrameCallGraphEntry, FutureCallGraph, capture_call_graph, format_call_graph,
    future_add_to_awaited_by, future_discard_from_awaited_by, print_call_graph,
};
pub use self::context::Context;
pub use self::context_var::{ContextVar, Token, copy_context};
pub use self::coroutine::Coroutine;
pub use self::error::{
    CancelledError, Error, ExceptionGroup, InvalidStateError, KeyboardInterrupt, PanicError, Result,
    RuntimeError, TimeoutError,
};
pub use self::event_loop::{
    EventLoop, ExceptionContext, Handle, Metrics, TimerHandle, WorkerMetrics, get_running_loop,
};
pub use self::future::Future;
pub use self::runner::{Runner, RunnerBuilder, run};
#[doc(inline)]
pub use self::streams::{
    IncompleteReadError, LimitOverrunError, open_connection, open_connection_on, start_server,
    start_server_on,
};
#[cfg(unix)]
#[doc(inline)]
pub use self::streams::{open_unix_connection, start_unix_server};
#[doc(inline)]
pub use self::task::{
    CallbackId, Task, TaskHandle, TaskId, all_tasks, create_task, current_task, try_create_task,
};
pub use self::task_or_coroutine::ensure_future;
pub use self::threads::{
    BlockingTask, ConcurrentFuture, ThreadPoolExecutor, ToThread, run_coroutine_threadsafe, to_thread,
};
pub use self::time::When;
pub use self::waiting::{
    ALL_COMPLETED, AsCompleted, Cancellable, FIRST_COMPLETED, FIRST_EXCEPTION, Gather, GatherInput,
    GatherResults, NextCompleted, ReturnWhen, Shield, ShieldRef, Sleep, TaskGroup, TaskGroupBlock, Timeout,
    TimeoutBlock, Wait, WaitFor, Waitable, as_completed, cancellable, gather, shield, sleep, task_group,
    timeout, timeout_at, wait, wait_for,
};
