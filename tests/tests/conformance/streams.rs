//! Do streams behave as asyncio's? Readers that are fed by hand, and connections over Unix sockets,
//! which add no delays.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use selvedge::streams::{DEFAULT_LIMIT, Server, StreamFeed, StreamReader, StreamWriter};
use selvedge::{
    Error, Result, create_task, get_running_loop, open_connection, open_unix_connection, start_server,
    start_unix_server, wait_for,
};

use crate::check::conformance;
use crate::trace::Trace;
use crate::{ms, pause};

const HUGE: usize = 4_000_000;

/// Bytes, shown as the recorder shows them.
struct Text(Vec<u8>);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

fn text(read: Result<Vec<u8>>) -> Result<Text> {
    read.map(Text)
}

fn fed(limit: usize, pieces: &[&[u8]]) -> Result<(StreamReader, StreamFeed)> {
    let (reader, feed) = StreamReader::with_feed(limit)?;
    for piece in pieces {
        feed.feed_data(piece)?;
    }
    Ok((reader, feed))
}

/// A reader that has all its data.
fn whole(limit: usize, pieces: &[&[u8]]) -> Result<StreamReader> {
    let (reader, feed) = fed(limit, pieces)?;
    feed.feed_eof();
    Ok(reader)
}

/// A server, and its address.
struct Served {
    server: Server,
    path: PathBuf,
}

impl Served {
    async fn by<C, F>(callback: C) -> Result<Served>
    where
        C: Fn(StreamReader, StreamWriter) -> F + Send + Sync + 'static,
        F: Future<Output = Result<()>> + Send + 'static,
    {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("selvedge-{}-{number}", std::process::id()));
        Ok(Served { server: start_unix_server(callback, &path).await?, path })
    }

    async fn connect(&self) -> Result<(StreamReader, StreamWriter)> {
        open_unix_connection(&self.path).await
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.close();
    }
}

async fn a_reader_needs_a_limit(t: Trace) -> Result<()> {
    t.result("zero", &StreamReader::with_feed(0));
    Ok(())
}

async fn read_returns_what_is_there(t: Trace) -> Result<()> {
    let mut reader = whole(DEFAULT_LIMIT, &[b"abc", b"def"])?;
    t.result("none", &text(reader.read(0).await));
    t.result("some", &text(reader.read(4).await));
    t.result("the rest", &text(reader.read(100).await));
    // The reader learns about the end only when it reads it.
    t.value("end", reader.read(1).await?.is_empty() && reader.at_eof());
    t.result("nothing", &text(reader.read(100).await));
    Ok(())
}

async fn read_to_the_end(t: Trace) -> Result<()> {
    let (mut reader, feed) = fed(DEFAULT_LIMIT, &[b"abc"])?;
    let task = create_task(async move { text(reader.read_to_end().await) });
    pause(10).await?;
    feed.feed_data(b"def")?;
    pause(10).await?;
    feed.feed_eof();
    t.outcome("all", task).await;
    Ok(())
}

async fn read_waits_for_something(t: Trace) -> Result<()> {
    let (mut reader, feed) = fed(DEFAULT_LIMIT, &[])?;
    let task = create_task(async move {
        t.result("read", &text(reader.read(100).await));
        t.result("read", &text(reader.read(100).await));
        Ok(())
    });
    pause(10).await?;
    feed.feed_data(b"abc")?;
    pause(10).await?;
    feed.feed_eof();
    task.await
}

async fn readexactly_is_exact(t: Trace) -> Result<()> {
    let mut reader = whole(DEFAULT_LIMIT, &[b"abcd", b"efgh"])?;
    t.result("none", &text(reader.readexactly(0).await));
    t.result("six", &text(reader.readexactly(6).await));
    t.result("four", &text(reader.readexactly(4).await));
    t.value("end", reader.at_eof());
    t.result("one", &text(reader.readexactly(1).await));
    Ok(())
}

async fn readexactly_may_exceed_the_limit(t: Trace) -> Result<()> {
    let mut reader = whole(2, &[b"0123456789"])?;
    t.result("eight", &text(reader.readexactly(8).await));
    Ok(())
}

async fn readuntil_a_separator(t: Trace) -> Result<()> {
    let mut reader = whole(DEFAULT_LIMIT, &[b"one\r", b"\ntwo\r\n", b"three"])?;
    t.result("one", &text(reader.readuntil(b"\r\n").await));
    t.result("two", &text(reader.readuntil(b"\r\n").await));
    t.result("three", &text(reader.readuntil(b"\r\n").await));
    t.value("end", reader.at_eof());
    Ok(())
}

async fn readuntil_waits_for_a_separator_in_parts(t: Trace) -> Result<()> {
    let (mut reader, feed) = fed(DEFAULT_LIMIT, &[])?;
    let task = create_task(async move {
        t.result("piece", &text(reader.readuntil(b"END").await));
        Ok(reader)
    });
    for part in ["on", "eE", "N", "ENE", "ND", "x"] {
        pause(10).await?;
        feed.feed_data(part.as_bytes())?;
    }
    let mut reader = task.await?;
    feed.feed_eof();
    t.result("rest", &text(reader.read(100).await));
    Ok(())
}

async fn readuntil_a_separator_too_far_away(t: Trace) -> Result<()> {
    let mut reader = whole(5, &[b"12345678;rest"])?;
    t.result("piece", &text(reader.readuntil(b";").await));
    t.result("it is all there", &text(reader.readexactly(9).await));
    Ok(())
}

async fn readuntil_a_separator_that_does_not_come(t: Trace) -> Result<()> {
    let (mut reader, feed) = fed(5, &[b"12345678"])?;
    t.result("one byte", &text(reader.readuntil(b";").await));
    t.result("three bytes", &text(reader.readuntil(b";;;").await));
    feed.feed_data(b";")?;
    t.result("it is all there", &text(reader.readexactly(9).await));
    Ok(())
}

async fn readuntil_the_limit_itself(t: Trace) -> Result<()> {
    let mut reader = whole(5, &[b"12345;123456;"])?;
    t.result("five", &text(reader.readuntil(b";").await));
    t.result("six", &text(reader.readuntil(b";").await));
    Ok(())
}

async fn readuntil_nothing(t: Trace) -> Result<()> {
    let mut reader = whole(DEFAULT_LIMIT, &[b"abc"])?;
    t.result("empty", &text(reader.readuntil(b"").await));
    Ok(())
}

async fn readuntil_one_of_several(t: Trace) -> Result<()> {
    let mut reader = whole(DEFAULT_LIMIT, &[b"one\ntwo\r\n", b"abcd", b"x"])?;
    let mut until = async |who, separators: &[&str]| {
        t.result(who, &text(reader.readuntil(separators).await));
    };
    until("first", &["\r\n", "\n"]).await;
    until("second", &["\r\n", ";"]).await;
    until("longer and shorter", &["abcdx", "cd"]).await;
    until("none", &[]).await;
    until("an empty one", &["", "x"]).await;
    until("at the end", &["y", "z"]).await;
    Ok(())
}

async fn readline_to_the_end(t: Trace) -> Result<()> {
    let mut reader = whole(DEFAULT_LIMIT, &[b"one\ntw", b"o\n\nthree"])?;
    for _ in 0..5 {
        t.result("line", &text(reader.readline().await));
    }
    Ok(())
}

async fn readline_drops_a_line_that_is_too_long(t: Trace) -> Result<()> {
    let mut reader = whole(6, &[b"12345678\nshort\n"])?;
    t.result("long", &text(reader.readline().await));
    t.result("short", &text(reader.readline().await));
    Ok(())
}

async fn readline_drops_what_has_come_of_a_line_that_is_too_long(t: Trace) -> Result<()> {
    let (mut reader, feed) = fed(6, &[b"12345678"])?;
    t.result("long", &text(reader.readline().await));
    feed.feed_data(b"9\nshort\n")?;
    t.result("its end", &text(reader.readline().await));
    t.result("short", &text(reader.readline().await));
    Ok(())
}

async fn a_cancelled_readline_keeps_what_has_come(t: Trace) -> Result<()> {
    let (mut reader, feed) = fed(DEFAULT_LIMIT, &[b"half"])?;
    let task = create_task(async move {
        let cancelled = reader.readline().await;
        t.result("cancelled", &text(cancelled));
        Ok(reader)
    });
    pause(10).await?;
    task.cancel();
    let mut reader = task.await?;
    feed.feed_data(b" and half\n")?;
    t.result("line", &text(reader.readline().await));
    Ok(())
}

async fn a_readline_without_time_keeps_what_has_come(t: Trace) -> Result<()> {
    let (mut reader, feed) = fed(DEFAULT_LIMIT, &[b"half"])?;
    t.result("late", &text(wait_for(reader.readline(), ms(10)).await));
    feed.feed_data(b" and half\n")?;
    t.result("line", &text(reader.readline().await));
    Ok(())
}

async fn a_cancelled_read_to_the_end_keeps_what_has_come(t: Trace) -> Result<()> {
    let (mut reader, feed) = fed(DEFAULT_LIMIT, &[b"half"])?;
    let task = create_task(async move {
        let cancelled = reader.read_to_end().await;
        t.result("cancelled", &text(cancelled));
        Ok(reader)
    });
    pause(10).await?;
    task.cancel();
    let mut reader = task.await?;
    feed.feed_data(b" and half")?;
    feed.feed_eof();
    t.result("all", &text(reader.read_to_end().await));
    Ok(())
}

async fn an_error_comes_after_what_came_before_it(t: Trace) -> Result<()> {
    let (mut reader, feed) = fed(DEFAULT_LIMIT, &[b"whole\nha"])?;
    feed.set_exception(Error::msg("cut"));
    t.result("line", &text(reader.readline().await));
    t.result("line", &text(reader.readline().await));
    Ok(())
}

async fn an_error_wakes_who_waits(t: Trace) -> Result<()> {
    let (mut reader, feed) = fed(DEFAULT_LIMIT, &[])?;
    let task = create_task(async move {
        t.result("read", &text(reader.read(1).await));
        t.result("again", &text(reader.read(1).await));
        Ok(())
    });
    pause(10).await?;
    feed.set_exception(Error::msg("cut"));
    task.await
}

async fn lines_until_the_end(t: Trace) -> Result<()> {
    let mut reader = whole(DEFAULT_LIMIT, &[b"one\ntwo\n", b"three"])?;
    while let Some(line) = reader.next_line().await? {
        t.value("line", Text(line));
    }
    Ok(())
}

async fn too_much_pauses_and_little_enough_resumes(t: Trace) -> Result<()> {
    let (mut reader, feed) = fed(4, &[])?;
    for n in [8, 1] {
        feed.feed_data(&vec![b'x'; n])?;
        t.value("paused", feed.is_paused());
    }
    for n in [4, 1] {
        reader.readexactly(n).await?;
        t.value("paused", feed.is_paused());
    }
    Ok(())
}

async fn who_wants_more_resumes(t: Trace) -> Result<()> {
    let (mut reader, feed) = fed(4, &[b"xxxxxxxxx", b"x"])?;
    t.value("paused", feed.is_paused());
    let task = create_task(async move { reader.readexactly(20).await });
    pause(10).await?;
    t.value("paused", feed.is_paused());
    feed.feed_data(b"xxxxxxxxxx")?;
    t.value("sizes", task.await?.len());
    Ok(())
}

async fn drain_waits_for_a_slow_reader(t: Trace) -> Result<()> {
    let go = get_running_loop()?.create_future();
    let served = Served::by({
        let go = go.clone();
        move |mut reader, writer| {
            let go = go.clone();
            async move {
                go.await?;
                t.value("read", reader.read_to_end().await?.len());
                writer.close();
                Ok(())
            }
        }
    })
    .await?;
    let (mut reader, writer) = served.connect().await?;
    let writer = std::sync::Arc::new(writer);
    writer.write([b'x'; 100])?;
    writer.drain().await?;
    t.tell("little is drained at once");
    writer.write(vec![b'x'; HUGE])?;
    t.outcome("drain", wait_for(writer.drain(), ms(10))).await;
    let drain = || {
        let writer = writer.clone();
        create_task(async move { writer.drain().await })
    };
    let several = [drain(), drain(), drain()];
    pause(10).await?;
    t.value("done", several.each_ref().map(selvedge::Task::done));
    go.set_result(())?;
    selvedge::gather(several).await?;
    t.tell("drained");
    writer.write_eof()?;
    reader.read_to_end().await?;
    writer.close();
    writer.wait_closed().await
}

async fn what_nobody_drains_is_sent_even_so(t: Trace) -> Result<()> {
    let served = Served::by(move |mut reader, writer| async move {
        t.value("read", reader.read_to_end().await?.len());
        writer.close();
        Ok(())
    })
    .await?;
    let (mut reader, writer) = served.connect().await?;
    writer.write(vec![b'x'; HUGE])?;
    writer.write_eof()?;
    reader.read_to_end().await?;
    t.tell("answered");
    Ok(())
}

async fn close_sends_the_rest(t: Trace) -> Result<()> {
    let served = Served::by(move |mut reader, writer| async move {
        pause(10).await?;
        t.value("read", reader.read_to_end().await?.len());
        writer.close();
        Ok(())
    })
    .await?;
    let (_, writer) = served.connect().await?;
    writer.write(vec![b'x'; HUGE])?;
    writer.close();
    t.value("closing", writer.is_closing());
    writer.wait_closed().await?;
    t.tell("closed");
    pause(10).await
}

async fn hang_up(_: StreamReader, writer: StreamWriter) -> Result<()> {
    writer.close();
    Ok(())
}

async fn after_the_close_nothing_is_drained(t: Trace) -> Result<()> {
    let served = Served::by(hang_up).await?;
    let (_, writer) = served.connect().await?;
    writer.close();
    writer.wait_closed().await?;
    t.outcome("drain", writer.drain()).await;
    Ok(())
}

async fn after_the_close_nothing_is_written(t: Trace) -> Result<()> {
    let served = Served::by(hang_up).await?;
    let (_, writer) = served.connect().await?;
    writer.close();
    writer.wait_closed().await?;
    t.result("write", &writer.write(b"lost"));
    Ok(())
}

async fn after_the_end_nothing_is_written(t: Trace) -> Result<()> {
    let served = Served::by(async |mut reader, writer| {
        reader.read_to_end().await?;
        writer.close();
        Ok(())
    })
    .await?;
    let (mut reader, writer) = served.connect().await?;
    t.value("can", writer.can_write_eof());
    writer.write_eof()?;
    writer.write_eof()?;
    t.result("write", &writer.write(b"late"));
    reader.read_to_end().await?;
    Ok(())
}

async fn each_connection_has_its_coroutine(t: Trace) -> Result<()> {
    let served = Served::by(async |mut reader, writer| {
        writer.writelines([&b"hello "[..], &reader.readline().await?])?;
        writer.drain().await?;
        writer.close();
        Ok(())
    })
    .await?;
    for name in ["one\n", "two\n"] {
        let (mut reader, writer) = served.connect().await?;
        writer.write(name)?;
        t.result("answer", &text(reader.read_to_end().await));
    }
    Ok(())
}

async fn an_error_of_the_callback_is_reported_and_closes(t: Trace) -> Result<()> {
    let served = Served::by(async |mut reader, _writer| {
        reader.readline().await?;
        Err(Error::msg("no"))
    })
    .await?;
    let (mut reader, writer) = served.connect().await?;
    writer.write(b"go\n")?;
    t.result("answer", &text(reader.read_to_end().await));
    Ok(())
}

async fn a_closed_server_refuses_and_lets_connections_go_on(t: Trace) -> Result<()> {
    let served = Served::by(async |mut reader, writer| {
        writer.write(reader.readline().await?)?;
        writer.close();
        Ok(())
    })
    .await?;
    t.value("serving", served.server.is_serving());
    let (mut reader, writer) = served.connect().await?;
    pause(10).await?;
    served.server.close();
    t.value("serving", served.server.is_serving());
    t.outcome("connect", served.connect()).await;
    writer.write(b"still here\n")?;
    t.result("answer", &text(reader.read_to_end().await));
    Ok(())
}

async fn wait_closed_waits_for_connections(t: Trace) -> Result<()> {
    // The peer sees the end of the connection before the server's coroutine has recorded it, so the
    // scenario waits for `told`.
    let told = get_running_loop()?.create_future();
    let tells = told.clone();
    let served = Served::by(move |mut reader, writer| {
        let tells = tells.clone();
        async move {
            writer.write(reader.readexactly(3).await?)?;
            writer.close();
            writer.wait_closed().await?;
            t.tell("closed");
            tells.set_result(())
        }
    })
    .await?;
    let (mut reader, writer) = served.connect().await?;
    pause(5).await?;
    served.server.close();
    let closing = served.server.clone();
    let waiting = create_task(async move { closing.wait_closed().await });
    pause(5).await?;
    t.value("waits", !waiting.done());
    writer.write(b"bye")?;
    t.result("answer", &text(reader.read_to_end().await));
    waiting.await?;
    t.tell("server is closed");
    told.await
}

async fn close_clients_closes_them(t: Trace) -> Result<()> {
    let served = Served::by(async |mut reader, writer| {
        writer.write(b"hello")?;
        reader.read_to_end().await?;
        writer.close();
        Ok(())
    })
    .await?;
    let (mut reader, _writer) = served.connect().await?;
    pause(10).await?;
    served.server.close();
    served.server.close_clients();
    t.result("answer", &text(reader.read_to_end().await));
    served.server.wait_closed().await?;
    t.tell("server is closed");
    Ok(())
}

async fn abort_clients_drops_the_rest(t: Trace) -> Result<()> {
    let served = Served::by(async |mut reader, writer| {
        writer.write(vec![b'x'; HUGE])?;
        reader.read_to_end().await?;
        Ok(())
    })
    .await?;
    let (mut reader, _writer) = served.connect().await?;
    pause(10).await?;
    served.server.close();
    served.server.abort_clients();
    served.server.wait_closed().await?;
    t.tell("server is closed");
    let size = reader.read_to_end().await?.len();
    t.value("all", i32::from(size == HUGE));
    Ok(())
}

async fn serve_forever_closes_when_it_is_cancelled(t: Trace) -> Result<()> {
    let served = Served::by(hang_up).await?;
    let closing = served.server.clone();
    let task = create_task(async move { closing.serve_forever().await });
    pause(10).await?;
    t.outcome("twice", served.server.serve_forever()).await;
    task.cancel();
    t.outcome("serve_forever", task).await;
    t.value("serving", served.server.is_serving());
    t.outcome("again", served.server.serve_forever()).await;
    t.outcome("connect", served.connect()).await;
    Ok(())
}

async fn serve_forever_ends_when_the_server_is_closed(t: Trace) -> Result<()> {
    let served = Served::by(hang_up).await?;
    let closing = served.server.clone();
    let task = create_task(async move { closing.serve_forever().await });
    pause(10).await?;
    served.server.close();
    t.outcome("serve_forever", task).await;
    Ok(())
}

async fn a_connection_is_refused(t: Trace) -> Result<()> {
    let server = start_server(hang_up, "127.0.0.1:0").await?;
    let addr = server.local_addrs()[0];
    server.close();
    t.outcome("connect", open_connection(addr)).await;
    Ok(())
}

async fn there_is_nobody_at_a_path(t: Trace) -> Result<()> {
    t.outcome("connect", open_unix_connection("/nobody/listens/here")).await;
    Ok(())
}

conformance! {
    "streams";
    same: [
        a_reader_needs_a_limit,
        read_returns_what_is_there,
        read_to_the_end,
        read_waits_for_something,
        readexactly_is_exact,
        readexactly_may_exceed_the_limit,
        readuntil_a_separator,
        readuntil_waits_for_a_separator_in_parts,
        readuntil_a_separator_too_far_away,
        readuntil_a_separator_that_does_not_come,
        readuntil_the_limit_itself,
        readuntil_nothing,
        readuntil_one_of_several,
        readline_to_the_end,
        a_cancelled_readline_keeps_what_has_come,
        a_readline_without_time_keeps_what_has_come,
        an_error_wakes_who_waits,
        lines_until_the_end,
        too_much_pauses_and_little_enough_resumes,
        who_wants_more_resumes,
        drain_waits_for_a_slow_reader,
        what_nobody_drains_is_sent_even_so,
        close_sends_the_rest,
        after_the_close_nothing_is_drained,
        after_the_end_nothing_is_written,
        each_connection_has_its_coroutine,
        an_error_of_the_callback_is_reported_and_closes,
        a_closed_server_refuses_and_lets_connections_go_on,
        wait_closed_waits_for_connections,
        close_clients_closes_them,
        abort_clients_drops_the_rest,
        serve_forever_closes_when_it_is_cancelled,
        a_connection_is_refused,
        there_is_nobody_at_a_path,
    ]
    alone: []
    better: [
        readline_drops_a_line_that_is_too_long => ["0 long: overrun after 8", "0 short: \"short\\n\""],
        readline_drops_what_has_come_of_a_line_that_is_too_long =>
            ["0 long: overrun after 8", "0 its end: \"9\\n\"", "0 short: \"short\\n\""],
        a_cancelled_read_to_the_end_keeps_what_has_come => ["10 cancelled: cancelled", "10 all: \"half and half\""],
        an_error_comes_after_what_came_before_it => ["0 line: \"whole\\n\"", "0 line: error cut"],
        after_the_close_nothing_is_written => ["0 write: connection lost"],
        serve_forever_ends_when_the_server_is_closed => ["10 serve_forever: ()"],
    ]
    whenever: [
        read_returns_what_is_there,
        readexactly_is_exact,
        readuntil_waits_for_a_separator_in_parts,
        readuntil_one_of_several,
        what_nobody_drains_is_sent_even_so,
        each_connection_has_its_coroutine,
        an_error_of_the_callback_is_reported_and_closes,
        wait_closed_waits_for_connections,
        close_clients_closes_them,
        serve_forever_closes_when_it_is_cancelled,
        a_connection_is_refused,
    ]
}
