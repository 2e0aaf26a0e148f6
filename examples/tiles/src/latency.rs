//! How are many latencies summed up in a few numbers?

use std::fmt;
use std::time::Duration;

/// The latencies, sorted.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn new(mut all: Vec<Duration>) -> Latencies {
        all.sort_unstable();
        Latencies(all)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest latency that a `share` of all latencies do not exceed. Zero if there is none.
    #[allow(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "counts, and a share of them")]
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    pub(crate) fn longest(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |share| self.percentile(share).as_secs_f64() * 1e3;
        write!(f, "p50 {:>7.2} ms   p90 {:>7.2} ms   p99 {:>7.2} ms", ms(0.5), ms(0.9), ms(0.99))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_take_the_nearest_rank() {
        let latencies = Latencies::new((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!(latencies.percentile(0.5), Duration::from_millis(100));
        assert_eq!(latencies.percentile(0.99), Duration::from_millis(198));
        assert_eq!(latencies.longest(), Duration::from_millis(200));
        assert_eq!(Latencies::default().percentile(0.5), Duration::ZERO);
    }
}
