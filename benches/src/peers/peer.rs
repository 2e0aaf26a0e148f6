//! Which arrangements are compared, and how does each compute a tile?

use super::bridges::{OnBlockingPool, OnRayon, Second};
use crate::rival::Rival;
use crate::rivals::Tokio;
use crate::served::network::Http;
use crate::served::tiles::{Inline, Tiles};

#[cfg(feature = "selvedge")]
use crate::{rivals::Selvedge, served::tiles::TaskEach};

/// A runtime that serves, and the place where its handlers compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// tokio; the handler computes.
    TokioInline,
    /// tokio, `spawn_blocking`.
    SpawnBlocking,
    /// tokio, `rayon::spawn`, and a oneshot back.
    Rayon,
    /// tokio, and a second tokio runtime on which a task computes.
    SecondRuntime,
    /// The same, with the second runtime's threads at a lower priority.
    SecondNice,
    /// Selvedge; a task for each tile.
    Selvedge,
    /// Selvedge; the handler computes.
    SelvedgeInline,
}

/// What is to be done with the runtime and the tiles of a [`Peer`].
pub(super) trait Task {
    type Output;

    fn with<R: Http, T: Tiles>(self, runtime: R, tiles: T) -> Self::Output;
}

impl Peer {
    /// The columns of the tables, in their order.
    pub const COLUMNS: &'static [Self] = &[
        Self::TokioInline,
        Self::SpawnBlocking,
        Self::Rayon,
        Self::SecondRuntime,
        Self::SecondNice,
        #[cfg(feature = "selvedge")]
        Self::Selvedge,
        #[cfg(feature = "selvedge")]
        Self::SelvedgeInline,
    ];

    /// The column's title; also its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::TokioInline => "tokio-inline",
            Self::SpawnBlocking => "spawn_blocking",
            Self::Rayon => "rayon",
            Self::SecondRuntime => "second-runtime",
            Self::SecondNice => "second-nice",
            Self::Selvedge => "Selvedge",
            Self::SelvedgeInline => "Selvedge-inline",
        }
    }

    /// The reverse of [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::COLUMNS.iter().copied().find(|peer| peer.name() == name)
    }

    /// Whether it leads from tokio to other threads that compute.
    pub(super) fn is_bridge(self) -> bool {
        matches!(self, Self::SpawnBlocking | Self::Rayon | Self::SecondRuntime | Self::SecondNice)
    }

    /// Starts the runtime, and what computes beside it.
    pub(super) fn start<T: Task>(self, workers: usize, task: T) -> T::Output {
        let tokio = || Tokio::start(workers);
        match self {
            Self::TokioInline => task.with(tokio(), Inline),
            Self::SpawnBlocking => task.with(tokio(), OnBlockingPool),
            Self::Rayon => task.with(tokio(), OnRayon::start(workers)),
            Self::SecondRuntime => {
                let second = Second::start(workers);
                task.with(tokio(), second.tiles())
            }
            Self::SecondNice => {
                let second = Second::start_nice(workers);
                task.with(tokio(), second.tiles())
            }
            #[cfg(feature = "selvedge")]
            Self::Selvedge => {
                let runtime = <Selvedge>::start(workers);
                let tiles = TaskEach(runtime.spawner());
                task.with(runtime, tiles)
            }
            #[cfg(feature = "selvedge")]
            Self::SelvedgeInline => task.with(<Selvedge>::start(workers), Inline),
            #[cfg(not(feature = "selvedge"))]
            Self::Selvedge | Self::SelvedgeInline => panic!("{} needs the feature `selvedge`", self.name()),
        }
    }
}
