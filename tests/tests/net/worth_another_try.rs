//! What an attempt says about the next one: less than was asked for is not always all there was, and an error is not always the end.

use std::time::Duration;

use selvedge::net::UnixDatagram;
use selvedge::{Result, sleep, wait_for};

/// An error that a packet socket reports passes; it can be sent to again, and has to be waited for.
#[selvedge::test]
async fn a_socket_that_had_an_error_can_still_be_full() -> Result<()> {
    let path = |name| std::env::temp_dir().join(format!("selvedge-{}-{name}", std::process::id()));
    let (here, there, elsewhere) = (path("here"), path("there"), path("elsewhere"));
    let one = UnixDatagram::bind(&here)?;
    let other = UnixDatagram::bind(&there)?;
    let third = UnixDatagram::bind(&elsewhere)?;
    one.connect(&there)?;
    other.connect(&here)?;
    one.send(b"unread").await?;
    // What lies unread is gone when its receiver turns to somebody else, and the sender is told.
    other.connect(&elsewhere)?;
    sleep(Duration::from_millis(20)).await?;
    assert!(one.send(b"again").await.is_err());
    one.connect(&elsewhere)?;
    for path in [here, there, elsewhere] {
        std::fs::remove_file(path)?;
    }
    let fills = async {
        loop {
            one.send(b"more").await?;
        }
    };
    let full: Result<()> = wait_for(fills, Duration::from_millis(100)).await;
    assert!(full.is_err(), "it was full for ever");
    drop(third);
    Ok(())
}
