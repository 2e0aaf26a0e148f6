//! `wait_for`: one await with a time limit.

use std::time::Duration;

use selvedge as asyncio;

async fn eternity() -> asyncio::Result<()> {
    asyncio::sleep(Duration::from_secs(3600)).await?;
    println!("yay!");
    Ok(())
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    // Wait for at most a second.
    match asyncio::wait_for(eternity(), Duration::from_secs(1)).await {
        Err(error) if error.is_timeout() => println!("timeout!"),
        other => other?,
    }
    Ok(())
}

// Expected output:
//
//     timeout!
