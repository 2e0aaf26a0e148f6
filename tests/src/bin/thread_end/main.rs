//! A program for `tests/thread_end.rs`: the values of a thread-local are made, used and dropped
//! while its thread ends.
//!
//! The first argument is the thread that ends (`foreign`, `main`, `worker`, `pool`). The second one
//! selects which thread-locals are destroyed first: the library's (`ours`) or the program's
//! (`theirs`). A third one names a single case. Each case prints a line when it has ended well. The
//! single argument `list` prints the names of all cases.

mod contexts;
mod loops;
mod sockets;
mod tasks;
mod waits;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context as PollContext, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use futures_lite::AsyncRead;
use selvedge::net::TcpStream;
use selvedge::task::Builder;
use selvedge::{
    Context, ContextVar, Error, EventLoop, Result, Runner, RunnerBuilder, run_coroutine_threadsafe,
};

const LONG: Duration = Duration::from_hours(1);

static VAR: ContextVar<u32> = ContextVar::new("var");

/// The runner whose loop is used after `main` has returned.
static LIVE: OnceLock<Runner> = OnceLock::new();

type Act = Box<dyn FnOnce()>;
type Pending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The environment of a case.
#[derive(Clone)]
struct Env {
    /// A loop that runs as long as the program does.
    live: EventLoop,
    closed: EventLoop,
    /// The loop of the thread that ends, or `live` if it has none.
    own: EventLoop,
    /// Whether the library's thread-locals are gone when the case runs.
    ours_first: bool,
    /// Whether the thread's own context is gone. The code of a worker runs in the contexts of its
    /// tasks, so a worker has no context of its own before its end.
    has_no_context: bool,
}

struct Case {
    name: String,
    prepare: Box<dyn Fn(&Env) -> Act>,
}

/// Runs its actions when it is dropped.
struct Kept(Vec<(String, Act)>);

impl Drop for Kept {
    fn drop(&mut self) {
        for (name, act) in std::mem::take(&mut self.0) {
            // A panic that leaves this destructor would end the process, and the other cases with
            // it.
            let ended = catch_unwind(AssertUnwindSafe(act));
            println!("{name}: {}", if ended.is_ok() { "fine" } else { "panicked" });
        }
        // If a thread is just starting when the process ends, the leak sanitizer reports it.
        if let Some(live) = LIVE.get() {
            live.close();
        }
    }
}

thread_local! {
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let mut cases = cases();
    let [thread, first, only @ ..] = arguments.as_slice() else {
        return cases.iter().for_each(|case| println!("{}", case.name));
    };
    cases.retain(|case| only.is_empty() || only.contains(&case.name));
    let ours_first = first == "ours";
    if thread == "main" && ours_first {
        // The first thread-local to be registered is the last to be destroyed.
        KEPT.with(|_| ());
    }
    let live = builder().build().expect("threads can be had");
    let closed = builder().build().expect("threads can be had").get_loop();
    let env = Env {
        own: live.get_loop(),
        live: live.get_loop(),
        closed,
        ours_first,
        has_no_context: ours_first && thread != "worker",
    };
    match thread.as_str() {
        "main" => {
            // Its loop is used after `main` has returned.
            assert!(LIVE.set(live).is_ok(), "there is one main thread");
            keep(&env, &cases);
        }
        "foreign" => {
            for name in cases.into_iter().map(|case| case.name) {
                let env = env.clone();
                thread::spawn(move || keep(&env, &named(&name))).join().expect("no panic");
            }
        }
        "worker" | "pool" => {
            let is_worker = thread == "worker";
            for name in cases.into_iter().map(|case| case.name) {
                let runner = builder().build().expect("threads can be had");
                let env = Env { own: runner.get_loop(), ..env.clone() };
                let step = async move {
                    let prepare = move || keep(&env, &named(&name));
                    if is_worker {
                        prepare();
                    } else {
                        in_pool(prepare).await?;
                    }
                    Ok(())
                };
                runner.run(step).expect("no panic");
                // Returns when the threads have ended, including their destructors.
                runner.close();
            }
        }
        _ => panic!("no such thread: {thread}"),
    }
}

async fn in_pool(prepare: impl FnOnce() + Send + 'static) -> Result<()> {
    selvedge::get_running_loop()?.run_in_executor(None, prepare).await
}

fn builder() -> RunnerBuilder {
    Runner::builder().workers(1).shutdown_timeout(Duration::from_secs(20))
}

fn named(name: &str) -> Vec<Case> {
    let mut cases = cases();
    cases.retain(|case| case.name == name);
    cases
}

/// Stores the cases, so that they run at the end of the calling thread.
fn keep(env: &Env, cases: &[Case]) {
    if env.ours_first {
        KEPT.with(|_| ());
        touch_ours(env);
    } else {
        touch_ours(env);
        KEPT.with(|_| ());
    }
    let acts = cases.iter().map(|case| (case.name.clone(), (case.prepare)(env))).collect();
    KEPT.with(|kept| kept.replace(Some(Kept(acts))));
}

/// Makes all thread-locals of the library that this thread may need.
fn touch_ours(env: &Env) {
    Context::new().run(|| VAR.set(0));
    // The thread's own context, or the task's context on a worker.
    VAR.set(1);
    drop(env.closed.create_task(async { Ok(()) }));
    drop(env.closed.create_task_with(Builder::new().eager_start(true), async { Ok(()) }));
    drop(env.live.create_task(async { Ok(()) }));
    if selvedge::get_running_loop().is_err() {
        run_coroutine_threadsafe(selvedge::sleep(Duration::from_millis(2)), &env.live)
            .result(None)
            .expect("it ends");
    }
    let (mut one, _other) = streams(env);
    poll_once(poll_fn(|cx| Pin::new(&mut one).poll_read(cx, &mut [0; 8])));
}

/// Adds four cases for an object: made and dropped, made and used, used, and dropped, each while
/// the thread ends.
fn object<T: 'static>(cases: &mut Vec<Case>, name: &str, make: fn(&Env) -> T, use_it: fn(&Env, T)) {
    let mut add = |manner: &str, prepare: Box<dyn Fn(&Env) -> Act>| {
        cases.push(Case { name: format!("{name} {manner}"), prepare });
    };
    add(
        "made",
        Box::new(move |env| {
            let env = env.clone();
            Box::new(move || drop(make(&env)))
        }),
    );
    add(
        "made and used",
        Box::new(move |env| {
            let env = env.clone();
            Box::new(move || use_it(&env, make(&env)))
        }),
    );
    add(
        "used",
        Box::new(move |env| {
            let (env, object) = (env.clone(), make(env));
            Box::new(move || use_it(&env, object))
        }),
    );
    add(
        "dropped",
        Box::new(move |env| {
            let object = make(env);
            Box::new(move || drop(object))
        }),
    );
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    tasks::tasks(&mut cases);
    tasks::futures(&mut cases);
    loops::loops(&mut cases);
    loops::blocking(&mut cases);
    contexts::contexts(&mut cases);
    contexts::value_that_panics(&mut cases);
    sockets::sockets(&mut cases);
    waits::waits(&mut cases);
    cases
}

async fn forever() -> Result<()> {
    selvedge::sleep(Duration::MAX).await
}

/// Runs a coroutine on the live loop, and returns its output.
fn on_loop<T: Send + 'static>(env: &Env, coro: impl Future<Output = Result<T>> + Send + 'static) -> T {
    let task = env.live.create_task(coro);
    wait_for(task).expect("it does not fail")
}

fn std_streams() -> (std::net::TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let one = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (one, listener.accept().unwrap().0)
}

fn streams(env: &Env) -> (TcpStream, TcpStream) {
    let (one, other) = std_streams();
    on_loop(env, async move {
        one.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        Ok::<_, Error>((TcpStream::from_std(one)?, TcpStream::from_std(other)?))
    })
}

fn poll_once<F: Future>(waits: F) {
    drop(pin!(waits).poll(&mut PollContext::from_waker(Waker::noop())));
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks the calling thread, with a waker that does not come from the library.
fn wait_for<F: Future>(waits: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut waits, mut cx) = (pin!(waits), PollContext::from_waker(&waker));
    loop {
        match waits.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
