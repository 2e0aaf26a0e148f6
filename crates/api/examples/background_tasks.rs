//! Tasks in the background: a set of those that have not ended.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use selvedge as asyncio;

async fn some_coro(param: u64) -> asyncio::Result<()> {
    asyncio::sleep(Duration::from_millis(100 * param)).await
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    let background_tasks = Arc::new(Mutex::new(HashSet::new()));

    for i in 0..10 {
        // The loop owns its tasks, so they go on without this set. It only shows which are left.
        let task = asyncio::create_task(some_coro(i)).handle();
        background_tasks.lock().unwrap().insert(task.clone());

        let remaining = Arc::clone(&background_tasks);
        task.add_done_callback(move |task| {
            remaining.lock().unwrap().remove(task);
        });
    }

    asyncio::sleep(Duration::from_millis(450)).await?;
    println!("{} tasks are left", background_tasks.lock().unwrap().len());
    asyncio::sleep(Duration::from_secs(1)).await?;
    println!("{} tasks are left", background_tasks.lock().unwrap().len());
    Ok(())
}

// Expected output:
//
//     5 tasks are left
//     0 tasks are left
