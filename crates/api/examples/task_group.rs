//! A task group: all its tasks have ended when the block ends.

use std::time::Duration;

use selvedge as asyncio;

async fn some_coro(delay: Duration) -> asyncio::Result<&'static str> {
    asyncio::sleep(delay).returning("some").await
}

async fn another_coro(delay: Duration) -> asyncio::Result<u32> {
    asyncio::sleep(delay).returning(2).await
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    let (task1, task2) = asyncio::task_group(async |tg| {
        let task1 = tg.create_task(some_coro(Duration::from_secs(1)));
        let task2 = tg.create_task(another_coro(Duration::from_secs(2)));
        Ok((task1, task2))
    })
    .await?;
    println!("Both tasks have completed now: {}, {}", task1.result()?, task2.result()?);
    Ok(())
}

// Expected output:
//
//     Both tasks have completed now: some, 2
