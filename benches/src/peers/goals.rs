//! What is Selvedge to reach?

use super::peer::Peer;
use super::table::Line;
use crate::report::Verdict;

/// A limit for one peer in one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal {
    pub(super) peer: Peer,
    pub(super) bound: Bound,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    /// At most this value.
    Most(f64),
    /// At most this value, or so many times the best bridge's, whichever is more.
    MostOrBridge(f64, f64),
    /// At least so many times the best bridge's value.
    LeastOfBridge(f64),
    /// At least so many times this peer's value.
    Least(f64, Peer),
}

/// A goal beside what was measured.
pub(super) struct Judged {
    pub(super) goal: Goal,
    pub(super) value: f64,
    pub(super) limit: f64,
    pub(super) verdict: Verdict,
}

impl Goal {
    pub(super) fn judge(self, line: &Line) -> Judged {
        let value = line.of(self.peer);
        let bridge = line.best_bridge().map_or(f64::NAN, |(_, value)| value);
        let (limit, is_upper) = match self.bound {
            Bound::Most(limit) => (limit, true),
            Bound::MostOrBridge(limit, times) => (limit.max(times * bridge), true),
            Bound::LeastOfBridge(times) => (times * bridge, false),
            Bound::Least(times, peer) => (times * line.of(peer), false),
        };
        let verdict = match (limit.is_nan(), is_upper) {
            (true, _) => Verdict::Unknown,
            (false, true) => Verdict::of(value, limit),
            (false, false) => Verdict::at_least(value, limit),
        };
        Judged { goal: self, value, limit, verdict }
    }
}

impl Judged {
    /// Whether the limit is a least value.
    pub(super) fn is_least(&self) -> bool {
        matches!(self.goal.bound, Bound::LeastOfBridge(_) | Bound::Least(..))
    }

    /// Where the limit comes from.
    pub(super) fn reason(&self) -> String {
        match self.goal.bound {
            Bound::Most(_) => String::new(),
            Bound::MostOrBridge(limit, times) => format!("{limit} or {times} x the best bridge"),
            Bound::LeastOfBridge(times) => format!("{times} x the best bridge"),
            Bound::Least(times, peer) => format!("{times} x {}", peer.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::line;
    use super::*;

    const WAITS: [(Peer, f64); 4] =
        [(Peer::TokioInline, 0.1), (Peer::Rayon, 0.4), (Peer::SecondNice, 0.2), (Peer::Selvedge, 0.4)];

    fn verdict(more_is_better: bool, values: &[(Peer, f64)], bound: Bound) -> Verdict {
        Goal { peer: Peer::Selvedge, bound }.judge(&line(more_is_better, values)).verdict
    }

    #[test]
    fn a_fixed_limit_ignores_the_others() {
        assert_eq!(verdict(false, &WAITS, Bound::Most(0.4)), Verdict::Ok);
        assert_eq!(verdict(false, &WAITS, Bound::Most(0.3)), Verdict::Over);
    }

    #[test]
    fn the_best_bridge_may_widen_a_limit() {
        // Of the bridges: tokio-inline is none.
        assert_eq!(verdict(false, &WAITS, Bound::MostOrBridge(0.3, 2.0)), Verdict::Ok);
        assert_eq!(verdict(false, &WAITS, Bound::MostOrBridge(0.3, 1.9)), Verdict::Over);
        assert_eq!(verdict(false, &WAITS, Bound::MostOrBridge(0.5, 1.9)), Verdict::Ok);
    }

    #[test]
    fn of_rates_the_higher_one_counts() {
        let rates = [(Peer::TokioInline, 500.0), (Peer::Rayon, 100.0), (Peer::Selvedge, 98.0)];
        assert_eq!(verdict(true, &rates, Bound::LeastOfBridge(0.98)), Verdict::Ok);
        assert_eq!(verdict(true, &rates, Bound::LeastOfBridge(0.99)), Verdict::Over);
        assert_eq!(verdict(true, &rates, Bound::Least(0.2, Peer::TokioInline)), Verdict::Over);
        assert_eq!(verdict(true, &rates, Bound::Least(0.1, Peer::TokioInline)), Verdict::Ok);
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        let ours = [(Peer::Selvedge, 1.0)];
        let nothing = [(Peer::Rayon, 1.0)];
        assert_eq!(verdict(true, &ours, Bound::LeastOfBridge(0.98)), Verdict::Unknown);
        assert_eq!(verdict(true, &ours, Bound::Least(1.0, Peer::Rayon)), Verdict::Unknown);
        assert_eq!(verdict(false, &nothing, Bound::Most(1.0)), Verdict::Unknown);
        assert_eq!(verdict(false, &ours, Bound::MostOrBridge(2.0, 2.0)), Verdict::Ok);
    }
}
