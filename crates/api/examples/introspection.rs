//! Which task is running, and which others are there?

use std::time::Duration;

use selvedge as asyncio;

async fn who_am_i() -> asyncio::Result<()> {
    let task = asyncio::current_task().expect("a coroutine runs in a task");
    println!("this is {}", task.get_name());
    asyncio::sleep(Duration::from_secs(3600)).await
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    let task = asyncio::create_task(who_am_i()).named("the curious one");
    asyncio::sleep(Duration::from_secs(1)).await?;

    let others =
        asyncio::all_tasks().into_iter().filter(|other| Some(other) != asyncio::current_task().as_ref());
    for other in others {
        println!("{} is not done", other.get_name());
    }
    task.cancel();
    Ok(())
}

// Expected output:
//
//     this is the curious one
//     the curious one is not done
