//! Awaiting coroutines, one after the other: three seconds in all.

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

    say_after(Duration::from_secs(1), "hello").await?;
    say_after(Duration::from_secs(2), "world").await?;

    println!("finished at {:.1} s", event_loop.time().as_secs_f64());
    Ok(())
}

// Expected output:
//
//     started at 0.0 s
//     hello
//     world
//     finished at 3.0 s
