//! Does a cancellation reach the right code when hyper serves the connection?

use std::pin::Pin;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::rt::{self, Timer as _};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use selvedge::hyper::Timer;
use selvedge::net::UnixStream;
use selvedge::{Error, Result, Runner, create_task, get_running_loop, sleep, timeout, wait_for};
use selvedge_tests::{LONG, settle};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n";

async fn hello(_: Request<Incoming>) -> Result<Response<String>, Error> {
    Ok(Response::new("hello".into()))
}

async fn serve(stream: UnixStream) -> Result<()> {
    Ok(http1::Builder::new().serve_connection(stream, service_fn(hello)).await?)
}

async fn answer_of(stream: &UnixStream) -> Result<String> {
    stream.write_all(REQUEST).await?;
    let mut answer = [0; 1000];
    let n = stream.read(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer[..n]).into_owned())
}

#[selvedge::test(virtual_time)]
async fn a_connection_at_rest_is_dropped_and_its_task_is_cancelled() -> Result<()> {
    for has_served in [false, true] {
        let (client, server) = UnixStream::pair()?;
        let task = create_task(serve(server));
        if has_served {
            assert!(answer_of(&client).await?.ends_with("hello"));
        }
        settle().await?;
        task.cancel();
        assert!(task.await.expect_err("it was cancelled").is_cancelled(), "served before: {has_served}");
        assert_eq!(client.read(&mut [0; 8]).await?, 0, "the connection is closed");
    }
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_time_limit_around_a_connection_says_that_it_has_passed() -> Result<()> {
    let (_client, server) = UnixStream::pair()?;
    assert!(wait_for(serve(server), Duration::from_secs(30)).await.expect_err("nobody asks").is_timeout());
    let (client, server) = UnixStream::pair()?;
    // In the middle of a request head.
    client.write_all(&REQUEST[..10]).await?;
    let served = timeout(Duration::from_secs(30), async |_| serve(server).await).await;
    assert!(served.expect_err("the head never ends").is_timeout());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_service_that_awaits_is_told_and_may_answer() -> Result<()> {
    let (client, server) = UnixStream::pair()?;
    let task = create_task(async move {
        let slow = service_fn(async |_: Request<Incoming>| {
            let slept = sleep(LONG).await;
            assert!(slept.expect_err("it is cancelled").is_cancelled());
            Ok::<_, Error>(Response::new("told".to_owned()))
        });
        Ok(http1::Builder::new().serve_connection(server, slow).await?)
    });
    client.write_all(REQUEST).await?;
    settle().await?;
    task.cancel();
    let mut answer = [0; 1000];
    let n = client.read(&mut answer).await?;
    assert!(String::from_utf8_lossy(&answer[..n]).ends_with("told"));
    drop(client);
    task.await
}

/// hyper may create a timer before a loop runs.
#[test]
fn a_sleep_made_outside_of_a_loop_takes_its_time_in_the_loop_that_polls_it() {
    let day = Duration::from_hours(24);
    let sleeps = [Timer.sleep(day), Timer.sleep_until(Instant::now() + day), Timer.sleep(Duration::MAX)];
    let at_most = async |sleep: Pin<Box<dyn rt::Sleep>>, limit| {
        let whole = async {
            sleep.await;
            Ok(())
        };
        wait_for(whole, limit).await
    };
    let main = async move {
        let event_loop = get_running_loop()?;
        let [after, until, never] = sleeps;
        for sleep in [after, until] {
            let began = event_loop.time();
            at_most(sleep, 2 * day).await?;
            // The timers have counted since they were made, by the machine's clock.
            assert!(event_loop.time() + LONG > began + day);
        }
        assert!(at_most(never, 2 * day).await.expect_err("it never ends").is_timeout());
        Ok(())
    };
    Runner::builder().virtual_time(true).run(main).unwrap();
}

/// Timers are armed without reading the clock.
#[selvedge::test]
async fn a_sleep_until_a_moment_that_has_passed_ends() -> Result<()> {
    let past = Instant::now();
    while Instant::now() == past {}
    Timer.sleep_until(past).await;
    Timer.sleep(Duration::ZERO).await;
    let mut sleep = Timer.sleep(LONG);
    assert!(futures_util::poll!(&mut sleep).is_pending());
    Timer.reset(&mut sleep, past);
    sleep.await;
    Ok(())
}
