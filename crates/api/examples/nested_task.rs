//! A task runs by itself, and can be awaited or cancelled.

use selvedge as asyncio;

async fn nested() -> asyncio::Result<u32> {
    Ok(42)
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    // From here on it runs beside `main`.
    let task = asyncio::create_task(nested());

    println!("{}", task.await?);
    Ok(())
}

// Expected output:
//
//     42
