//! A coroutine can be awaited; one that is never awaited does nothing.

use selvedge as asyncio;

async fn nested() -> asyncio::Result<u32> {
    Ok(42)
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    // Created and not awaited: it never runs. Without the `drop` the compiler warns.
    drop(nested());

    println!("{}", nested().await?);
    Ok(())
}

// Expected output:
//
//     42
