//! The same two coroutines in a task group, which waits for its tasks by itself.

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

    asyncio::task_group(async |tg| {
        tg.create_task(say_after(Duration::from_secs(1), "hello"));
        tg.create_task(say_after(Duration::from_secs(2), "world"));
        Ok(())
    })
    .await?;

    println!("finished at {:.1} s", event_loop.time().as_secs_f64());
    Ok(())
}

// Expected output:
//
//     started at 0.0 s
//     hello
//     world
//     finished at 2.0 s
