//! The state machine of one TLS connection: ciphertext and plaintext in and out through [`Host`].
//!
//! It has no clock, no thread and no file descriptor, so a scripted peer can drive it natively.

use std::cell::{Cell, OnceCell, RefCell};
use std::io::{self, BufRead as _, IoSlice, Write as _};

use rustls::Connection;

use crate::established::{self, Established};

/// Ciphertext read from the kernel at once.
const READ_BYTES: usize = 64 * 1024;

/// Envoy's side of one socket.
///
/// `connected` and `drain` may call back into the same [`Socket`].
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
    /// Asks for another call of [`Socket::read`].
    fn read_again(&self);
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
    /// The other end has gone, or a reset is wanted.
    Abrupt,
}

/// Why a connection cannot go on.
enum Stop {
    /// Broken, or closed by Envoy: nothing more to say.
    Gone,
    /// The other end is at fault, or is told so.
    Failed(String),
}

/// One TLS connection.
pub struct Socket {
    tls: RefCell<Connection>,
    /// Plaintext bytes of Envoy's write buffer that are encrypted, but not yet with the kernel.
    in_flight: Cell<usize>,
    closed: Cell<bool>,
    peer_closed: Cell<bool>,
    sent_close_notify: Cell<bool>,
    established: Cell<bool>,
    registered: Cell<Option<u64>>,
    protocol: OnceCell<Vec<u8>>,
    failure: OnceCell<String>,
}

impl Socket {
    /// A connection of which nothing has been sent or received.
    #[must_use]
    pub fn new(tls: Connection) -> Self {
        Self {
            tls: RefCell::new(tls),
            in_flight: Cell::new(0),
            closed: Cell::new(false),
            peer_closed: Cell::new(false),
            sent_close_notify: Cell::new(false),
            established: Cell::new(false),
            registered: Cell::new(None),
            protocol: OnceCell::new(),
            failure: OnceCell::new(),
        }
    }

    /// The transport below is there: a client begins its handshake.
    pub fn start(&self, host: &dyn Host) {
        self.flush(host);
    }

    /// Reads what the kernel has, decrypts and delivers it.
    pub fn read(&self, host: &dyn Host) -> Outcome {
        let mut outcome = Outcome::default();
        let result = with_read_buffer(|buffer| self.read_all(host, buffer, &mut outcome.bytes));
        self.flush(host);
        outcome.end_of_stream = self.peer_closed.get();
        outcome.close = self.closed.get() || result.is_err();
        if let Err(Stop::Failed(reason)) = result {
            // The first failure is the cause; a later one is its echo.
            let _ = self.failure.set(reason);
        }
        outcome
    }

    /// Encrypts what waits to be sent, and writes it.
    pub fn write(&self, host: &dyn Host, end_of_stream: bool) -> Outcome {
        let mut outcome = Outcome::default();
        let result = self.write_all(host, &mut outcome.bytes);
        if result == Io::Done(0) && end_of_stream && self.established.get() {
            self.send_close_notify(host);
        }
        outcome.close = self.closed.get() || result == Io::Failed;
        outcome
    }

    /// Envoy closes the connection.
    pub fn close(&self, host: &dyn Host, close: Close) {
        if close == Close::Orderly && self.established.get() && !self.closed.get() {
            self.send_close_notify(host);
        }
        self.closed.set(true);
    }

    /// The negotiated application protocol; empty before the handshake is done, or if there is none.
    pub fn protocol(&self) -> &[u8] {
        self.protocol.get().map_or(&[], Vec::as_slice)
    }

    /// Why the connection failed, in words without any secret; empty if it did not.
    pub fn failure(&self) -> &str {
        self.failure.get().map_or("", String::as_str)
    }

    /// Whether the handshake is done.
    pub fn is_established(&self) -> bool {
        self.established.get()
    }

    fn read_all(&self, host: &dyn Host, buffer: &mut [u8], total: &mut usize) -> Result<(), Stop> {
        while !self.peer_closed.get() {
            match host.read(buffer) {
                Io::Again => break,
                Io::Failed => return Err(Stop::Gone),
                Io::Done(0) => return Err(self.truncated()),
                Io::Done(count) => {
                    self.feed(host, buffer.get(..count).unwrap_or_default(), total)?;
                }
            }
            if host.wants_a_pause() {
                host.read_again();
                break;
            }
        }
        Ok(())
    }

    /// The transport ended without `close_notify`: what came before may not be all.
    fn truncated(&self) -> Stop {
        if self.established.get() {
            Stop::Failed("closed without close_notify".to_owned())
        } else {
            Stop::Failed("closed during the handshake".to_owned())
        }
    }

    fn feed(&self, host: &dyn Host, mut bytes: &[u8], total: &mut usize) -> Result<(), Stop> {
        while !bytes.is_empty() && !self.peer_closed.get() {
            self.process(&mut bytes)
                .map_err(|error| Stop::Failed(error.to_string()))?;
            self.establish(host)?;
            *total += self.deliver(host);
        }
        Ok(())
    }

    /// Takes some of `bytes` into the TLS machine. The order of what follows matters: nothing is
    /// delivered before the handshake is accepted.
    fn process(&self, bytes: &mut &[u8]) -> Result<(), rustls::Error> {
        let mut tls = self.tls.borrow_mut();
        tls.read_tls(bytes)
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let state = tls.process_new_packets()?;
        self.peer_closed.set(state.peer_has_closed());
        Ok(())
    }

    /// Once, when the handshake has just been done: notes its facts, then tells Envoy.
    fn establish(&self, host: &dyn Host) -> Result<(), Stop> {
        if self.established.get() || self.tls.borrow().is_handshaking() {
            return Ok(());
        }
        let facts = Established::of(&self.tls.borrow()).map_err(|e| Stop::Failed(e.to_string()))?;
        let protocol = self
            .tls
            .borrow()
            .alpn_protocol()
            .unwrap_or_default()
            .to_vec();
        // Set once: this function runs to here once.
        let _ = self.protocol.set(protocol);
        if let Some(id) = host.connection_id() {
            established::remember(id, facts);
            self.registered.set(Some(id));
        }
        self.established.set(true);
        // May re-enter `write` or `close`: nothing is borrowed here.
        host.connected();
        if self.closed.get() {
            Err(Stop::Gone)
        } else {
            Ok(())
        }
    }

    fn deliver(&self, host: &dyn Host) -> usize {
        let mut tls = self.tls.borrow_mut();
        let mut reader = tls.reader();
        let mut total = 0;
        while let Ok(chunk) = reader.fill_buf() {
            let length = chunk.len();
            if length == 0 {
                break;
            }
            host.deliver(chunk);
            reader.consume(length);
            total += length;
        }
        total
    }

    /// `Done(0)` when all is with the kernel. Plaintext is drained only then, so that Envoy's
    /// watermarks and its flush before a close count what is really unsent.
    fn write_all(&self, host: &dyn Host, total: &mut usize) -> Io {
        loop {
            match self.flush(host) {
                Io::Done(_) => {}
                stopped => return stopped,
            }
            let sent = self.in_flight.take();
            host.drain(sent);
            *total += sent;
            if !self.established.get() || self.sent_close_notify.get() {
                return Io::Done(0);
            }
            let encrypted = host.pending(&mut |slices| self.encrypt(slices));
            if encrypted == 0 {
                return Io::Done(0);
            }
            self.in_flight.set(encrypted);
        }
    }

    fn encrypt(&self, slices: &[IoSlice<'_>]) -> usize {
        // Never an error: rustls takes what fits its buffer, and that was empty.
        self.tls
            .borrow_mut()
            .writer()
            .write_vectored(slices)
            .unwrap_or(0)
    }

    /// Hands ciphertext to the kernel: `Done` when none is left.
    fn flush(&self, host: &dyn Host) -> Io {
        let mut tls = self.tls.borrow_mut();
        let mut sink = Sink {
            host,
            stopped: Io::Done(0),
        };
        while tls.wants_write() {
            if tls.write_tls(&mut sink).is_err() {
                break;
            }
        }
        sink.stopped
    }

    fn send_close_notify(&self, host: &dyn Host) {
        if !self.sent_close_notify.replace(true) {
            self.tls.borrow_mut().send_close_notify();
        }
        self.flush(host);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(id) = self.registered.get() {
            established::forget(id);
        }
    }
}

/// [`Host::write`] as rustls wants it.
struct Sink<'a> {
    host: &'a dyn Host,
    stopped: Io,
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

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

thread_local! {
    /// One read buffer per worker, taken while in use: a call that re-enters makes its own.
    static READ_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn with_read_buffer<R>(use_it: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = READ_BUFFER.take();
    buffer.resize(READ_BYTES, 0);
    let result = use_it(&mut buffer);
    READ_BUFFER.set(buffer);
    result
}
