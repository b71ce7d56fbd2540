//! The state machine of one TLS connection: ciphertext and plaintext in and out through [`Host`].
//!
//! It has no thread and no file descriptor, so a scripted peer can drive it natively.

use std::cell::{Cell, OnceCell, RefCell};
use std::io::{self, BufRead as _, IoSlice, Write as _};
use std::sync::Arc;

use rustls::{Connection, Error, HandshakeKind};
use rustls_pki_types::UnixTime;

use crate::config::Direction;
use crate::downstream::{self, Downstream};
use crate::failure::Failure;
use crate::generation::Generation;
use crate::metrics::{Handshake, count_handshake};
use crate::upstream::{self, Upstream};
use crate::waiting;

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
    /// The transport ended without `close_notify`.
    Truncated,
    /// TLS failed.
    Tls(Error),
}

/// One TLS connection.
pub struct Socket {
    tls: RefCell<Connection>,
    generation: Arc<Generation>,
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
    ///
    /// # Errors
    /// As [`Generation::open`].
    pub fn open(generation: Arc<Generation>) -> Result<Self, Error> {
        Ok(Self {
            tls: RefCell::new(generation.open()?),
            generation,
            in_flight: Cell::new(0),
            closed: Cell::new(false),
            peer_closed: Cell::new(false),
            sent_close_notify: Cell::new(false),
            established: Cell::new(false),
            registered: Cell::new(None),
            protocol: OnceCell::new(),
            failure: OnceCell::new(),
        })
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
        if let Err(stop) = result {
            self.note(&stop);
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
        self.note(&Stop::Gone);
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
                Io::Done(0) => return Err(Stop::Truncated),
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

    /// Keeps the cause of the connection's end; a later one is only its echo.
    fn note(&self, stop: &Stop) {
        if self.failure.get().is_some() {
            return;
        }
        let (failure, reason) = match stop {
            Stop::Gone if self.established.get() => return,
            Stop::Truncated if self.established.get() => return self.note_truncation(),
            Stop::Gone | Stop::Truncated => {
                (Failure::Closed, "closed during the handshake".to_owned())
            }
            Stop::Tls(error) => (Failure::of(error), error.to_string()),
        };
        let _ = self.failure.set(reason);
        // In TLS 1.3 a client is done before it learns that the server refuses it.
        if !self.established.get() || failure == Failure::Alert {
            count_handshake(self.generation.direction(), Handshake::Failed(failure));
        }
    }

    /// What came before may not be all.
    fn note_truncation(&self) {
        let _ = self.failure.set("closed without close_notify".to_owned());
        if let Some(connection) = self
            .registered
            .get()
            .and_then(|id| upstream::CONNECTIONS.recall(id))
        {
            connection.mark_truncated();
        }
    }

    fn feed(&self, host: &dyn Host, mut bytes: &[u8], total: &mut usize) -> Result<(), Stop> {
        while !bytes.is_empty() && !self.peer_closed.get() {
            self.process(&mut bytes).map_err(Stop::Tls)?;
            self.establish(host)?;
            *total += self.deliver(host);
        }
        Ok(())
    }

    /// Takes some of `bytes` into the TLS machine. The order of what follows matters: nothing is
    /// delivered before the handshake is accepted.
    fn process(&self, bytes: &mut &[u8]) -> Result<(), Error> {
        let mut tls = self.tls.borrow_mut();
        tls.read_tls(bytes)
            .map_err(|error| Error::General(error.to_string()))?;
        let state = tls.process_new_packets()?;
        self.peer_closed.set(state.peer_has_closed());
        Ok(())
    }

    /// Once, when the handshake has just been done: notes its facts, then tells Envoy.
    fn establish(&self, host: &dyn Host) -> Result<(), Stop> {
        if self.established.get() || self.tls.borrow().is_handshaking() {
            return Ok(());
        }
        self.accept(host).map_err(Stop::Tls)?;
        self.established.set(true);
        // May re-enter `write` or `close`: nothing is borrowed here.
        host.connected();
        if self.generation.direction() == Direction::Upstream {
            waiting::wake();
        }
        if self.closed.get() {
            Err(Stop::Gone)
        } else {
            Ok(())
        }
    }

    fn accept(&self, host: &dyn Host) -> Result<(), Error> {
        let tls = self.tls.borrow();
        let direction = self.generation.direction();
        let resumed = tls.handshake_kind() == Some(HandshakeKind::Resumed);
        if resumed {
            let chain = tls.peer_certificates().unwrap_or_default();
            self.generation.recheck().recheck(chain, UnixTime::now())?;
        }
        // Set once: this function succeeds once.
        let _ = self
            .protocol
            .set(tls.alpn_protocol().unwrap_or_default().to_vec());
        if let Some(id) = host.connection_id() {
            self.register(id, &tls)?;
        }
        count_handshake(direction, Handshake::Done);
        if resumed {
            count_handshake(direction, Handshake::Resumed);
        }
        Ok(())
    }

    fn register(&self, id: u64, tls: &Connection) -> Result<(), Error> {
        let general = |error: &dyn std::error::Error| Error::General(error.to_string());
        match (tls, self.generation.signer()) {
            (Connection::Server(tls), _) => {
                let facts = Downstream::of(tls).map_err(|error| general(&error))?;
                downstream::CONNECTIONS.remember(id, facts);
            }
            (Connection::Client(tls), Some(signer)) => {
                let facts = Upstream::of(tls, signer).map_err(|error| general(&error))?;
                upstream::CONNECTIONS.remember(id, facts);
            }
            (Connection::Client(_), None) => return Err(Error::General("no signer".to_owned())),
        }
        self.registered.set(Some(id));
        Ok(())
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
        let Some(id) = self.registered.get() else {
            return;
        };
        match self.generation.direction() {
            Direction::Downstream => downstream::CONNECTIONS.forget(id),
            Direction::Upstream => {
                upstream::CONNECTIONS.forget(id);
                // Who waited for this connection may get another one.
                waiting::wake();
            }
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
