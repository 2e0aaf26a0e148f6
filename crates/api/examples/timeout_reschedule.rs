//! A time limit that is known only later.

use std::time::Duration;

use selvedge as asyncio;

async fn long_running_task() -> asyncio::Result<()> {
    asyncio::sleep(Duration::from_secs(3600)).await
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    // The limit is not known at the start, hence `None`.
    let limited = asyncio::timeout(None, async |cm| {
        // Now it is known.
        let new_deadline = asyncio::get_running_loop()?.time() + Duration::from_secs(10);
        cm.reschedule(new_deadline)?;

        let outcome = long_running_task().await;
        if cm.expired() {
            println!("Looks like we haven't finished on time.");
        }
        outcome
    })
    .await;
    match limited {
        Err(error) if error.is_timeout() => Ok(()),
        other => other,
    }
}

// Expected output:
//
//     Looks like we haven't finished on time.
