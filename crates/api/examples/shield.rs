//! A task that goes on when the task that awaits it is cancelled.

use std::time::Duration;

use selvedge as asyncio;

async fn something() -> asyncio::Result<&'static str> {
    asyncio::sleep(Duration::from_secs(2)).await?;
    println!("something is done");
    Ok("its result")
}

async fn waits() -> asyncio::Result<()> {
    let mut task = asyncio::create_task(something());
    // Without a cancellation, this is the same as awaiting the task.
    let shielded = task.shielded().await;
    let result = match shielded {
        Err(error) if error.is_cancelled() => {
            println!("told to stop");
            None
        }
        other => Some(other?),
    };
    println!("{result:?}");
    // The task was not cancelled.
    println!("{}", task.await?);
    Ok(())
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    let waiting = asyncio::create_task(waits());
    asyncio::sleep(Duration::from_secs(1)).await?;
    waiting.cancel();
    waiting.await
}

// Expected output:
//
//     told to stop
//     None
//     something is done
//     its result
