//! The same two coroutines as tasks, which run at the same time: two seconds in all.

use std::time::Duration;

use selvedge as asyncio;

async fn say_after(delay: Duration, what: &str) -> asyncio::Result<()> {
    asyncio::sleep(delay).await?;
    println!("{what}");
    Ok(())
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    let event_loop = asyncio::get_running_loop()?;
    println!("started at {:.1} s", event_loop.time().as_secs_f64());

    let task1 = asyncio::create_task(say_after(Duration::from_secs(1), "hello"));
    let task2 = asyncio::create_task(say_after(Duration::from_secs(2), "world"));

    // Wait until both tasks have ended.
    task1.await?;
    task2.await?;

    println!("finished at {:.1} s", event_loop.time().as_secs_f64());
    Ok(())
}

// Expected output:
//
//     started at 0.0 s
//     hello
//     world
//     finished at 2.0 s
