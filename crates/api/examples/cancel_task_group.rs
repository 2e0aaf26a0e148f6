//! Ending a task group from within, with `cancel`: the tasks that it ends do not count as failed.

use std::time::Duration;

use selvedge as asyncio;

async fn job(task_id: u32, sleep_time: Duration) -> asyncio::Result<()> {
    println!("Task {task_id}: start");
    asyncio::sleep(sleep_time).await?;
    println!("Task {task_id}: done");
    Ok(())
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    asyncio::task_group(async |group| {
        group.create_task(job(1, Duration::from_millis(500)));
        group.create_task(job(2, Duration::from_millis(1500)));
        asyncio::sleep(Duration::from_secs(1)).await?;
        group.cancel();
        Ok(())
    })
    .await
}

// Expected output:
//
//     Task 1: start
//     Task 2: start
//     Task 1: done
