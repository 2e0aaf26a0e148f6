//! Sleeping: the loop's time, each second for five seconds.

use std::time::Duration;

use selvedge as asyncio;

const SECOND: Duration = Duration::from_secs(1);

async fn display_date() -> asyncio::Result<()> {
    let event_loop = asyncio::get_running_loop()?;
    let end_time = event_loop.time() + 5 * SECOND;
    loop {
        println!("{} s", event_loop.time().as_secs());
        if event_loop.time() + SECOND >= end_time {
            return Ok(());
        }
        asyncio::sleep(SECOND).await?;
    }
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    display_date().await
}

// Expected output:
//
//     0 s
//     1 s
//     2 s
//     3 s
//     4 s
