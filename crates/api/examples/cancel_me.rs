//! A cancelled task gets an error at its await.

use std::time::Duration;

use selvedge as asyncio;

async fn cancel_me() -> asyncio::Result<()> {
    println!("cancel_me(): before sleep");
    // Wait for an hour.
    let slept = asyncio::sleep(Duration::from_secs(3600)).await;
    if slept.as_ref().is_err_and(asyncio::Error::is_cancelled) {
        println!("cancel_me(): cancel sleep");
    }
    println!("cancel_me(): after sleep");
    slept
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    // Create a task.
    let task = asyncio::create_task(cancel_me());

    // Wait for a second.
    asyncio::sleep(Duration::from_secs(1)).await?;

    task.cancel();
    match task.await {
        Err(error) if error.is_cancelled() => println!("main(): cancel_me is cancelled now"),
        other => other?,
    }
    Ok(())
}

// Expected output:
//
//     cancel_me(): before sleep
//     cancel_me(): cancel sleep
//     cancel_me(): after sleep
//     main(): cancel_me is cancelled now
