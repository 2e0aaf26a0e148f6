//! What does a timer cost that never fires?

mod side_by_side;

use selvedge_benches::workloads::{ArmAndDrop, ArmAndDropTogether};
use side_by_side::{criterion, group};

fn main() {
    let mut criterion = criterion();
    group::<ArmAndDrop>(&mut criterion);
    group::<ArmAndDropTogether>(&mut criterion);
    criterion.final_summary();
}
