//! A time limit that is a point of the loop's time.

use std::time::Duration;

use selvedge as asyncio;

async fn long_running_task() -> asyncio::Result<()> {
    asyncio::sleep(Duration::from_secs(3600)).await
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    let deadline = asyncio::get_running_loop()?.time() + Duration::from_secs(20);
    let limited = asyncio::timeout_at(deadline, async |_cm| long_running_task().await).await;
    match limited {
        Err(error) if error.is_timeout() => println!("The long operation timed out, but we've handled it."),
        other => other?,
    }
    println!("This statement will run regardless.");
    Ok(())
}

// Expected output:
//
//     The long operation timed out, but we've handled it.
//     This statement will run regardless.
