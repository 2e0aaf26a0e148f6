//! Results in the order in which they come.

use std::time::Duration;

use selvedge as asyncio;

/// Stands for a connection that takes a while to be made.
struct Connection {
    host: &'static str,
}

async fn open_connection(host: &'static str, takes: Duration) -> asyncio::Result<Connection> {
    asyncio::sleep(takes).await?;
    Ok(Connection { host })
}

#[selvedge::main]
async fn main() -> asyncio::Result<()> {
    let ipv4_connect = asyncio::create_task(open_connection("127.0.0.1", Duration::from_secs(2)));
    let ipv6_connect = asyncio::create_task(open_connection("::1", Duration::from_secs(1)));

    // It returns results, not tasks, so a result must say where it comes from.
    let mut connections = asyncio::as_completed([ipv4_connect, ipv6_connect]);
    while let Some(earliest) = connections.next().await {
        if earliest?.host == "::1" {
            println!("IPv6 connection established.");
        } else {
            println!("IPv4 connection established.");
        }
    }
    Ok(())
}

// Expected output:
//
//     IPv6 connection established.
//     IPv4 connection established.
