//! Has a request that is passed from task to task come back to where it began?
//!
//! A task that awaits another one passes requests on to it. Tasks that await each other in a circle would pass one round for ever,
//! and none would be told. So a request carries where it began, and who would pass it on to that very task is told instead.
//!
//! A circle that the request enters from outside does not contain its beginning. Tasks have one awaiter at a time, so that takes a
//! handle which changes hands at the wrong moment; but then the request would never rest. Therefore the beginning moves after a while,
//! to wherever the request is when the number of steps doubles: Brent's way to find a cycle with a memory of one.

/// The way that a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The number of the task where it began, or where it was when `steps` last doubled.
    origin: u64,
    /// The number of the task that it has reached.
    here: u64,
    steps: u32,
}

/// Up to this many tasks the beginning stays what it is, so that a circle is noticed when it first closes.
const STEPS_BEFORE_MOVING: u32 = 64;

impl Route {
    /// A request that begins at this task.
    pub(crate) fn starting(at: u64) -> Route {
        Route { origin: at, here: at, steps: 0 }
    }

    /// The way with one more task; `None` if that closes the circle.
    pub(crate) fn onward(self, to: u64) -> Option<Route> {
        if to == self.origin {
            return None;
        }
        let steps = self.steps.saturating_add(1);
        let moves = steps >= STEPS_BEFORE_MOVING && steps.is_power_of_two();
        Some(Route { origin: if moves { self.here } else { self.origin }, here: to, steps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last task that is reached when each passes on to the next of `tasks`, and the last one to the task at `back_to`.
    fn told(tasks: u64, back_to: u64) -> (u64, u32) {
        let mut route = Route::starting(0);
        for steps in 0.. {
            let next = if route.here + 1 == tasks { back_to } else { route.here + 1 };
            match route.onward(next) {
                Some(onward) => route = onward,
                None => return (route.here, steps),
            }
        }
        unreachable!("it ends above")
    }

    #[test]
    fn a_circle_tells_the_task_before_the_beginning() {
        assert_eq!(told(1, 0), (0, 0), "a task that awaits itself");
        assert_eq!(told(2, 0), (1, 1));
        assert_eq!(told(u64::from(STEPS_BEFORE_MOVING), 0), (63, 63));
    }

    #[test]
    fn a_circle_that_is_entered_from_outside_is_found_too() {
        for (tasks, back_to) in [(2, 1), (5, 2), (1000, 7), (1000, 999)] {
            let (_, steps) = told(tasks, back_to);
            assert!(u64::from(steps) < 4 * tasks + 4 * u64::from(STEPS_BEFORE_MOVING), "{tasks} {steps}");
        }
    }
}
