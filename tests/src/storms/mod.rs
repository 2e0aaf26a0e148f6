//! Stampedes: each storm starts a loop or more, does one thing very often from many sides, and counts that nothing was lost.

mod catalogue;
mod watchdog;

pub use catalogue::STORMS;
pub use watchdog::Watchdog;

use std::sync::Arc;

use selvedge::{EventLoop, Result, Runner};

/// A stampede.
pub struct Storm {
    /// For `--only`, and in the output.
    pub name: &'static str,
    run: fn(&mut Weather<'_>),
}

impl Storm {
    /// Runs it once. The seed decides everything that the threads do not.
    ///
    /// # Panics
    ///
    /// If something was lost.
    pub fn blow(&self, seed: u64, watchdog: &Watchdog) {
        watchdog.begins(self.name, seed);
        // A seed that is zero would stay zero.
        (self.run)(&mut Weather { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, watchdog });
        watchdog.ends();
    }
}

/// What a storm has at hand.
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

    /// From `least` to `most`.
    fn between(&mut self, least: u64, most: u64) -> usize {
        (least + (self.next() >> 16) % (most - least + 1)) as usize
    }

    /// Runs `main` on a loop of one to four workers; nothing may be left.
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

/// Tells the watchdog that something got done.
#[derive(Clone)]
struct Progress(Arc<std::sync::atomic::AtomicU64>);

impl Progress {
    fn made(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}
