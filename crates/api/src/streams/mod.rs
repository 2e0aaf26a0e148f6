//! asyncio's streams: connections as a reader and a writer, and servers.
//!
//! [`open_connection`] and [`start_server`], and their variants for Unix sockets and for existing
//! sockets, are also at the crate's root, as in asyncio. Each wait is a leaf: a cancellation
//! arrives there as `Err(CancelledError)`, and loses no byte. The streams are built on the sockets
//! of [`net`](crate::net).
//!
//! Differences from asyncio:
//!
//! * A second coroutine that reads from the same reader is a compile-time error.
//! * A cancelled or timed out [`read_to_end`](StreamReader::read_to_end) keeps what it has read; an
//!   error comes after the bytes that came before it.
//! * Nothing is read from a connection before the program asks for it, so a connection whose
//!   program is busy elsewhere holds no memory.
//! * [`StreamWriter::write`] returns an error if the connection is known to be lost.
//!
//! # Examples
//!
//! asyncio's TCP echo server, and its client:
//!
//! ```
//! use selvedge::streams::{StreamReader, StreamWriter};
//! use selvedge::{open_connection, start_server};
//!
//! async fn handle_echo(mut reader: StreamReader, writer: StreamWriter) -> selvedge::Result<()> {
//!     let data = reader.read(100).await?;
//!     writer.write(&data)?;
//!     writer.drain().await?;
//!     writer.close();
//!     writer.wait_closed().await
//! }
//!
//! # selvedge::run(async {
//! let server = start_server(handle_echo, "127.0.0.1:0").await?;
//! let addr = server.local_addrs()[0];
//!
//! let (mut reader, writer) = open_connection(addr).await?;
//! writer.write("Hello World!")?;
//! writer.drain().await?;
//! assert_eq!(reader.read(100).await?, b"Hello World!");
//! writer.close();
//! writer.wait_closed().await?;
//!
//! server.close();
//! server.wait_closed().await
//! # }).unwrap();
//! ```

mod buffer;
mod error;
mod feed;
mod given;
mod happy_eyeballs;
mod link;
mod listener;
mod open;
mod outgoing;
mod reader;
mod separator;
mod serve;
mod server;
mod transport;
mod watched;
mod writer;

pub use self::error::{IncompleteReadError, LimitOverrunError};
pub use self::feed::StreamFeed;
pub use self::given::{IntoConnection, IntoServer};
#[cfg(unix)]
pub use self::open::open_unix_connection;
pub use self::open::{OpenConnection, Opening, open_connection, open_connection_on};
pub use self::reader::{DEFAULT_LIMIT, StreamReader};
pub use self::separator::Separator;
#[cfg(unix)]
pub use self::serve::start_unix_server;
pub use self::serve::{StartServer, Starting, start_server, start_server_on};
pub use self::server::Server;
pub use self::writer::StreamWriter;
