//! `wait`: which tasks are done, and which are not?

use std::time::Duration;

use selvedge as asyncio;

async fn foo() -> asyncio::Result<u32> {
    Ok(42)
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    let task = asyncio::create_task(foo());
    let other = asyncio::create_task(asyncio::sleep(Duration::from_secs(3600)));

    // Handles have the same type for tasks of different types.
    let (done, pending) =
        asyncio::wait([task.handle(), other.handle()]).return_when(asyncio::FIRST_COMPLETED).await?;
    if done.contains(&task.handle()) {
        println!("done: {}", task.await?);
    }
    if pending.contains(&other.handle()) {
        println!("pending: the other one, which nobody cancelled");
    }
    Ok(())
}

// Expected output:
//
//     done: 42
//     pending: the other one, which nobody cancelled
