//! How does a server treat its connections?

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use selvedge::net::{UnixDatagram, UnixListener, UnixStream};
use selvedge::streams::{StreamReader, StreamWriter};
use selvedge::{
    ContextVar, ExceptionContext, Result, RuntimeError, all_tasks, get_running_loop, open_connection,
    open_unix_connection, sleep, start_server, start_unix_server, wait_for,
};
use selvedge_tests::{LONG, Reports};

use super::{served, sockets_come_down_to};

static TENANT: ContextVar<&str> = ContextVar::new("tenant");

#[selvedge::test(workers = 2)]
async fn a_callback_that_panics_ends_its_own_connection_only() -> Result<()> {
    let reports = Reports::of(&get_running_loop()?);
    let (server, mut reader, writer) = served(async |mut reader, writer| {
        let line = reader.readline().await?;
        assert_ne!(line, b"panic\n", "told to");
        writer.write(line)
    })
    .await?;
    let (mut other, asks) = open_connection(&server.local_addrs()[..]).await?;
    writer.write("panic\n")?;
    assert_eq!(reader.read_to_end().await?, b"");
    asks.write("hello\n")?;
    assert_eq!(other.readline().await?, b"hello\n");
    drop((reader, writer, other, asks));
    server.close();
    server.wait_closed().await?;
    let reports = reports_come(&reports, 1).await?;
    assert!(
        reports[0].exception().is_some_and(|error| error.is_panic() && error.to_string().contains("told to"))
    );
    Ok(())
}

/// Waits until there are `n` reports: a task may be reporting just now, on another worker.
async fn reports_come(reports: &Reports, n: usize) -> Result<Vec<ExceptionContext>> {
    for _ in 0..5000 {
        if reports.all().len() >= n {
            break;
        }
        selvedge::sleep(std::time::Duration::from_millis(1)).await?;
    }
    let reports = reports.all();
    assert_eq!(reports.len(), n, "{reports:?}");
    Ok(reports)
}

/// The first step of a callback runs in the connection's task too.
#[selvedge::test(workers = 2)]
async fn a_callback_that_panics_before_its_first_step_does_no_harm() -> Result<()> {
    let reports = Reports::of(&get_running_loop()?);
    let callback = |_: StreamReader, writer: StreamWriter| {
        assert!(writer.peer_addr().is_none(), "it has one");
        std::future::ready(Ok(()))
    };
    let (server, mut reader, _writer) = served(callback).await?;
    assert_eq!(reader.read_to_end().await?, b"");
    assert!(server.is_serving());
    let (mut again, _writer) = open_connection(&server.local_addrs()[..]).await?;
    assert_eq!(again.read_to_end().await?, b"");
    server.close();
    server.wait_closed().await?;
    reports_come(&reports, 2).await?;
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_callbacks_task_that_is_cancelled_closes_its_connection() -> Result<()> {
    let kept = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let keeps = Arc::clone(&kept);
    let (server, mut reader, _writer) = served(move |mut reader, writer| {
        let keeps = Arc::clone(&keeps);
        async move {
            writer.write("ready")?;
            keeps.lock().push(writer);
            reader.read(1).await?;
            Ok(())
        }
    })
    .await?;
    assert_eq!(reader.readexactly(5).await?, b"ready");
    let main = selvedge::current_task().expect("a task");
    let others: Vec<_> = all_tasks().into_iter().filter(|task| *task != main).collect();
    assert_eq!(others.len(), 1, "what accepts is no task of the program's");
    others[0].cancel();
    // The connection is closed although the writer is still alive.
    assert_eq!(reader.read_to_end().await?, b"");
    assert!(kept.lock()[0].is_closing());
    server.close();
    server.wait_closed().await
}

#[selvedge::test(workers = 2)]
async fn what_a_callback_gives_away_lives_on() -> Result<()> {
    let given = get_running_loop()?.create_future();
    let given_away = Arc::new(parking_lot::Mutex::new(None));
    let (told, away) = (given.clone(), Arc::clone(&given_away));
    let (server, mut reader, writer) = served(move |reader, writer| {
        *away.lock() = Some((reader, writer));
        std::future::ready(told.set_result(()))
    })
    .await?;
    given.await?;
    let (mut theirs, answers) = given_away.lock().take().expect("it was given away");
    writer.write("still here?\n")?;
    answers.write(theirs.readline().await?)?;
    assert_eq!(reader.readline().await?, b"still here?\n");
    assert_eq!(server.clients(), 1);
    server.close();
    drop((theirs, answers));
    server.wait_closed().await
}

#[selvedge::test(workers = 2)]
async fn callbacks_have_the_context_of_whoever_started_the_server() -> Result<()> {
    TENANT.set("anna");
    let server = start_server(
        async |_, writer| {
            let before = TENANT.get().unwrap_or("nobody");
            TENANT.set("somebody else");
            writer.write(before)
        },
        "127.0.0.1:0",
    )
    .await?;
    TENANT.set("bert");
    for _ in 0..2 {
        let (mut reader, _writer) = open_connection(&server.local_addrs()[..]).await?;
        assert_eq!(reader.read_to_end().await?, b"anna");
    }
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_server_whose_handle_is_dropped_goes_on() -> Result<()> {
    let server = start_server(async |_, writer| writer.write("here"), "127.0.0.1:0").await?;
    let addrs = server.local_addrs();
    drop(server);
    let (mut reader, _writer) = open_connection(&addrs[..]).await?;
    assert_eq!(reader.read_to_end().await?, b"here");
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_server_listens_at_all_addresses_of_its_name() -> Result<()> {
    let addrs = ["127.0.0.1:0".parse()?, "127.0.0.2:0".parse()?];
    let server = start_server(async |_, writer| writer.write("here"), &addrs[..]).await?;
    let local = server.local_addrs();
    assert_eq!(local.iter().map(SocketAddr::ip).collect::<Vec<_>>(), addrs.map(|addr: SocketAddr| addr.ip()));
    for addr in local {
        let (mut reader, writer) = open_connection(addr).await?;
        assert_eq!((writer.peer_addr(), reader.read_to_end().await?), (Some(addr), b"here".to_vec()));
    }
    server.close();
    assert_eq!(server.local_addrs(), []);
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_closed_server_gives_its_port_back_at_once() -> Result<()> {
    let mut addr = "127.0.0.1:0".parse::<SocketAddr>()?;
    for _ in 0..20 {
        let server = start_server(async |_, writer| writer.write("here"), addr).await?;
        addr = server.local_addrs()[0];
        let (mut reader, writer) = open_connection(addr).await?;
        assert_eq!(reader.read_to_end().await?, b"here");
        server.close();
        server.wait_closed().await?;
        drop((reader, writer));
        sockets_come_down_to(0).await?;
    }
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_closed_server_takes_its_socket_file_away_at_once() -> Result<()> {
    let path = std::env::temp_dir().join(format!("selvedge-closing-{}", std::process::id()));
    for _ in 0..100 {
        let server = start_unix_server(async |_, writer| writer.write("here"), &path).await?;
        // The other worker is busy accepting these.
        let clients = std::iter::repeat_with(|| std::os::unix::net::UnixStream::connect(&path));
        let clients = clients.take(20).collect::<std::io::Result<Vec<_>>>()?;
        server.close();
        assert!(!path.exists());
        drop(clients);
        server.wait_closed().await?;
    }
    Ok(())
}

/// The loop no longer accepts connections, so clients must be refused, and `wait_closed` must not
/// wait.
#[test]
fn a_server_whose_loop_is_closed_is_closed() {
    let started = selvedge::run(async {
        let server =
            start_server(async |mut reader, _| reader.read(1).await.map(|_| ()), "127.0.0.1:0").await?;
        let addr = server.local_addrs()[0];
        let client = std::net::TcpStream::connect(addr)?;
        while server.clients() == 0 {
            sleep(Duration::from_millis(1)).await?;
        }
        Ok((server, addr, client))
    });
    let (server, addr, _client) = started.unwrap();
    assert!(!server.is_serving() && server.clients() == 0);
    assert_eq!(std::net::TcpStream::connect(addr).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    let ended = selvedge::run(async move {
        wait_for(server.wait_closed(), LONG).await?;
        server.serve_forever().await
    });
    assert!(ended.unwrap_err().is::<RuntimeError>());
}

/// Errors contain the path, and a bind that fails outside of a loop leaves no file.
#[cfg(unix)]
#[test]
fn unix_sockets_name_their_path_and_leave_none_without_a_loop() {
    let path = std::env::temp_dir().join(format!("selvedge-nowhere-{}", std::process::id()));
    assert!(UnixListener::bind(&path).is_err() && UnixDatagram::bind(&path).is_err());
    assert!(!path.exists());
    let told = selvedge::run(async move {
        let errors = [
            UnixStream::connect(&path).await.map(|_| ()),
            open_unix_connection(&path).await.map(|_| ()),
            UnixListener::bind(path.join("below")).map(|_| ()),
            UnixDatagram::bind(path.join("below")).map(|_| ()),
            start_unix_server(async |_, _| Ok(()), path.join("below")).await.map(|_| ()),
        ];
        let path = path.display().to_string();
        Ok(errors.map(|error| error.is_err_and(|error| error.to_string().contains(&path))))
    });
    assert_eq!(told.unwrap(), [true; 5]);
}

#[selvedge::test(workers = 2)]
async fn a_socket_file_makes_way_and_another_file_does_not() -> Result<()> {
    let path = std::env::temp_dir().join(format!("selvedge-serving-{}", std::process::id()));
    let old = start_unix_server(async |_, writer| writer.write("old"), &path).await?;
    let new = start_unix_server(async |_, writer| writer.write("new"), &path).await?;
    old.close();
    // The file belongs to the new server.
    let (mut reader, _writer) = open_unix_connection(&path).await?;
    assert_eq!(reader.read_to_end().await?, b"new");
    new.close();
    assert!(!path.exists());
    std::fs::write(&path, "precious")?;
    let error = start_unix_server(async |_, _| Ok(()), &path).await.expect_err("there is a file");
    assert_eq!(error.io_kind(), Some(std::io::ErrorKind::AddrInUse));
    assert_eq!(std::fs::read(&path)?, b"precious");
    std::fs::remove_file(&path)?;
    Ok(())
}

/// A connection that is closed with unread bytes is reset, and on some systems the peer cannot read
/// the answer after that.
#[selvedge::test(workers = 2)]
async fn an_answer_survives_a_question_that_was_not_read() -> Result<()> {
    let server = start_server(
        async |mut reader, writer| {
            reader.read(1).await?;
            writer.write("no thanks")
        },
        "127.0.0.1:0",
    )
    .limit(16)
    .await?;
    for _ in 0..50 {
        let (mut reader, writer) = open_connection(&server.local_addrs()[..]).await?;
        writer.write([b'x'; 10_000])?;
        while server.clients() > 0 {
            selvedge::sleep(std::time::Duration::ZERO).await?;
        }
        assert_eq!(reader.read_to_end().await?, b"no thanks");
        let reset = socket2::SockRef::from(&writer).take_error()?;
        assert!(reset.is_none(), "{reset:?}");
    }
    Ok(())
}
