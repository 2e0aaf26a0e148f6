//! What can a random program do, and how is it written in bytes?

use std::sync::Arc;

/// The steps of a task, in order.
pub type Program = Arc<[Step]>;

/// Programs that are deeper, or that start too many tasks, are cut off: they would be large and
/// find no more faults.
const MAX_DEPTH: usize = 4;
const MAX_STEPS: usize = 60;

/// A step of a task. Times are in moments.
#[derive(Clone, Debug)]
pub enum Step {
    /// Lets other tasks run.
    Yield,
    /// Sleeps.
    Sleep(u8),
    /// Waits for ever in a future that never receives a request.
    Foreign,
    /// Blocks a thread of the pool.
    Thread,
    /// Fails.
    Fail,
    /// Panics.
    Panic,
    /// Starts a task and forgets its handle.
    Detach(Program),
    /// Starts a task, goes on, and awaits it at the end.
    Spawn(Program),
    /// Starts a task and cancels it at once.
    SpawnAndCancel(Program),
    /// Runs the program in the first poll of an eager task.
    Eager(Program),
    /// Runs all programs in a group, the last one as the group's body.
    Group(Vec<Program>),
    /// Gathers the programs.
    Gather(Vec<Program>, bool),
    /// Awaits a task behind a shield.
    Shield(Program),
    /// Runs the program under a deadline.
    Timeout(u8, Program),
    /// Runs the program under a deadline, with `wait_for`.
    WaitFor(u8, Program),
    /// Runs the program and ignores its result.
    Swallow(Program),
    /// Polls the program once and drops it.
    PollOnce(Program),
    /// Cancels one of the tasks that began before.
    Cancel(u8),
    /// Cancels the own task.
    CancelSelf,
    /// Cancels the own task, and takes the request back.
    CancelAndUncancel,
    /// Starts a task that refuses requests, cancels it several times, takes some requests back, and
    /// compares the count.
    Count(u8, u8),
    /// Awaits a ready future, after a request and under a deadline that has passed.
    Ready,
}

/// Reads a program. Every byte has a meaning, and the program ends where the bytes end.
pub fn decode(bytes: &[u8]) -> Program {
    let mut reader = Reader { bytes: bytes.iter(), steps: MAX_STEPS };
    let mut steps = Vec::new();
    while !reader.bytes.as_slice().is_empty() && reader.steps > 0 {
        steps.extend(reader.step(0));
    }
    steps.into()
}

struct Reader<'a> {
    bytes: std::slice::Iter<'a, u8>,
    steps: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or_default()
    }

    fn program(&mut self, depth: usize) -> Program {
        let length = self.next() % 4;
        (0..length).filter_map(|_| self.step(depth)).collect()
    }

    fn programs(&mut self, depth: usize) -> Vec<Program> {
        let length = 1 + self.next() % 4;
        (0..length).map(|_| self.program(depth)).collect()
    }

    fn step(&mut self, depth: usize) -> Option<Step> {
        self.steps = self.steps.checked_sub(1)?;
        let choices = if depth < MAX_DEPTH { 22 } else { 11 };
        let inner = depth + 1;
        Some(match self.next() % choices {
            0 => Step::Yield,
            1 => Step::Sleep(self.next() % 8),
            2 => Step::Foreign,
            3 => Step::Thread,
            4 => Step::Fail,
            5 => Step::Panic,
            6 => Step::Cancel(self.next()),
            7 => Step::CancelSelf,
            8 => Step::CancelAndUncancel,
            9 => Step::Ready,
            10 => Step::Count(self.next() % 4, self.next() % 4),
            11 => Step::Detach(self.program(inner)),
            12 => Step::Spawn(self.program(inner)),
            13 => Step::SpawnAndCancel(self.program(inner)),
            14 => Step::Eager(self.program(inner)),
            15 => Step::Group(self.programs(inner)),
            16 => Step::Gather(self.programs(inner), self.next().is_multiple_of(2)),
            17 => Step::Shield(self.program(inner)),
            18 => Step::Timeout(self.next() % 6, self.program(inner)),
            19 => Step::WaitFor(self.next() % 6, self.program(inner)),
            20 => Step::Swallow(self.program(inner)),
            _ => Step::PollOnce(self.program(inner)),
        })
    }
}
