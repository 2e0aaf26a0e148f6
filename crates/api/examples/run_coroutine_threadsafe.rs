//! A thread of the pool starts a coroutine on the loop, and waits for its result.

use std::time::Duration;

use selvedge as asyncio;

fn in_thread(event_loop: &asyncio::EventLoop) -> asyncio::Result<()> {
    // A coroutine.
    let coro = asyncio::sleep(Duration::from_millis(50)).returning(3);

    // Start it on the loop.
    let future = asyncio::run_coroutine_threadsafe(coro, event_loop);

    // Wait for the result, for at most two seconds. `None` would wait for as long as it takes.
    println!("{}", future.result(Duration::from_secs(2))?);
    Ok(())
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    let event_loop = asyncio::get_running_loop()?;
    // One `?` for the thread, one for the function.
    asyncio::to_thread(move || in_thread(&event_loop)).await??;
    Ok(())
}

// Expected output:
//
//     3
