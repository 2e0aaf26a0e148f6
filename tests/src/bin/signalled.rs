//! A program to which the tests in `tests/signals` send signals. The first argument selects how it
//! handles them.

#[cfg(unix)]
fn main() {
    let manner = std::env::args().nth(1).expect("a manner is given");
    let done = unix::program(&manner);
    println!("{}", if let Err(error) = done { format!("error: {error}") } else { "done".to_owned() });
}

#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
mod unix {
    use std::time::Duration;

    use selvedge::signal::{SIGHUP, SIGINT, SIGIO, SIGTERM, SIGUSR1};
    use selvedge::{Error, EventLoop, KeyboardInterrupt, Result, Runner, get_running_loop, sleep, to_thread};
    use signal_hook::low_level::raise;

    /// A real-time signal on Linux.
    const REAL_TIME: i32 = 40;

    pub(super) fn program(manner: &str) -> Result<()> {
        match manner {
            "removed" => selvedge::run(removed(SIGTERM)),
            "real-time" => selvedge::run(removed(REAL_TIME)),
            "io" => selvedge::run(removed(SIGIO)),
            "closed" => closed(),
            "slow drop" => slow_drop(),
            "stuck" => stuck(),
            "two loops" => two_loops(),
            "interrupted" => interrupted(),
            "during shutdown" => during_shutdown(),
            "during a function" => during_a_function(),
            "descriptors" => descriptors(),
            "no descriptors" => selvedge::run(no_descriptors()),
            _ => unreachable!("unknown manner"),
        }
    }

    fn wait_for_the_end() {
        println!("ready");
        std::thread::sleep(Duration::from_mins(1));
        println!("still alive");
    }

    /// Adds a handler, and returns the receiver of its calls.
    fn add(event_loop: &EventLoop, signal: i32) -> Result<async_channel::Receiver<()>> {
        let (called, calls) = async_channel::unbounded();
        event_loop.add_signal_handler(signal, move || called.try_send(()).expect("somebody counts"))?;
        Ok(calls)
    }

    async fn removed(signal: i32) -> Result<()> {
        let event_loop = get_running_loop()?;
        let calls = add(&event_loop, signal)?;
        raise(signal)?;
        calls.recv().await?;
        println!("called");
        assert!(event_loop.remove_signal_handler(signal)?);
        wait_for_the_end();
        Ok(())
    }

    fn closed() -> Result<()> {
        let runner = Runner::builder().workers(1).build()?;
        let _calls = add(&runner.get_loop(), SIGTERM)?;
        drop(runner);
        wait_for_the_end();
        Ok(())
    }

    struct Slow;

    impl Drop for Slow {
        fn drop(&mut self) {
            wait_for_the_end();
        }
    }

    /// Values that the handler for the smaller number has captured are dropped first.
    fn slow_drop() -> Result<()> {
        let runner = Runner::builder().workers(1).build()?;
        let (event_loop, slow) = (runner.get_loop(), Slow);
        event_loop.add_signal_handler(SIGHUP, move || {
            let _ = &slow;
        })?;
        let _calls = add(&event_loop, SIGTERM)?;
        runner.close();
        Ok(())
    }

    /// The handler does not return, so the coroutine that calls it does not return either.
    fn stuck() -> Result<()> {
        let (called, calls) = std::sync::mpsc::channel();
        let runner = Runner::builder().workers(1).shutdown_timeout(Duration::ZERO).build()?;
        runner.get_loop().add_signal_handler(SIGTERM, move || {
            called.send(()).expect("somebody waits");
            std::thread::sleep(Duration::MAX);
        })?;
        raise(SIGTERM)?;
        calls.recv()?;
        runner.close();
        wait_for_the_end();
        Ok(())
    }

    /// The second loop does not undo what the first one does.
    fn two_loops() -> Result<()> {
        let one = Runner::builder().workers(1).build()?;
        let other = Runner::builder().workers(1).build()?;
        let (calls_of_one, calls_of_other) =
            (add(&one.get_loop(), SIGTERM)?, add(&other.get_loop(), SIGTERM)?);
        raise(SIGTERM)?;
        calls_of_one.recv_blocking()?;
        calls_of_other.recv_blocking()?;
        println!("both called");
        assert!(one.get_loop().remove_signal_handler(SIGTERM)?);
        raise(SIGTERM)?;
        calls_of_other.recv_blocking()?;
        println!("the other called");
        other.close();
        wait_for_the_end();
        Ok(())
    }

    /// The handler removes itself at the second Ctrl-C.
    fn interrupted() -> Result<()> {
        let ended = selvedge::run(async {
            let event_loop = get_running_loop()?;
            let calls = add(&event_loop, SIGINT)?;
            println!("ready");
            calls.recv().await?;
            println!("handled");
            calls.recv().await?;
            println!("handled again");
            assert!(event_loop.remove_signal_handler(SIGINT)?);
            println!("given back");
            let slept = sleep(Duration::MAX).await;
            println!("told");
            slept
        });
        match ended {
            Err(error) if error.is::<KeyboardInterrupt>() => {
                println!("interrupted");
                Ok(())
            }
            ended => ended,
        }
    }

    /// A Ctrl-C during the shutdown of the other tasks is delivered to the handler, too, and does
    /// not end the program.
    fn during_shutdown() -> Result<()> {
        selvedge::run(async {
            let event_loop = get_running_loop()?;
            let calls = add(&event_loop, SIGINT)?;
            let rest = async move {
                sleep(Duration::MAX).await.expect_err("it is cancelled");
                println!("ready");
                calls.recv().await?;
                println!("handled");
                Ok(())
            };
            drop(selvedge::create_task(rest));
            sleep(Duration::ZERO).await
        })
    }

    /// The function raises the signal, and waits for the call, long after the end of main.
    fn during_a_function() -> Result<()> {
        selvedge::run(async {
            let calls = add(&get_running_loop()?, SIGTERM)?;
            let (began, has_begun) = async_channel::bounded(1);
            let function = to_thread(move || {
                began.send_blocking(())?;
                for _ in 0..1000 {
                    raise(SIGTERM)?;
                    calls.recv_blocking()?;
                }
                println!("saved");
                Ok::<_, Error>(())
            });
            drop(selvedge::create_task(function));
            has_begun.recv().await?;
            Ok(())
        })
    }

    fn descriptors() -> Result<()> {
        let count = || std::fs::read_dir("/proc/self/fd").map(Iterator::count);
        let before = count()?;
        let runner = Runner::builder().workers(2).build()?;
        let event_loop = runner.get_loop();
        let add = || event_loop.add_signal_handler(SIGUSR1, || ());
        add()?;
        let with_one = count()?;
        for _ in 0..1000 {
            add()?;
            assert!(event_loop.remove_signal_handler(SIGUSR1)?);
        }
        add()?;
        println!("{} more", count()? - with_one);
        drop((runner, event_loop));
        println!("{} left", count()? - before);
        Ok(())
    }

    /// Every step that needs a descriptor fails once, and the handler that is added at last is
    /// called.
    async fn no_descriptors() -> Result<()> {
        let event_loop = get_running_loop()?;
        // The descriptors that the loop itself needs for its first socket.
        drop(selvedge::net::UnixStream::pair()?);
        let mut taken = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            taken.push(file);
        }
        let mut refused = 0;
        let calls = loop {
            match add(&event_loop, SIGUSR1) {
                Ok(calls) => break calls,
                Err(error) => assert!(error.is::<std::io::Error>(), "{error}"),
            }
            refused += 1;
            taken.pop().expect("with some descriptors it works");
        };
        raise(SIGUSR1)?;
        calls.recv().await?;
        println!("refused {refused} times, then called");
        // The default action of the signal was read while there were no free descriptors.
        assert!(event_loop.remove_signal_handler(SIGUSR1)?);
        wait_for_the_end();
        Ok(())
    }
}
