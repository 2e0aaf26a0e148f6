//! What do a yield, a message and a round trip cost?

mod side_by_side;

use selvedge_benches::workloads::{Pairs, Partners, RoundTrip, Yields};
use side_by_side::{criterion, group};

fn main() {
    let mut criterion = criterion();
    group::<Yields>(&mut criterion);
    group::<Partners>(&mut criterion);
    group::<Pairs>(&mut criterion);
    group::<RoundTrip>(&mut criterion);
    criterion.final_summary();
}
