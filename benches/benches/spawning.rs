//! What does a task cost from its creation to its end?

mod side_by_side;

use selvedge_benches::workloads::{Chain, Fib, SpawnFromOutside, SpawnFromTask};
use side_by_side::{criterion, group};

fn main() {
    let mut criterion = criterion();
    group::<SpawnFromTask>(&mut criterion);
    group::<SpawnFromOutside>(&mut criterion);
    group::<Chain>(&mut criterion);
    group::<Fib>(&mut criterion);
    criterion.final_summary();
}
