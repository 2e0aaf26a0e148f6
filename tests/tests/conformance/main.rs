//! Does Selvedge behave as asyncio does?
//!
//! Each scenario exists twice under one name: in `tests/conformance/`, where asyncio runs it under
//! a virtual clock and its trace is recorded, and here. `make conformance-record` makes new
//! recordings.

mod check;
mod deadlines;
mod eager;
mod futures;
mod gathering;
mod graphs;
mod groups;
mod loops;
mod parts;
mod recording;
mod shields;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod streams;
mod tasks;
mod threads;
mod timeouts;
mod trace;
mod waiting;

use std::time::Duration;

use selvedge::{TaskHandle, current_task};

/// The duration for which asyncio's scenarios sleep "for ever".
const HOUR: Duration = Duration::from_hours(1);

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

async fn pause(n: u64) -> selvedge::Result<()> {
    selvedge::sleep(ms(n)).await
}

fn me() -> TaskHandle {
    current_task().expect("this runs in a task")
}

/// The page in `docs/` gives the result of each row.
#[test]
fn every_row_has_a_verdict() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/conformance.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    for group in check::GROUPS {
        for recording in recording::read(group) {
            let row = format!("\n| {} |", recording.row);
            assert!(
                page.contains(&row),
                "{} is about {}, which has no verdict",
                recording.name,
                recording.row
            );
        }
    }
}
