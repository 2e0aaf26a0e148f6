//! What happens when the operating system has no more descriptors?

use std::fs::File;
use std::time::Duration;

use selvedge::net::TcpStream;
use selvedge::{Result, Runner, get_running_loop, start_server, wait_for};
use selvedge_tests::Reports;

use super::in_a_process_of_its_own;

/// Takes all free descriptors except `left`.
fn take_all_but(left: usize) -> Vec<File> {
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    taken.truncate(taken.len() - left);
    taken
}

#[test]
#[cfg_attr(selvedge_tsan, ignore = "without descriptors it cannot look up the names of what is suppressed")]
fn a_server_without_descriptors_reports_pauses_and_recovers() {
    let name = "exhaustion::a_server_without_descriptors_reports_pauses_and_recovers";
    in_a_process_of_its_own(name, "ulimit -n 64", || {
        Runner::builder().workers(2).run(scarce()).expect("it recovers");
    });
}

async fn scarce() -> Result<()> {
    let event_loop = get_running_loop()?;
    let (told, reports) = (event_loop.create_future(), Reports::default());
    let server = start_server(async |_, writer| writer.write("at last"), "127.0.0.1:0").await?;
    event_loop.set_exception_handler({
        let (told, reports) = (told.clone(), reports.clone());
        move |_, context| {
            reports.note(context);
            let _ = told.set_result(());
        }
    });
    let taken = take_all_but(1);
    // The client takes the last descriptor, so the server's side of the connection waits in the
    // backlog.
    let client = TcpStream::connect(server.local_addrs()[0]).await?;
    told.await?;
    let polls = |event_loop: &selvedge::EventLoop| {
        event_loop.metrics().workers.iter().map(|it| it.polls).sum::<u64>()
    };
    let before = polls(&event_loop);
    let mut answer = [0; 7];
    let early = wait_for(client.read_exact(&mut answer), Duration::from_millis(100)).await;
    assert!(early.is_err_and(|error| error.is_timeout()), "there is no descriptor for the server's side");
    assert!(polls(&event_loop) - before < 50, "it does not try all the time");
    let more =
        TcpStream::connect(server.local_addrs()[0]).await.expect_err("there is none for a client either");
    assert_eq!(more.raw_os_error(), Some(24), "{more}");
    drop(taken);
    client.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"at last");
    let messages = reports.messages();
    assert!((1..=2).contains(&messages.len()), "{messages:?}");
    assert!(
        messages.iter().all(|message| message == "socket.accept() out of system resource"),
        "{messages:?}"
    );
    Ok(())
}
