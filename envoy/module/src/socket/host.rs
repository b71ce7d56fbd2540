//! What a socket needs of its host, and tells it.

use std::io::{self, IoSlice};

use crate::open::Wake;
use crate::rotation::Alarm;

/// Envoy's side of one socket.
///
/// `connected` and `drain` may call back into the same [`Socket`](super::Socket).
pub trait Host {
    /// The connection's id, once it has one.
    fn connection_id(&self) -> Option<u64>;
    /// Reads ciphertext; `Done(0)` means that the other end has closed.
    fn read(&self, into: &mut [u8]) -> Io;
    /// Writes ciphertext.
    fn write(&self, bytes: &[u8]) -> Io;
    /// Appends plaintext to what the connection has received.
    fn deliver(&self, plaintext: &[u8]);
    /// Shows plaintext that waits to be sent, and returns what `encrypt` returns.
    fn pending(&self, encrypt: &mut dyn FnMut(&[IoSlice<'_>]) -> usize) -> usize;
    /// Forgets the first `length` bytes that `pending` shows.
    fn drain(&self, length: usize);
    /// Whether enough has been read for now.
    fn wants_a_pause(&self) -> bool;
    /// Asks for another call of [`Socket::read`](super::Socket::read).
    fn read_again(&self);
    /// What asks for another call of [`Socket::read`](super::Socket::read) later; not after the end of the connection.
    fn alarm(&self) -> Alarm;
    /// What has the connection's worker call [`Socket::read`](super::Socket::read), from any thread, until
    /// [`Socket::close`](super::Socket::close) returns.
    fn waker(&self) -> Box<dyn Wake>;
    /// Tells that the handshake is done.
    fn connected(&self);
}

/// Result of reading or writing ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    /// So many bytes were moved.
    Done(usize),
    /// The kernel would block.
    Again,
    /// The connection is broken.
    Failed,
}

/// What a read or a write did to the connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The connection must be closed.
    pub close: bool,
    /// Plaintext bytes delivered, or drained.
    pub bytes: usize,
    /// The other end will send no more.
    pub end_of_stream: bool,
}

/// How the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// This end closes: `close_notify` first.
    Orderly,
    /// This end closes, and a reset is wanted.
    Abrupt,
    /// The other end has gone, or broke TLS.
    ByPeer,
}

/// Ciphertext that is copied to be sent at once; about a record, for larger ones gain nothing.
const MAX_JOINED_BYTES: usize = 16 * 1024;

/// [`Host::write`] as rustls wants it.
pub(super) struct Sink<'a> {
    host: &'a dyn Host,
    stopped: Io,
}

impl<'a> Sink<'a> {
    pub(super) fn new(host: &'a dyn Host) -> Self {
        Self {
            host,
            stopped: Io::Done(0),
        }
    }

    /// What ended the writing: `Done` if nothing did.
    pub(super) fn stopped(&self) -> Io {
        self.stopped
    }
}

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.host.write(bytes) {
            Io::Done(count) if count > 0 => return Ok(count),
            Io::Done(_) | Io::Again => self.stopped = Io::Again,
            Io::Failed => self.stopped = Io::Failed,
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Small records go out together: a send costs more than copying them.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [first, second, ..] if first.len() + second.len() <= MAX_JOINED_BYTES => {
                self.write(&join(slices))
            }
            [first, ..] => self.write(first),
            [] => Ok(0),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As many of the first slices as may be joined.
fn join(slices: &[IoSlice<'_>]) -> Vec<u8> {
    let mut joined = Vec::new();
    for slice in slices {
        if joined.len() + slice.len() > MAX_JOINED_BYTES {
            break;
        }
        joined.extend_from_slice(slice);
    }
    joined
}
