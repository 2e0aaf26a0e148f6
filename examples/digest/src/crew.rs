//! How is the work divided among tasks?
//!
//! There are three steps, and each is cancelled by cancelling the coroutine that runs it. First, a
//! thread walks the folders, batch by batch, and finds the files. Then the largest files are put
//! first. Then a few *lanes* pull files from that list. A lane finishes one file before it takes
//! the next, so there are never more open files, or more chunks in memory, than lanes. A lane
//! alternates between a thread that reads a chunk and a task that computes on it: while one file is
//! read, the workers compute on others.

use std::cmp::Reverse;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use selvedge::{create_task, gather, get_running_loop, to_thread};

use crate::cli::{Options, Sums};
use crate::digest::{Digested, Digester, Source};
use crate::problem::{Problem, What};
use crate::progress::Progress;
use crate::walk::{Found, Walk};

/// Enough lanes that a worker which has finished a chunk finds another one already read.
const LANES_PER_WORKER: usize = 4;

/// How many items of the walk are fetched from a thread at a time.
const BATCH: usize = 1000;

/// The result, complete or not.
pub(crate) struct Outcome {
    pub(crate) digested: Vec<(PathBuf, Digested)>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) found: usize,
    pub(crate) interrupted: bool,
    pub(crate) elapsed: Duration,
    pub(crate) workers: Vec<Worker>,
}

/// The counters of one worker thread.
pub(crate) struct Worker {
    pub(crate) polls: u64,
    pub(crate) steals: u64,
    pub(crate) is_standby: bool,
}

/// State that the tasks share.
struct Crew {
    jobs: Mutex<std::vec::IntoIter<Job>>,
    results: Mutex<Results>,
    progress: Progress,
}

/// A file to digest.
struct Job {
    path: PathBuf,
    size: u64,
    named: bool,
}

#[derive(Default)]
struct Results {
    digested: Vec<(PathBuf, Digested)>,
    problems: Vec<Problem>,
    found: usize,
}

/// Digests every file that `options` name. If it is cancelled, as it is by Ctrl-C, it returns the
/// finished files.
pub(crate) async fn digest(options: Options) -> selvedge::Result<Outcome> {
    let started = Instant::now();
    let crew = Arc::new(Crew {
        jobs: Mutex::default(),
        results: Mutex::default(),
        progress: Progress::new(options.progress),
    });

    let ended = work(&crew, options).await;
    crew.progress.finish();
    let interrupted = ended.as_ref().is_err_and(selvedge::Error::is_cancelled);
    if !interrupted {
        ended?;
    }

    let elapsed = started.elapsed();
    let Results { digested, problems, found } = std::mem::take(&mut *crew.results.lock());
    let workers = get_running_loop()?.metrics().workers;
    let workers = workers
        .iter()
        .map(|of| Worker { polls: of.polls, steals: of.steals, is_standby: of.is_standby })
        .collect();
    Ok(Outcome { digested, problems, found, interrupted, elapsed, workers })
}

async fn work(crew: &Arc<Crew>, options: Options) -> selvedge::Result<()> {
    let lanes = options.workers.saturating_mul(LANES_PER_WORKER);
    let mut jobs = find(crew, options).await?;
    crew.progress.start(jobs.len(), jobs.iter().map(|job| job.size).sum());
    // Largest first: a large file that starts last would keep one worker busy while the others have
    // no work.
    jobs.sort_by_key(|job| Reverse(job.size));
    let lanes = lanes.min(jobs.len());
    *crew.jobs.lock() = jobs.into_iter();

    let teller = crew.progress.tells().then(|| {
        let crew = Arc::clone(crew);
        create_task(async move { crew.progress.tell().await })
    });
    let lanes: Vec<_> = (0..lanes).map(|_| lane(Arc::clone(crew))).collect();
    // With `return_exceptions`, `gather` ends only when all lanes have ended, even if it is
    // cancelled. So no lane adds to the results after they are read.
    let ended = gather(lanes).return_exceptions().await;
    if let Some(teller) = teller {
        teller.cancel();
    }
    ended?.into_iter().collect()
}

/// Walks on a thread, and returns after every batch to show the progress and to notice a
/// cancellation.
async fn find(crew: &Crew, options: Options) -> selvedge::Result<Vec<Job>> {
    let mut walk = Walk::new(options.paths).skip_caches(options.paths_are_default);
    if let Some(file) = options.sums.as_ref().and_then(Sums::file) {
        walk = walk.leave_out(file);
    }
    let mut jobs = Vec::new();
    loop {
        let batch: Vec<Found>;
        (walk, batch) = to_thread(move || {
            let batch = walk.by_ref().take(BATCH).collect();
            (walk, batch)
        })
        .await?;
        if batch.is_empty() {
            return Ok(jobs);
        }
        for found in batch {
            match found {
                Found::File { path, size, named } => jobs.push(Job { path, size, named }),
                Found::Problem(problem) => crew.results.lock().problems.push(problem),
            }
        }
        crew.results.lock().found = jobs.len();
        crew.progress.found(jobs.len());
    }
}

/// Pulls files from the list until it is empty, one at a time.
async fn lane(crew: Arc<Crew>) -> selvedge::Result<()> {
    loop {
        let Some(Job { path, named, .. }) = crew.jobs.lock().next() else { return Ok(()) };
        match digest_file(&crew, path.clone()).await {
            Ok(digested) => crew.results.lock().digested.push((path, digested)),
            Err(error) if error.is_cancelled() => return Err(error),
            Err(error) => {
                let what = What::Failed(error.to_string());
                crew.results.lock().problems.push(Problem { path, what, named });
            }
        }
        crew.progress.file_done();
    }
}

/// Alternates between reading on a thread and computing in a task. Only the chunk in `source` is in
/// memory.
async fn digest_file(crew: &Crew, path: PathBuf) -> selvedge::Result<Digested> {
    let mut digester = Digester::new();
    let mut source = to_thread(move || {
        let mut source = Source::open(&path)?;
        source.advance()?;
        io::Result::Ok(source)
    })
    .await??;
    loop {
        let bytes = source.chunk().len();
        // The computation takes milliseconds, so it gets a task of its own. The scheduler learns
        // that tasks of this kind are cpu-bound. It runs as many of them at a time as there are
        // workers, and they do not delay the lanes, which are light.
        let step = create_task(async move { compute(digester, source) }).await?;
        crew.progress.digested(bytes);
        (digester, source) = match step {
            ControlFlow::Break(whole) => return Ok(whole),
            ControlFlow::Continue(rest) => rest,
        };
        source = to_thread(move || {
            source.advance()?;
            io::Result::Ok(source)
        })
        .await??;
    }
}

/// Digests the chunk in `source`. Returns both arguments, unless it was the last chunk.
fn compute(
    mut digester: Digester,
    source: Source,
) -> selvedge::Result<ControlFlow<Digested, (Digester, Source)>> {
    digester.update(source.chunk())?;
    Ok(if source.at_end() {
        ControlFlow::Break(digester.finish()?)
    } else {
        ControlFlow::Continue((digester, source))
    })
}
