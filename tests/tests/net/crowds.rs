//! Do thousands of connections leave anything behind when they end?

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use selvedge::net::TcpStream;
use selvedge::{Result, Runner, gather, get_running_loop, open_connection, start_server};

use super::{descriptors, in_a_process_of_its_own};

const CONNECTIONS: usize = 10_000;
const AT_ONCE: usize = 50;

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    let name = "crowds::ten_thousand_connections_leave_nothing_behind";
    in_a_process_of_its_own(name, "true", || {
        let runner = Runner::builder().workers(2).build().expect("a loop");
        // The descriptors that come with the first socket of a loop remain open.
        runner
            .run(async {
                start_server(async |_, _| Ok(()), "127.0.0.1:0").await.map(|server| server.close())
            })
            .expect("a server");
        let settled = || runner.get_loop().metrics().sockets == 0;
        assert!(eventually(settled), "a server that was closed is gone");
        // A descriptor that is opened once (a sanitizer opens some itself) is no leak: a leak would
        // grow with each round.
        runner.run(ten_thousand()).expect("all were served");
        assert!(eventually(settled), "{} sockets are still watched", runner.get_loop().metrics().sockets);
        let before = descriptors();
        runner.run(ten_thousand()).expect("all were served");
        assert!(eventually(settled), "{} sockets are still watched", runner.get_loop().metrics().sockets);
        assert!(eventually(|| descriptors() == before), "{} descriptors, {before} before", descriptors());
        runner.close();
    });
}

async fn ten_thousand() -> Result<()> {
    let count = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&count);
    let server = start_server(
        move |mut reader, writer| {
            let counts = Arc::clone(&counts);
            async move {
                let asked = reader.readexactly(4).await?;
                counts.fetch_add(1, Ordering::Relaxed);
                let answered = writer.write(asked);
                // A peer that resets the connection does not wait for its answer.
                assert!(
                    answered.is_ok()
                        || answered.is_err_and(|error| error.io_kind() == Some(ErrorKind::ConnectionReset))
                );
                Ok(())
            }
        },
        "127.0.0.1:0",
    )
    .await?;
    let addr = server.local_addrs()[0];
    let client = |number: usize| async move {
        let asked = u32::try_from(number).expect("there are not so many").to_be_bytes();
        match number % 4 {
            // Dropped without a close.
            0 | 1 => {
                let (mut reader, writer) = open_connection(addr).await?;
                writer.write(asked)?;
                assert_eq!(reader.readexactly(4).await?, asked);
            }
            // Closed, and awaited.
            2 => {
                let (mut reader, writer) = open_connection(addr).await?;
                writer.write(asked)?;
                writer.write_eof()?;
                assert_eq!(reader.read_to_end().await?, asked);
                writer.close();
                writer.wait_closed().await?;
            }
            // Reset.
            _ => {
                let stream = TcpStream::connect(addr).await?;
                stream.write_all(&asked).await?;
                stream.read_exact(&mut [0; 4]).await?;
                stream.set_linger(Duration::ZERO)?;
            }
        }
        Ok(())
    };
    for wave in 0..CONNECTIONS / AT_ONCE {
        gather((0..AT_ONCE).map(|index| client(wave * AT_ONCE + index)).collect::<Vec<_>>()).await?;
    }
    server.close();
    server.wait_closed().await?;
    assert_eq!(count.load(Ordering::Relaxed), CONNECTIONS);
    assert_eq!(server.clients(), 0);
    // The task of the last connection has closed it, and is about to end.
    let event_loop = get_running_loop()?;
    for _ in 0..100_000 {
        if event_loop.all_tasks().len() == 1 {
            return Ok(());
        }
        selvedge::sleep(Duration::ZERO).await?;
    }
    panic!("left: {:?}", event_loop.all_tasks());
}

/// Waits for a condition, because the last connection ends on a worker a moment later.
fn eventually(mut is_so: impl FnMut() -> bool) -> bool {
    for _ in 0..5000 {
        if is_so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}
