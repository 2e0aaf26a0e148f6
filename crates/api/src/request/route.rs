//! How does a cancellation request travel along tasks that await each other?
//!
//! A task that awaits another one passes requests on to it. That must not lead to:
//!
//! * **A circle.** Tasks that await each other in a circle would pass a request round for ever, and
//!   none would take it. So a task takes the request itself, instead of passing it on, if it would
//!   pass it to the task where it began, or gets back a request that it has passed on before.
//! * **Quadratic work.** If all n tasks of a chain are cancelled, each request would go all the way
//!   down: n² polls. So a request joins the one that the same await has passed on before, if that
//!   one is still *under way*. Then requests to all n tasks, in random order and each with a turn
//!   in between, take n ln n polls.
//! * **A second request for one cause.** A shutdown cancels every task itself, so a task that
//!   passes on the shutdown's request skips tasks that have received it already.
//!
//! ```text
//!              pass_on                       a leaf, a frame or the task's body takes it
//!   in hand  ----------->  under way  ---------------------------------------------------> settled
//!      |                    ^     |                                                           ^
//!      |            joins   |     |  its await is dropped or ends; it is taken back           |
//!      |    (one that is    +-----+-----------------------------------------------------------+
//!      +---- under way)                                                                       |
//!      |   is returned as an error                                                            |
//!      +--------------------------------------------------------------------------------------+
//! ```
//!
//! Only *under way* promises that some await will yet take the request. So calling a route
//! "settled" too early is safe: a later request is then passed on once more than needed, but none
//! is lost. The await that passed the request on holds an [`UnderWay`], which settles the route
//! when it is dropped.
//!
//! Joined routes are one class of a union-find: O(log n) amortised a step. A task has one awaiter
//! at a time, so a request that meets its own class has gone round a circle. (If a task's handle
//! moves to another awaiter meanwhile, a circle may be seen where there is none: then the awaiting
//! task takes the request itself.)
//!
//! Rejected: a walk to the last task of a chain at each request (n² steps); a number for each
//! request, which each task remembers (this hides circles).

use std::cell::OnceCell;
use std::sync::Arc;

use crate::sync::Mutex;

/// A request on its way along tasks that await each other. Clones are the same request.
#[derive(Clone)]
pub(crate) struct Route {
    /// The number of the task where it began.
    origin: u64,
    /// A shutdown makes one request to each task, so such a request is passed on only to tasks that
    /// have not received one.
    is_of_shutdown: bool,
    way: Arc<Way>,
}

/// A node of the union-find.
struct Way(Mutex<Node>);

#[derive(Default)]
struct Node {
    /// The node that this one has joined. Its root represents both.
    joined: Option<Arc<Way>>,
    /// Only in a root: an await has taken the request, or none will.
    is_settled: bool,
}

/// What a request found at an await that has passed on another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Meeting {
    /// The earlier request is under way, and represents both.
    Joined,
    /// The earlier request has been delivered: this one must be passed on, too.
    Late,
    /// Both are the same request.
    Circle,
}

impl Route {
    /// A request that begins at this task.
    pub(crate) fn starting(at: u64) -> Route {
        Route { origin: at, is_of_shutdown: false, way: Arc::new(Way(Mutex::default())) }
    }

    /// A shutdown's request to this task.
    pub(crate) fn of_shutdown(at: u64) -> Route {
        Route { is_of_shutdown: true, ..Route::starting(at) }
    }

    pub(crate) fn is_of_shutdown(&self) -> bool {
        self.is_of_shutdown
    }

    /// Notes that a shutdown's request to this task has joined this one.
    pub(crate) fn join_shutdown(&mut self, shutdown: &Route) {
        self.is_of_shutdown = true;
        let _ = self.link(shutdown);
    }

    /// The route to one more task; `None` if the request began at that task, so that this closes a
    /// circle.
    pub(crate) fn onward(self, to: u64) -> Option<Route> {
        (to != self.origin).then_some(self)
    }

    /// Notes that an await has taken the request, or none will.
    pub(crate) fn settle(&self) {
        loop {
            let root = Way::root(&self.way);
            let mut node = root.0.lock();
            if node.joined.is_none() {
                node.is_settled = true;
                return;
            }
        }
    }

    /// Joins `earlier` if that one is still under way.
    pub(crate) fn meet(&self, earlier: &Route) -> Meeting {
        let roots = Way::with_roots(&self.way, &earlier.way, |ours, theirs, root| {
            if theirs.is_settled {
                return Meeting::Late;
            }
            // A settled request stays settled.
            if !ours.is_settled {
                ours.joined = Some(root);
            }
            Meeting::Joined
        });
        roots.unwrap_or(Meeting::Circle)
    }

    /// Joins `other`, whether or not either is settled. False: they were one already.
    pub(crate) fn link(&self, other: &Route) -> bool {
        let linked = Way::with_roots(&self.way, &other.way, |ours, theirs, root| {
            theirs.is_settled |= ours.is_settled;
            ours.joined = Some(root);
        });
        linked.is_some()
    }
}

impl Way {
    fn root(way: &Arc<Way>) -> Arc<Way> {
        let mut here = Arc::clone(way);
        loop {
            let next = here.0.lock().joined.clone();
            let Some(next) = next else { return here };
            // The path is halved on the way, so that it is never walked in full again.
            let after_next = next.0.lock().joined.clone();
            if let Some(after_next) = after_next {
                // Dropped after the lock: it may be the last reference.
                let former = here.0.lock().joined.replace(after_next);
                drop(former);
            }
            here = next;
        }
    }

    /// Calls `f` with both locked roots, and with the second root to refer to. `None`: the roots
    /// are the same.
    fn with_roots<R>(
        ours: &Arc<Way>,
        theirs: &Arc<Way>,
        f: impl FnOnce(&mut Node, &mut Node, Arc<Way>) -> R,
    ) -> Option<R> {
        loop {
            let (ours, theirs) = (Way::root(ours), Way::root(theirs));
            if Arc::ptr_eq(&ours, &theirs) {
                return None;
            }
            // Two locks, in the order of their addresses.
            let (mut our_node, mut their_node);
            if Arc::as_ptr(&ours) < Arc::as_ptr(&theirs) {
                our_node = ours.0.lock();
                their_node = theirs.0.lock();
            } else {
                their_node = theirs.0.lock();
                our_node = ours.0.lock();
            }
            // They may have joined others since.
            let are_roots = our_node.joined.is_none() && their_node.joined.is_none();
            if are_roots {
                return Some(f(&mut our_node, &mut their_node, Arc::clone(&theirs)));
            }
        }
    }
}

impl Drop for Way {
    /// Drops one way after the other, without recursion: a way may have joined another one, that
    /// one the next, and so on along a long chain of tasks.
    fn drop(&mut self) {
        let mut next = self.0.lock().joined.take();
        while let Some(way) = next {
            next = Arc::into_inner(way).and_then(|way| way.0.lock().joined.take());
        }
    }
}

/// A route that is settled when this is dropped.
pub(crate) struct UnderWay(Route);

impl UnderWay {
    pub(crate) fn route(&self) -> &Route {
        &self.0
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.settle();
    }
}

/// The route of a request that was taken. It is settled if this is dropped, unless the request is
/// passed on.
pub(crate) struct InHand {
    /// The task that took it.
    at: u64,
    route: OnceCell<Route>,
    is_passed_on: bool,
}

impl InHand {
    /// `route`: the route by which the request came, if another task passed it on.
    pub(crate) fn new(at: u64, route: Option<Route>) -> InHand {
        InHand { at, route: route.map_or_else(OnceCell::new, OnceCell::from), is_passed_on: false }
    }

    pub(crate) fn route(&self) -> &Route {
        self.route.get_or_init(|| Route::starting(self.at))
    }

    /// The request was passed on: the await keeps the route.
    pub(crate) fn keep(mut self) -> UnderWay {
        self.is_passed_on = true;
        UnderWay(self.route().clone())
    }

    /// The request has joined one that was passed on before.
    pub(crate) fn join(mut self) {
        self.is_passed_on = true;
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        if self.is_passed_on {
            return;
        }
        if let Some(route) = self.route.get() {
            route.settle();
        }
    }
}

impl std::fmt::Debug for InHand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InHand").field("at", &self.at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_joins_one_that_is_under_way_and_no_other() {
        let [first, second, third] = [1, 2, 3].map(Route::starting);
        assert_eq!(second.meet(&first), Meeting::Joined);
        assert_eq!(second.meet(&first), Meeting::Circle);
        first.settle();
        assert_eq!(third.meet(&second), Meeting::Late, "what settles one settles all that have joined it");
    }

    #[test]
    fn settled_routes_stay_settled_when_they_are_linked() {
        let [first, second, third] = [1, 2, 3].map(Route::of_shutdown);
        first.settle();
        assert!(first.link(&second) && !second.link(&first));
        assert_eq!(third.meet(&second), Meeting::Late);
    }

    #[test]
    fn what_is_held_or_in_hand_is_settled_by_its_end() {
        let late = Route::starting(9);
        let in_hand = InHand::new(1, None);
        let route = in_hand.route().clone();
        let held = in_hand.keep();
        assert_eq!(Route::starting(8).meet(&route), Meeting::Joined);
        drop(held);
        assert_eq!(late.meet(&route), Meeting::Late);
        let in_hand = InHand::new(1, Some(Route::starting(7)));
        let route = in_hand.route().clone();
        drop(in_hand);
        assert_eq!(late.meet(&route), Meeting::Late);
    }

    #[test]
    fn a_circle_is_found_where_it_began_and_where_it_was_entered() {
        let route = Route::starting(1);
        assert!(route.clone().onward(2).is_some() && route.clone().onward(1).is_none());
        assert_eq!(route.meet(&route.clone()), Meeting::Circle);
    }

    /// They are also dropped without recursion.
    #[test]
    fn many_routes_join_in_any_order() {
        const MANY: usize = 300_000;
        let routes: Vec<_> = (0..MANY).map(|number| Route::starting(number as u64)).collect();
        for pair in routes.windows(2).rev() {
            assert_eq!(pair[0].meet(&pair[1]), Meeting::Joined);
        }
        let last = routes[MANY - 1].clone();
        assert_eq!(routes[0].meet(&last), Meeting::Circle);
        let ways = routes.into_iter().map(|route| route.way);
        drop(ways.collect::<Vec<_>>());
        last.settle();
    }
}
