//! Do the rules of cancellation hold? One file per rule, in the order of the documentation.

mod combinators;
mod counting;
mod first_step;
mod foreign;
mod order;
mod outermost;
mod passing_on;

use selvedge::{Task, TaskHandle, create_task, current_task, sleep};
use selvedge_tests::LONG;

fn me() -> TaskHandle {
    current_task().expect("this runs in a task")
}

fn sleeper() -> Task<()> {
    create_task(sleep(LONG))
}
