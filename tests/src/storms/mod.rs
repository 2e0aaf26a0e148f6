//! What is a storm? A storm starts one or more loops, repeats one operation very often from many
//! threads, and checks that nothing was lost.

mod catalogue;
mod watchdog;

pub use catalogue::STORMS;
pub use watchdog::Watchdog;

use std::sync::Arc;

use selvedge::{EventLoop, Result, Runner};

/// A stress test of one operation.
pub struct Storm {
    /// The name for `--only` and for the output.
    pub name: &'static str,
    run: fn(&mut Weather<'_>),
}

impl Storm {
    /// Runs the storm. The seed decides everything except the order of the threads.
    ///
    /// # Panics
    ///
    /// If something was lost.
    pub fn blow(&self, seed: u64, watchdog: &Watchdog) {
        watchdog.begins(self.name, seed);
        // A state of zero would stay zero.
        (self.run)(&mut Weather { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, watchdog });
        watchdog.ends();
    }
}

/// The random numbers and the watchdog of a storm.
struct Weather<'a> {
    state: u64,
    watchdog: &'a Watchdog,
}

impl Weather<'_> {
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// A random number from `least` to `most`.
    fn between(&mut self, least: u64, most: u64) -> usize {
        (least + (self.next() >> 16) % (most - least + 1)) as usize
    }

    /// Runs `main` on a loop of one to four workers. No task may be left at the end.
    fn on_a_loop<F>(&mut self, main: impl FnOnce(EventLoop, Progress) -> F)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let runner = Runner::builder().workers(self.between(1, 4)).build().expect("threads can be started");
        let event_loop = runner.get_loop();
        event_loop.set_exception_handler(|_, _| ());
        self.watchdog.looks_at(&event_loop);
        let progress = self.progress();
        runner.run(main(event_loop.clone(), progress)).expect("the storm ends well");
        runner.close();
        assert_eq!(event_loop.all_tasks(), [], "tasks live on");
    }

    fn progress(&self) -> Progress {
        self.watchdog.progress()
    }
}

/// Reports progress to the watchdog.
#[derive(Clone)]
struct Progress(Arc<std::sync::atomic::AtomicU64>);

impl Progress {
    fn made(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}
