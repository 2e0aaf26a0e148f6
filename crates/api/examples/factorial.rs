//! `gather`: several coroutines side by side, their results in order.

use std::time::Duration;

use selvedge as asyncio;

async fn factorial(name: &str, number: u64) -> asyncio::Result<u64> {
    let mut f = 1;
    for i in 2..=number {
        println!("Task {name}: Compute factorial({number}), currently i={i}...");
        asyncio::sleep(Duration::from_secs(1)).await?;
        f *= i;
    }
    println!("Task {name}: factorial({number}) = {f}");
    Ok(f)
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    // The three start at once, each as a task. Those that wake at the same moment run on different
    // cores, in any order.
    let results = asyncio::gather([factorial("A", 2), factorial("B", 3), factorial("C", 4)]).await?;
    println!("{results:?}");
    Ok(())
}

// Expected output:
//
//     Task A: Compute factorial(2), currently i=2...
//     Task B: Compute factorial(3), currently i=2...
//     Task C: Compute factorial(4), currently i=2...
//     Task A: factorial(2) = 2
//     Task B: Compute factorial(3), currently i=3...
//     Task C: Compute factorial(4), currently i=3...
//     Task B: factorial(3) = 6
//     Task C: Compute factorial(4), currently i=4...
//     Task C: factorial(4) = 24
//     [2, 6, 24]
