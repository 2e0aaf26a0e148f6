//! A future: a result that a callback sets and a coroutine awaits.

use std::time::Duration;

use selvedge as asyncio;

fn function_that_returns_a_future_object() -> asyncio::Result<asyncio::Future<&'static str>> {
    let event_loop = asyncio::get_running_loop()?;
    let future = event_loop.create_future();
    let ours = future.clone();
    event_loop.call_later(Duration::from_secs(1), move || {
        // The result is an error if other code has set or cancelled the future before.
        let _ = ours.set_result("from a callback");
    });
    Ok(future)
}

async fn some_coroutine() -> asyncio::Result<&'static str> {
    Ok("from a coroutine")
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    println!("{}", function_that_returns_a_future_object()?.await?);

    // This is valid too:
    let both = asyncio::gather((function_that_returns_a_future_object()?, some_coroutine())).await?;
    println!("{both:?}");
    Ok(())
}

// Expected output:
//
//     from a callback
//     ("from a callback", "from a coroutine")
