//! How long does a foreign thread wait for an idle runtime?

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::{Goal, Row, Throughput};
use crate::rival::{Outside, Rival};

/// A thread submits a task and blocks for its result. Then it pauses until the workers sleep again.
pub struct RoundTrip;

/// Long enough for every runtime's workers to give up searching and park.
const PAUSE: Duration = Duration::from_micros(200);

impl Throughput for RoundTrip {
    const ROW: Row = Row { name: "round trip to an idle runtime", unit: "ns/call", goal: Goal::Ratio(0.60) };
    const UNITS: u64 = 400;

    fn pass<R: Rival>(runtime: &R, units: u64) -> Duration {
        let outside = runtime.outside();
        let call = |question: u64| {
            std::thread::sleep(PAUSE);
            let start = Instant::now();
            let answer = outside.call(async move { black_box(question) });
            let elapsed = start.elapsed();
            assert_eq!(answer, question);
            elapsed
        };
        (0..units).map(call).sum()
    }
}
