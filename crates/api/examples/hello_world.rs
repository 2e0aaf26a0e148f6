//! A coroutine that prints, waits a second, and prints again.

use std::time::Duration;

use selvedge as asyncio;

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    println!("hello");
    asyncio::sleep(Duration::from_secs(1)).await?;
    println!("world");
    Ok(())
}

// Expected output:
//
//     hello
//     world
