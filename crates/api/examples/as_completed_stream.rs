//! Results in the order in which they come, as a stream.

use std::time::Duration;

use futures_util::TryStreamExt;
use selvedge as asyncio;

async fn open_connection(host: &'static str, takes: Duration) -> asyncio::Result<&'static str> {
    asyncio::sleep(takes).returning(host).await
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    // Coroutines become tasks.
    let mut connections = asyncio::as_completed([
        open_connection("127.0.0.1", Duration::from_secs(2)),
        open_connection("::1", Duration::from_secs(1)),
    ]);
    while let Some(host) = connections.try_next().await? {
        println!("connected to {host}");
    }
    Ok(())
}

// Expected output:
//
//     connected to ::1
//     connected to 127.0.0.1
