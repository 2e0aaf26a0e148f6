//! Is a cancellation delivered at the await, without the loss of a byte?

use std::time::Duration;

use selvedge::Result;
use selvedge::net::UnixStream;

use super::basics::pair;

#[selvedge::test(workers = 2)]
async fn a_read_that_waits_is_told_and_the_stream_is_whole() -> Result<()> {
    let (client, server) = pair().await?;
    let server = std::sync::Arc::new(server);
    for round in 0..20_u8 {
        let reads = server.clone();
        let task = selvedge::create_task(async move { reads.read(&mut [0; 8]).await });
        selvedge::sleep(Duration::ZERO).await?;
        task.cancel();
        assert!(task.await.is_err_and(|error| error.is_cancelled()));
        client.write_all(&[round]).await?;
        let mut byte = [255];
        server.read_exact(&mut byte).await?;
        assert_eq!(byte, [round]);
    }
    Ok(())
}

#[selvedge::test(workers = 1)]
async fn bytes_that_are_there_win_over_a_request_that_comes_with_them() -> Result<()> {
    let (one, other) = UnixStream::pair()?;
    let (began, begun) = futures_channel();
    let reader = selvedge::create_task(async move {
        began.set_result(());
        let mut buffer = [0; 8];
        let first = other.read(&mut buffer).await?;
        // The request is not lost either: it is delivered to the next await.
        let second = other.read(&mut buffer).await;
        assert!(second.is_err_and(|error| error.is_cancelled()));
        Ok(first)
    });
    begun.await?;
    // The reader waits. The bytes and the request come in one step of this task, on the only
    // worker.
    selvedge::sleep(Duration::ZERO).await?;
    one.try_write(b"abc")?;
    reader.cancel();
    assert_eq!(reader.await?, 3);
    Ok(())
}

fn futures_channel() -> (Flag, selvedge::Future<()>) {
    let event_loop = selvedge::get_running_loop().expect("in a loop");
    let future = event_loop.create_future();
    (Flag(future.clone()), future)
}

struct Flag(selvedge::Future<()>);

impl Flag {
    fn set_result(self, (): ()) {
        self.0.set_result(()).expect("set once");
    }
}

#[selvedge::test]
async fn a_time_limit_ends_a_read() -> Result<()> {
    let (_one, other) = UnixStream::pair()?;
    let read = selvedge::wait_for(other.read(&mut [0; 8]), Duration::from_millis(5)).await;
    assert!(read.is_err_and(|error| error.is_timeout()));
    Ok(())
}

#[selvedge::test(workers = 1)]
async fn a_loop_over_a_stream_that_is_always_ready_can_be_cancelled() -> Result<()> {
    let (one, other) = UnixStream::pair()?;
    let talker = selvedge::create_task(async move {
        loop {
            one.write(b"x").await?;
            other.read(&mut [0; 1]).await?;
            if selvedge::current_task().expect("a task").cancelling() == 0 {
                // The same effect as a request from outside while the task runs.
                selvedge::current_task().expect("a task").cancel();
            }
        }
        #[expect(unreachable_code, reason = "it says what the loop returns")]
        Ok(())
    });
    assert!(talker.await.is_err_and(|error| error.is_cancelled()));
    Ok(())
}
