//! Where does a handler compute its tile?

use std::future::Future;

use crate::neutral::compute_steps;
use crate::rival::Spawner;

/// A way to compute a tile. Each request has a clone.
pub trait Tiles: Clone + Send + Sync + 'static {
    /// Resolves when `steps` steps of [`compute_steps`] are done.
    fn compute(&self, steps: u64) -> impl Future<Output = ()> + Send;
}

/// In the handler itself.
#[derive(Clone, Copy)]
pub struct Inline;

impl Tiles for Inline {
    async fn compute(&self, steps: u64) {
        compute_steps(steps);
    }
}

/// In a task of its own, on the runtime that serves.
#[derive(Clone, Copy)]
pub struct TaskEach<S>(pub S);

impl<S: Spawner> Tiles for TaskEach<S> {
    async fn compute(&self, steps: u64) {
        self.0.spawn(async move { compute_steps(steps) }).await;
    }
}

/// How many steps of computing the two kinds of tiles take.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    /// The steps of `/tile`.
    pub tile: u64,
    /// The steps of `/short`.
    pub short: u64,
}
