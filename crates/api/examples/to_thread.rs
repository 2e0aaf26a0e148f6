//! A function that blocks runs on a thread of the pool, and the loop goes on.

use std::thread;
use std::time::Duration;

use selvedge as asyncio;

fn blocking_io() {
    println!("start blocking_io");
    // Represents anything that blocks: reading files, a library that does not use coroutines.
    thread::sleep(Duration::from_millis(50));
    println!("blocking_io complete");
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    println!("started main");
    asyncio::gather((asyncio::to_thread(blocking_io), asyncio::sleep(Duration::from_secs(1)))).await?;
    println!("finished main");
    Ok(())
}

// Expected output:
//
//     started main
//     start blocking_io
//     blocking_io complete
//     finished main
