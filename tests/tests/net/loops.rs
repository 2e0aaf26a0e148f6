//! How do sockets behave when they are used outside of their loop?

use std::future::poll_fn;
use std::sync::mpsc;

use selvedge::net::{TcpListener, UnixStream};
use selvedge::{Runner, create_task, open_connection, run_coroutine_threadsafe, start_server};

use super::{pattern, served};

fn runner(workers: usize) -> Runner {
    Runner::builder().workers(workers).build().expect("a loop")
}

#[test]
fn plain_threads_open_sockets_by_the_dozen() {
    const THREADS: usize = 8;
    const EACH: usize = 25;
    let runner = runner(2);
    let event_loop = runner.get_loop();
    let server = runner
        .run(async {
            start_server(async |mut reader, writer| writer.write(reader.readline().await?), "127.0.0.1:0")
                .await
        })
        .expect("a server");
    let addr = server.local_addrs()[0];
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let event_loop = &event_loop;
            scope.spawn(move || {
                for round in 0..EACH {
                    let line = format!("{thread} {round}\n");
                    let asked = line.clone();
                    let ask = async move {
                        let (mut reader, writer) = open_connection(addr).await?;
                        writer.write(asked)?;
                        reader.readline().await
                    };
                    let answer = run_coroutine_threadsafe(ask, event_loop).result(None).expect("an answer");
                    assert_eq!(answer, line.into_bytes());
                }
            });
        }
    });
    server.close();
    runner.run(async move { server.wait_closed().await }).expect("it ends");
    runner.close();
}

/// A writer belongs to its loop, which sends the bytes that a thread without a loop could not send
/// at once.
#[test]
fn a_plain_thread_writes_more_than_goes_at_once() {
    let runner = runner(1);
    let bytes = pattern(5_000_000);
    let received = runner.run(async {
        let (_server, mut reader, writer) = served(async |mut reader, writer| {
            let read = reader.read_to_end().await?;
            writer.write(format!("{} {}\n", read.len(), read == pattern(read.len())))
        })
        .await?;
        std::thread::spawn(move || {
            for piece in bytes.chunks(700_000) {
                writer.write(piece).expect("it is open");
            }
        })
        .join()
        .expect("no panic");
        reader.readline().await
    });
    assert_eq!(received.expect("an answer"), b"5000000 true\n");
}

#[test]
fn a_task_of_another_loop_reads_what_this_one_writes() {
    let (home, other) = (runner(1), runner(1));
    let (one, their) = home.run(async { UnixStream::pair() }).expect("a pair");
    let echo = other.get_loop().create_task(async move {
        let mut buffer = [0; 1000];
        while let n = their.read(&mut buffer).await?
            && n > 0
        {
            their.write_all(&buffer[..n]).await?;
        }
        Ok(())
    });
    let answered = home.run(async move {
        for round in 0..100_u8 {
            one.write_all(&[round]).await?;
            let mut back = [0];
            one.read_exact(&mut back).await?;
            assert_eq!(back, [round]);
        }
        Ok(())
    });
    answered.expect("a hundred answers");
    other.run(echo).expect("it ends with its peer");
    assert_eq!((home.get_loop().metrics().sockets, other.get_loop().metrics().sockets), (0, 0));
}

#[test]
fn a_loop_that_closes_tells_those_who_wait_elsewhere() {
    for what in ["read", "readable", "accept", "stream"] {
        let (home, other) = (runner(1), runner(1));
        let sockets = home.run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let opened = open_connection(listener.local_addr()?).await?;
            let accepted = listener.accept().await?;
            Ok((UnixStream::pair()?, listener, opened, accepted))
        });
        let (began, wait) = mpsc::channel();
        let ((one, _two), listener, (mut reader, _writer), _accepted) = sockets.expect("sockets");
        // No data ever come to any of them.
        let waits = other.get_loop().create_task(async move {
            match what {
                "read" => telling(began, one.read(&mut [0; 8])).await.map(drop),
                "readable" => telling(began, one.readable()).await,
                "accept" => telling(began, listener.accept()).await.map(drop),
                _ => telling(began, reader.read_to_end()).await.map(drop),
            }
        });
        wait.recv().expect("it waits");
        home.close();
        let error = other.run(waits).expect_err("nobody watches");
        assert!(error.to_string().contains("closed"), "{what}: {error}");
    }
}

/// Awaits `future`, and reports when the wait has begun.
async fn telling<F: Future>(began: mpsc::Sender<()>, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        let _ = began.send(());
        polled
    })
    .await
}

/// Bytes that were written and not sent are given up, and the loop reports that.
#[test]
fn a_loop_that_closes_gives_up_what_is_unsent() {
    let home = runner(2);
    let (listener, writer) = home
        .run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let (_, writer) = open_connection(listener.local_addr()?).await?;
            writer.write(vec![0; 20_000_000])?;
            assert!(writer.unsent() > 0, "nobody reads");
            Ok((listener, writer))
        })
        .expect("a connection");
    home.close();
    assert_eq!(writer.unsent(), 0);
    let error = writer.write(b"more").expect_err("nobody sends it");
    assert!(error.to_string().contains("closed"), "{error}");
    let closed = selvedge::run(async move { writer.wait_closed().await }).expect_err("it was not sent");
    assert!(closed.to_string().contains("closed"), "{closed}");
    drop(listener);
}

#[test]
fn a_loop_that_ends_with_servers_and_connections_takes_them_along() {
    let addr = selvedge::run(async {
        let server = start_server(
            async |mut reader, _writer| {
                reader.read_to_end().await?;
                Ok(())
            },
            "127.0.0.1:0",
        )
        .await?;
        let addr = server.local_addrs()[0];
        let (reader, writer) = open_connection(addr).await?;
        let mut held = reader;
        drop(create_task(async move {
            let _writer = writer;
            held.read(1).await
        }));
        Ok(addr)
    })
    .expect("it ends");
    assert!(std::net::TcpStream::connect(addr).is_err(), "nobody listens any more");
}
