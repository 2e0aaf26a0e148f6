//! How can a coroutine end that another thread waits for?

use std::fmt::Debug;
use std::time::Duration;

use selvedge as asyncio;

fn wait_for_it<T: Debug + Send + 'static>(future: &asyncio::ConcurrentFuture<T>, at_most: Duration) {
    match future.result(at_most) {
        Ok(result) => println!("The coroutine returned: {result:?}"),
        Err(error) if error.is_timeout() => {
            println!("The coroutine took too long, cancelling the task...");
            future.cancel();
        }
        Err(error) => println!("The coroutine raised an exception: {error}"),
    }
}

async fn fails() -> asyncio::Result<u32> {
    Ok("three".parse()?)
}

fn in_thread(event_loop: &asyncio::EventLoop) {
    let second = Duration::from_secs(1);

    let quick = asyncio::run_coroutine_threadsafe(async { Ok(3) }, event_loop);
    wait_for_it(&quick, second);

    let failing = asyncio::run_coroutine_threadsafe(fails(), event_loop);
    wait_for_it(&failing, second);

    let slow = asyncio::run_coroutine_threadsafe(asyncio::sleep(Duration::from_secs(3600)), event_loop);
    wait_for_it(&slow, Duration::from_millis(50));
    // It was cancelled, and ends.
    wait_for_it(&slow, second);
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    let event_loop = asyncio::get_running_loop()?;
    asyncio::to_thread(move || in_thread(&event_loop)).await
}

// Expected output:
//
//     The coroutine returned: 3
//     The coroutine raised an exception: invalid digit found in string
//     The coroutine took too long, cancelling the task...
//     The coroutine raised an exception: cancelled
