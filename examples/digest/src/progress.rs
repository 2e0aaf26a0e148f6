//! How much of the work is done? A bar on a terminal, or a line now and then when stderr is not a
//! terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{DecimalBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The time between two lines: short enough to show that the program is alive, long enough for a
/// log.
const LINE_EVERY: Duration = Duration::from_secs(2);

const WHILE_FINDING: &str = "{msg}";
const WHILE_DIGESTING: &str =
    "{wide_bar} {percent:>3} %  {decimal_bytes} of {decimal_total_bytes}, {msg}, {eta} left";

pub(crate) struct Progress {
    /// Counts bytes in every mode; hidden unless stderr is a terminal.
    bar: ProgressBar,
    files: AtomicU64,
    files_done: AtomicU64,
    lines: bool,
}

impl Progress {
    pub(crate) fn new(wanted: bool) -> Progress {
        let terminal = io::stderr().is_terminal();
        let target =
            if wanted && terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target).with_style(style(WHILE_FINDING));
        Progress { bar, files: AtomicU64::new(0), files_done: AtomicU64::new(0), lines: wanted && !terminal }
    }

    /// Shows how many files the walk has found.
    pub(crate) fn found(&self, files: usize) {
        self.bar.set_message(format!("{} files found", HumanCount(files as u64)));
        self.bar.tick();
    }

    /// Call this when all files are found and digesting starts.
    pub(crate) fn start(&self, files: usize, bytes: u64) {
        // Relaxed, here and below: these counts are only displayed, and publish no other data.
        self.files.store(files as u64, Ordering::Relaxed);
        self.bar.set_length(bytes);
        self.bar.set_style(style(WHILE_DIGESTING));
        self.bar.set_message(self.files_so_far());
        self.bar.reset_eta();
        self.line(format_args!("{} files, {}", HumanCount(files as u64), DecimalBytes(bytes)));
    }

    pub(crate) fn digested(&self, bytes: usize) {
        self.bar.inc(bytes as u64);
    }

    pub(crate) fn file_done(&self) {
        self.files_done.fetch_add(1, Ordering::Relaxed);
        if !self.bar.is_hidden() {
            self.bar.set_message(self.files_so_far());
        }
    }

    /// Removes the bar from the screen, so that the report starts on a clean line.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Writes a line now and then, until it is cancelled.
    pub(crate) async fn tell(&self) -> selvedge::Result<()> {
        loop {
            selvedge::sleep(LINE_EVERY).await?;
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
            self.line(format_args!(
                "{} of {}, {}",
                DecimalBytes(done),
                DecimalBytes(all),
                self.files_so_far()
            ));
        }
    }

    pub(crate) fn tells(&self) -> bool {
        self.lines
    }

    fn files_so_far(&self) -> String {
        let (done, all) = (self.files_done.load(Ordering::Relaxed), self.files.load(Ordering::Relaxed));
        format!("{} of {} files", HumanCount(done), HumanCount(all))
    }

    fn line(&self, what: std::fmt::Arguments<'_>) {
        if self.lines {
            // A log that cannot be written must not stop the program.
            let _ = writeln!(io::stderr(), "digest: {what}");
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file. A mistake in one shows as indicatif's default
    // style.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
