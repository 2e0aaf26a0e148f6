//! What happens when one side is slower than the other, and how many bytes are in memory meanwhile?

use std::sync::Arc;
use std::time::Duration;

use selvedge::{Result, create_task, get_running_loop, wait_for};

use super::{pattern, served};

const HIGH_WATER: usize = 64 * 1024;
const LOW_WATER: usize = 16 * 1024;

#[selvedge::test(workers = 2)]
async fn who_drains_has_little_in_memory_however_slow_the_reader_is() -> Result<()> {
    const PIECE: usize = 10_000;
    let go = get_running_loop()?.create_future();
    let (_server, mut answers, writer) = served({
        let go = go.clone();
        move |mut reader, writer| {
            let go = go.clone();
            async move {
                go.await?;
                let read = reader.read_to_end().await?;
                writer.write(format!("{} {}", read.len(), read == pattern(read.len())))
            }
        }
    })
    .await?;
    let bytes = pattern(20_000_000);
    let mut pieces = bytes.chunks(PIECE);
    let mut sent = 0;
    // Until the operating system's buffers and ours are full.
    loop {
        let piece = pieces.next().expect("it takes less than all to fill the buffers");
        writer.write(piece)?;
        sent += piece.len();
        assert!(writer.unsent() <= HIGH_WATER + PIECE, "{} kept", writer.unsent());
        if writer.unsent() > HIGH_WATER {
            break;
        }
        writer.drain().await?;
    }
    let late = wait_for(writer.drain(), Duration::from_millis(5)).await;
    assert!(late.is_err_and(|error| error.is_timeout()), "nobody reads");
    go.set_result(())?;
    writer.drain().await?;
    assert!(writer.unsent() <= LOW_WATER, "{} kept", writer.unsent());
    writer.write_eof()?;
    assert_eq!(answers.read_to_end().await?, format!("{sent} true").into_bytes());
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_reader_takes_no_more_than_twice_its_limit() -> Result<()> {
    const LIMIT: usize = 1000;
    let checked = get_running_loop()?.create_future();
    let server = selvedge::start_server(
        {
            let checked = checked.clone();
            move |mut reader, _writer| {
                let checked = checked.clone();
                async move {
                    let mut most = 0;
                    let mut lines = 0;
                    while reader.next_line().await?.is_some() {
                        lines += 1;
                        most = most.max(reader.buffered());
                    }
                    checked.set_result((lines, most))
                }
            }
        },
        "127.0.0.1:0",
    )
    .limit(LIMIT)
    .await?;
    let (_, writer) = selvedge::open_connection(&server.local_addrs()[..]).await?;
    writer.write("a line of some length\n".repeat(50_000))?;
    drop(writer);
    let (lines, most) = checked.await?;
    assert_eq!(lines, 50_000);
    assert!((LIMIT / 2..=2 * LIMIT).contains(&most), "{most} bytes were read ahead");
    Ok(())
}

#[selvedge::test(workers = 4)]
async fn tasks_that_write_through_one_reference_do_not_mix_their_pieces() -> Result<()> {
    const TASKS: u8 = 4;
    const ROUNDS: u16 = 300;
    let (_server, mut reader, writer) = served(async |mut reader, writer| {
        while let piece = reader.read(5_000).await?
            && !piece.is_empty()
        {
            writer.write(&piece)?;
            writer.drain().await?;
        }
        Ok(())
    })
    .await?;
    let writer = Arc::new(writer);
    let write = |task| {
        let writer = Arc::clone(&writer);
        create_task(async move {
            for round in 0..ROUNDS {
                // A head, and so many bytes that one write often does not send them all.
                let body = vec![task; 3000];
                writer.writelines([&[task][..], &round.to_be_bytes(), &body])?;
                writer.drain().await?;
            }
            Ok(())
        })
    };
    let tasks: Vec<_> = (0..TASKS).map(write).collect();
    let mut next = [0; TASKS as usize];
    for _ in 0..u16::from(TASKS) * ROUNDS {
        let record = reader.readexactly(3003).await?;
        let round = u16::from_be_bytes([record[1], record[2]]);
        assert_eq!(round, next[usize::from(record[0])], "of task {}", record[0]);
        next[usize::from(record[0])] += 1;
        assert!(record[3..].iter().all(|byte| *byte == record[0]));
    }
    selvedge::gather(tasks).await?;
    Ok(())
}
