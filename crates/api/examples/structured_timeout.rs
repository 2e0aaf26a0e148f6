//! A time limit ends its block, and nothing around it.

use std::time::Duration;

use selvedge as asyncio;

async fn make_request() -> asyncio::Result<()> {
    asyncio::sleep(Duration::from_millis(600)).await?;
    println!("a request was answered");
    Ok(())
}

async fn unrelated_code() -> asyncio::Result<()> {
    asyncio::sleep(Duration::from_secs(1)).await?;
    println!("unrelated code has run");
    Ok(())
}

async fn make_request_with_timeout() -> asyncio::Result<()> {
    let requests = asyncio::timeout(Duration::from_secs(1), async |_cm| {
        make_request().await?;
        make_request().await
    });
    match requests.await {
        Err(error) if error.is_timeout() => println!("There was a timeout"),
        other => other?,
    }
    // Not affected by the timeout, but cancelled with the task.
    unrelated_code().await
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    make_request_with_timeout().await
}

// Expected output:
//
//     a request was answered
//     There was a timeout
//     unrelated code has run
