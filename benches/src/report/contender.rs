//! Which runtime fills which column?

use crate::probe::{Probe, measure, print};
use crate::rival::Rival;
#[cfg(feature = "selvedge")]
use crate::rivals::Selvedge;
use crate::rivals::{AsyncExecutor, Tokio};
use crate::workloads::{Setting, Workload};

/// A runtime, as a value. Only this file maps names to types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// Selvedge.
    #[cfg(feature = "selvedge")]
    Selvedge,
    /// Selvedge without the watchdog, which lends standbys to stuck workers.
    #[cfg(feature = "selvedge")]
    SelvedgeWithoutWatchdog,
    /// tokio, multi-threaded.
    Tokio,
    /// async-executor with async-io.
    AsyncExecutor,
}

impl Contender {
    /// The columns of the table, in their order.
    pub const COLUMNS: &'static [Self] = &[
        #[cfg(feature = "selvedge")]
        Self::Selvedge,
        Self::Tokio,
        Self::AsyncExecutor,
    ];
    /// The runtimes whose best value is compared with Selvedge's.
    pub const RIVALS: &'static [Self] = &[Self::Tokio, Self::AsyncExecutor];
    /// The two columns of the watchdog table: with it and without it.
    #[cfg(feature = "selvedge")]
    pub const RESCUE_ON_AND_OFF: &'static [Self] = &[Self::Selvedge, Self::SelvedgeWithoutWatchdog];
    /// The two columns of the watchdog table: with it and without it.
    #[cfg(not(feature = "selvedge"))]
    pub const RESCUE_ON_AND_OFF: &'static [Self] = &[];

    /// The column's title.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "selvedge")]
            Self::Selvedge => <Selvedge>::NAME,
            #[cfg(feature = "selvedge")]
            Self::SelvedgeWithoutWatchdog => Selvedge::<false>::NAME,
            Self::Tokio => Tokio::NAME,
            Self::AsyncExecutor => AsyncExecutor::NAME,
        }
    }

    /// The reverse of [`Contender::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        let all = Self::COLUMNS.iter().chain(Self::RESCUE_ON_AND_OFF);
        all.copied().find(|contender| contender.name() == name)
    }

    /// Whether this is what the goals are for.
    pub fn is_ours(self) -> bool {
        !Self::RIVALS.contains(&self)
    }

    pub(super) fn measure<W: Workload>(self, setting: &Setting) -> Vec<f64> {
        match self {
            #[cfg(feature = "selvedge")]
            Self::Selvedge => W::measure::<Selvedge>(setting),
            #[cfg(feature = "selvedge")]
            Self::SelvedgeWithoutWatchdog => W::measure::<Selvedge<false>>(setting),
            Self::Tokio => W::measure::<Tokio>(setting),
            Self::AsyncExecutor => W::measure::<AsyncExecutor>(setting),
        }
    }

    /// Answers a probe in this process.
    pub fn answer(self, probe: Probe, setting: &Setting) {
        let values = match (probe, self) {
            #[cfg(unix)]
            (Probe::HeapPerHttp | Probe::HeapPerTcp, who) => crate::served::answer(who, probe, setting),
            #[cfg(feature = "selvedge")]
            (probe, Self::Selvedge) => measure::<Selvedge>(probe, setting),
            #[cfg(feature = "selvedge")]
            (probe, Self::SelvedgeWithoutWatchdog) => measure::<Selvedge<false>>(probe, setting),
            (probe, Self::Tokio) => measure::<Tokio>(probe, setting),
            (probe, Self::AsyncExecutor) => measure::<AsyncExecutor>(probe, setting),
        };
        print(&values);
    }
}
