//! What does an operation's result say about the next one? A short result does not always mean that
//! all was taken, and an error does not always mean the end.

use std::io::{IoSlice, IoSliceMut};
use std::time::{Duration, Instant};

use selvedge::net::{TcpListener, TcpStream, UnixDatagram, UnixStream};
use selvedge::{Result, sleep, wait_for};

/// More than the operating system takes in one call.
const MANY: usize = 3000;

/// An await that must not wait. An await that times out checks once more and would find the
/// readiness, so the elapsed time is what shows the fault.
async fn at_once(wait: impl Future<Output = Result<usize>>) -> Result<usize> {
    let began = Instant::now();
    let n = wait_for(wait, Duration::from_secs(2)).await?;
    assert!(began.elapsed() < Duration::from_secs(2), "it waited for what had been told already");
    Ok(n)
}

async fn pair() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let one = TcpStream::connect(listener.local_addr()?).await?;
    let (other, _) = listener.accept().await?;
    Ok((one, other))
}

#[selvedge::test]
async fn more_slices_than_the_system_takes_at_once_are_written_bit_by_bit() -> Result<()> {
    let (one, other) = pair().await?;
    let slices = vec![IoSlice::new(b"x"); MANY];
    let mut sent = 0;
    while sent < MANY {
        sent += at_once(one.write_vectored(&slices[sent..])).await?;
    }
    drop(one);
    let mut read = Vec::new();
    assert_eq!(other.read_to_end(&mut read).await?, MANY);
    Ok(())
}

#[selvedge::test]
async fn more_buffers_than_the_system_fills_at_once_are_filled_bit_by_bit() -> Result<()> {
    let (one, other) = pair().await?;
    one.write_all(&[b'x'; MANY]).await?;
    // All bytes are there, and have been reported as ready, before the first read.
    while other.peek(&mut [0; MANY]).await? < MANY {}
    sleep(Duration::from_millis(20)).await?;
    let mut read = 0;
    while read < MANY {
        let mut bytes = vec![[0; 1]; MANY - read];
        let mut buffers: Vec<_> = bytes.iter_mut().map(|byte| IoSliceMut::new(byte)).collect();
        read += at_once(other.read_vectored(&mut buffers)).await?;
    }
    Ok(())
}

/// Linux refuses so many buffers in one call.
#[selvedge::test]
async fn a_unix_stream_may_be_read_into_thousands_of_buffers() -> Result<()> {
    let (one, other) = UnixStream::pair()?;
    one.write_all(&[b'x'; 2000]).await?;
    let mut bytes = vec![[0; 1]; 2000];
    let mut buffers: Vec<_> = bytes.iter_mut().map(|byte| IoSliceMut::new(byte)).collect();
    let first = at_once(other.read_vectored(&mut buffers)).await?;
    assert!((16..2000).contains(&first), "{first}");
    let rest = at_once(other.read_vectored(&mut buffers[first..])).await?;
    assert_eq!((first + rest, bytes), (2000, vec![[b'x']; 2000]));
    Ok(())
}

/// On such a socket each read ends with a packet, whatever follows it.
#[cfg(target_os = "linux")]
#[selvedge::test]
async fn a_socket_of_packets_is_no_stream() -> Result<()> {
    use std::os::fd::OwnedFd;

    let (one, _other) = socket2::Socket::pair(socket2::Domain::UNIX, socket2::Type::SEQPACKET, None)?;
    let error = UnixStream::from_std(OwnedFd::from(one).into()).expect_err("it is no stream");
    assert_eq!(error.io_kind(), Some(std::io::ErrorKind::InvalidInput));
    Ok(())
}

#[cfg(target_os = "linux")]
#[selvedge::test]
async fn a_read_that_ends_at_urgent_data_is_not_the_last() -> Result<()> {
    let (one, other) = pair().await?;
    one.write_all(b"ab").await?;
    socket2::SockRef::from(&one).send_out_of_band(b"!")?;
    one.write_all(b"cd").await?;
    sleep(Duration::from_millis(20)).await?;
    let (mut read, mut buffer) = (Vec::new(), [0; 16]);
    while !read.ends_with(b"cd") {
        let n = at_once(other.read(&mut buffer)).await?;
        read.extend_from_slice(&buffer[..n]);
    }
    Ok(())
}

/// A message that carries a descriptor is read separately from the bytes that follow it.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[selvedge::test]
async fn a_read_that_ends_at_a_passed_descriptor_is_not_the_last() -> Result<()> {
    use std::os::fd::AsRawFd;

    let (one, other) = UnixStream::pair()?;
    let mut control = [0; 24];
    // A `cmsghdr`: its length, SOL_SOCKET, SCM_RIGHTS, and the descriptor.
    control[..8].copy_from_slice(&20_u64.to_ne_bytes());
    control[8..12].copy_from_slice(&1_i32.to_ne_bytes());
    control[12..16].copy_from_slice(&1_i32.to_ne_bytes());
    control[16..20].copy_from_slice(&one.as_raw_fd().to_ne_bytes());
    let bytes = [IoSlice::new(b"ab")];
    let message = socket2::MsgHdr::new().with_buffers(&bytes).with_control(&control);
    assert_eq!(socket2::SockRef::from(&one).sendmsg(&message, 0)?, 2);
    one.write_all(b"cd").await?;
    sleep(Duration::from_millis(20)).await?;
    let (mut read, mut buffer) = (Vec::new(), [0; 16]);
    while !read.ends_with(b"cd") {
        let n = at_once(other.read(&mut buffer)).await?;
        read.extend_from_slice(&buffer[..n]);
    }
    Ok(())
}

/// An error that a packet socket reports is not permanent: the socket can send again, and its
/// sender has to wait when it is full.
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
    // When its receiver connects to another address, the unread packet is discarded, and the sender
    // gets an error.
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
