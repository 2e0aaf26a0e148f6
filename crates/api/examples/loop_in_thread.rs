//! A plain function creates a loop for coroutines, and closes it: the loop has threads of its own.

use std::time::Duration;

use selvedge as asyncio;

/// Does not use the loop that `main` below runs on.
fn plain_function() -> asyncio::Result<()> {
    let runner = asyncio::Runner::builder().workers(1).build()?;

    // The loop's own threads run it from here on.
    let coro = asyncio::sleep(Duration::from_millis(50)).returning(3);
    let future = asyncio::run_coroutine_threadsafe(coro, &runner.get_loop());
    println!("{}", future.result(Duration::from_secs(2))?);

    // Cancels the tasks that are left, and waits for them.
    runner.close();
    Ok(())
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    asyncio::to_thread(plain_function).await?
}

// Expected output:
//
//     3
