//! Which methods do a stream and its halves have?

/// The methods for reading, in terms of `self.socket()`.
macro_rules! reading {
    () => {
        /// Reads what is available, up to the length of `buffer`, and waits if there is nothing.
        /// Zero means that the peer has ended its side. (With an empty `buffer` this returns at
        /// once or when there is something to read: do not rely on either.)
        ///
        /// # Errors
        ///
        /// [`CancelledError`](crate::CancelledError); [`std::io::Error`].
        ///
        /// # Cancellation
        ///
        /// No byte is lost: available bytes are returned, or stay for the next read.
        pub fn read(&self, buffer: &mut [u8]) -> impl Future<Output = Result<usize>> {
            self.socket().read(buffer)
        }

        /// As [`read`](Self::read), into several buffers, one after the other.
        pub fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> impl Future<Output = Result<usize>> {
            self.socket().read_vectored(buffers)
        }

        /// Reads until `buffer` is full.
        ///
        /// # Errors
        ///
        /// As [`read`](Self::read), and an [`std::io::Error`] of the kind `UnexpectedEof` if the
        /// peer ends its side before that.
        ///
        /// # Cancellation
        ///
        /// The bytes that have been read so far are in `buffer`, but their number is unknown. A
        /// caller that wants to continue after a cancellation should call [`read`](Self::read) in
        /// its own loop.
        pub fn read_exact(&self, buffer: &mut [u8]) -> impl Future<Output = Result<()>> {
            self.socket().read_exact(buffer)
        }

        /// Reads until the peer ends its side, and appends to `buffer`. Returns the number of bytes
        /// appended.
        ///
        /// # Cancellation
        ///
        /// The bytes that have been read so far are in `buffer`.
        pub async fn read_to_end(&self, buffer: &mut Vec<u8>) -> Result<usize> {
            self.socket().read_to_end(buffer).await
        }

        /// Reads what is available, without waiting.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if there is nothing.
        pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
            self.socket().try_read(buffer)
        }

        #[cfg(unix)]
        $crate::net::readiness::readable! {
            ///
            /// # Examples
            ///
            /// ```
            /// # use selvedge::net::UnixStream;
            /// use std::io::ErrorKind;
            ///
            /// # async fn example(stream: UnixStream) -> selvedge::Result<Vec<u8>> {
            /// let mut all = Vec::new();
            /// loop {
            ///     stream.readable().await?;
            ///     // Made only when there is something for it.
            ///     let mut buffer = vec![0; 4096];
            ///     match stream.try_read(&mut buffer) {
            ///         Ok(0) => return Ok(all),
            ///         Ok(n) => all.extend_from_slice(&buffer[..n]),
            ///         Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            ///         Err(error) => return Err(error.into()),
            ///     }
            /// }
            /// # }
            /// # selvedge::run(async {
            /// # let (one, other) = UnixStream::pair()?;
            /// # one.write_all(b"all of it").await?;
            /// # drop(one);
            /// # assert_eq!(example(other).await?, b"all of it");
            /// # Ok(())
            /// # }).unwrap();
            /// ```
        }
    };
}

/// The methods for writing, in terms of `self.socket()`.
macro_rules! writing {
    () => {
        /// Writes as much as there is space for, and waits if there is none. Returns the number of
        /// bytes written.
        ///
        /// # Errors
        ///
        /// [`CancelledError`](crate::CancelledError); [`std::io::Error`].
        ///
        /// # Cancellation
        ///
        /// If this ends with an error, nothing has been written.
        pub fn write(&self, bytes: &[u8]) -> impl Future<Output = Result<usize>> {
            self.socket().write(bytes)
        }

        /// As [`write`](Self::write), from several slices, one after the other.
        pub fn write_vectored(&self, slices: &[IoSlice<'_>]) -> impl Future<Output = Result<usize>> {
            self.socket().write_vectored(slices)
        }

        /// Writes all of `bytes`. Afterwards the operating system has them, but not necessarily the
        /// peer.
        ///
        /// # Cancellation
        ///
        /// A part may have been written. A caller that must know how much should call
        /// [`write`](Self::write) in its own loop.
        pub fn write_all(&self, bytes: &[u8]) -> impl Future<Output = Result<()>> {
            self.socket().write_all(bytes)
        }

        /// Writes as much as there is space for, without waiting.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if there is no space.
        pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            self.socket().try_write(bytes)
        }

        #[cfg(unix)]
        $crate::net::readiness::writable! {
            ///
            /// # Examples
            ///
            /// ```
            /// # use selvedge::net::UnixStream;
            /// use std::io::ErrorKind;
            ///
            /// # async fn example(stream: UnixStream) -> selvedge::Result<usize> {
            /// let mut sent = 0;
            /// while sent < 1_000_000 {
            ///     stream.writable().await?;
            ///     // Made only when there is space for it.
            ///     let piece = [b'x'; 1000];
            ///     match stream.try_write(&piece) {
            ///         Ok(n) => sent += n,
            ///         Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            ///         Err(error) => return Err(error.into()),
            ///     }
            /// }
            /// # Ok(sent)
            /// # }
            /// # selvedge::run(async {
            /// # let (one, other) = UnixStream::pair()?;
            /// # let sends = selvedge::create_task(example(one));
            /// # let mut read = Vec::new();
            /// # assert_eq!(other.read_to_end(&mut read).await?, sends.await?);
            /// # Ok(())
            /// # }).unwrap();
            /// ```
        }
    };
}

pub(super) use {reading, writing};
