//! How is the work shared out among tasks?
//!
//! Three steps, each cancelled by cancelling the coroutine that runs them: find the files (a thread walks, batch by batch),
//! put the largest first, and let a few *lanes* pull from that list. A lane sees one file through, so no more files are open,
//! and no more chunks in memory, than there are lanes. It has a thread read a chunk and a task compute on it, by turns:
//! while one file is read, the workers compute on others.

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

/// Enough that the workers find a chunk that has been read already when they have computed one.
const LANES_PER_WORKER: usize = 4;

/// How many items of the walk are fetched from a thread at a time.
const BATCH: usize = 1000;

/// What came of it, complete or not.
pub(crate) struct Outcome {
    pub(crate) digested: Vec<(PathBuf, Digested)>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) found: usize,
    pub(crate) interrupted: bool,
    pub(crate) elapsed: Duration,
    pub(crate) workers: Vec<Worker>,
}

/// What one worker thread did.
pub(crate) struct Worker {
    pub(crate) polls: u64,
    pub(crate) steals: u64,
    pub(crate) is_spare: bool,
}

/// What the tasks have in common.
struct Crew {
    jobs: Mutex<std::vec::IntoIter<Job>>,
    results: Mutex<Results>,
    progress: Progress,
}

/// A file that is to be digested.
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

/// Digests all that `options` name. Cancelled, as it is by Ctrl-C, it returns what is finished.
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
        .map(|of| Worker { polls: of.polls, steals: of.steals, is_spare: of.is_spare })
        .collect();
    Ok(Outcome { digested, problems, found, interrupted, elapsed, workers })
}

async fn work(crew: &Arc<Crew>, options: Options) -> selvedge::Result<()> {
    let lanes = options.workers.saturating_mul(LANES_PER_WORKER);
    let mut jobs = find(crew, options).await?;
    crew.progress.start(jobs.len(), jobs.iter().map(|job| job.size).sum());
    // Largest first: a large file that starts last would leave one worker busy and the others with nothing to do.
    jobs.sort_by_key(|job| Reverse(job.size));
    let lanes = lanes.min(jobs.len());
    *crew.jobs.lock() = jobs.into_iter();

    let teller = crew.progress.tells().then(|| {
        let crew = Arc::clone(crew);
        create_task(async move { crew.progress.tell().await })
    });
    let lanes: Vec<_> = (0..lanes).map(|_| lane(Arc::clone(crew))).collect();
    // With the exceptions returned, gather ends only when all lanes have: also if it is cancelled, so that nothing is
    // added to the results once they are read.
    let ended = gather(lanes).return_exceptions().await;
    if let Some(teller) = teller {
        teller.cancel();
    }
    ended?.into_iter().collect()
}

/// Walks, on a thread, and comes back after every batch: to show how far it is, and to see whether it is cancelled.
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

/// Reads on a thread and computes in a task, by turns. The chunk in `source` is all that is in memory of the file.
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
        // A task of its own for what takes milliseconds: the scheduler comes to know its kind for heavy, runs as many at a
        // time as there are workers, and keeps the lanes, which are light, out of their way.
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

/// Digests the chunk in `source`; hands both back unless it was the last one.
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
