//! The state machine of one TLS connection: ciphertext and plaintext in and out through [`Host`].
//!
//! It has no thread and no file descriptor, so a scripted peer can drive it natively.

use std::cell::{Cell, OnceCell, RefCell};
use std::io::BufRead as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use rustls::{Connection, Error};

use crate::generation::Generation;
use crate::open::Place;
use crate::rotation;
use crate::upstream::Upstream;

mod ends;
mod host;
mod sending;

pub use host::{Close, Host, Io, Outcome};

/// Ciphertext read from the kernel at once.
const READ_BYTES: usize = 64 * 1024;

/// Why a connection cannot go on.
enum Stop {
    /// Closed by Envoy: nothing more to say.
    Closed,
    /// The transport ended without `close_notify`, in whatever way.
    CutOff,
    /// TLS failed.
    Tls(Error),
}

/// One TLS connection.
pub struct Socket {
    tls: RefCell<Connection>,
    generation: Arc<Generation>,
    /// Of the own identity, as it was told when the connection was opened.
    identity: u64,
    /// What is known of a connection to a server whose handshake is done.
    upstream: OnceCell<Rc<Upstream>>,
    /// Plaintext bytes of Envoy's write buffer that are encrypted, but not yet with the kernel.
    in_flight: Cell<usize>,
    closed: Cell<bool>,
    peer_closed: Cell<bool>,
    sent_close_notify: Cell<bool>,
    established: Cell<bool>,
    established_at: Cell<Option<Instant>>,
    /// Whether the other end has sent something.
    received: Cell<bool>,
    registered: Cell<Option<u64>>,
    /// Until it closes: afterwards the waker's descriptor may be another's.
    place: RefCell<Option<Place>>,
    protocol: OnceCell<Vec<u8>>,
    failure: OnceCell<String>,
}

impl Socket {
    /// A connection of which nothing has been sent or received.
    ///
    /// # Errors
    /// As [`Generation::open`].
    pub fn open(generation: Arc<Generation>) -> Result<Self, Error> {
        Self::open_as(generation, rotation::generation())
    }

    /// As [`Socket::open`], when `identity` was the number of the own identity. Read before the
    /// generation is taken, it is never a later one's: a connection that is wrongly old ends early.
    ///
    /// # Errors
    /// As [`Generation::open`].
    pub fn open_as(generation: Arc<Generation>, identity: u64) -> Result<Self, Error> {
        Ok(Self {
            tls: RefCell::new(generation.open()?),
            generation,
            identity,
            upstream: OnceCell::new(),
            in_flight: Cell::new(0),
            closed: Cell::new(false),
            peer_closed: Cell::new(false),
            sent_close_notify: Cell::new(false),
            established: Cell::new(false),
            established_at: Cell::new(None),
            received: Cell::new(false),
            registered: Cell::new(None),
            place: RefCell::new(None),
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
        if let Some(closed) = self.closed_if_withdrawn() {
            return closed;
        }
        let mut outcome = Outcome::default();
        if self.is_over() {
            self.send_close_notify(host);
            self.closed.set(true);
            outcome.close = true;
            return outcome;
        }
        let handshaking = !self.established.get();
        let result = with_read_buffer(|buffer| self.read_all(host, buffer, &mut outcome.bytes));
        // Nobody waits for tickets: they go with the first response, or with whatever else this
        // connection does next, be it its end.
        if !(handshaking && result.is_ok() && self.owes_only_tickets()) {
            self.flush(host);
        }
        outcome.end_of_stream = self.peer_closed.get();
        outcome.close = self.closed.get() || result.is_err();
        if let Err(stop) = result {
            self.note(&stop);
        }
        outcome
    }

    /// Encrypts what waits to be sent, and writes it.
    pub fn write(&self, host: &dyn Host, end_of_stream: bool) -> Outcome {
        if let Some(closed) = self.closed_if_withdrawn() {
            return closed;
        }
        let mut outcome = Outcome::default();
        let result = self.write_all(host, &mut outcome.bytes);
        if result == Io::Done(0) && end_of_stream && self.established.get() {
            self.send_close_notify(host);
        }
        outcome.close = self.closed.get() || result == Io::Failed;
        if result == Io::Failed {
            self.note(&Stop::CutOff);
        }
        outcome
    }

    /// Envoy closes the connection, or tells that it has ended.
    pub fn close(&self, host: &dyn Host, close: Close) {
        if close == Close::Orderly && self.established.get() && !self.closed.get() {
            self.send_close_notify(host);
        }
        if close == Close::ByPeer && !self.peer_closed.get() {
            self.mark_truncated();
        }
        self.note(&Stop::Closed);
        self.closed.set(true);
        self.detach();
        // Not while the cell is borrowed: leaving takes a lock.
        let place = self.place.take();
        drop(place);
    }

    /// Nothing passes in either direction once the other end is not accepted any more.
    fn closed_if_withdrawn(&self) -> Option<Outcome> {
        let place = self.place.borrow();
        let withdrawn = place.as_ref().is_some_and(Place::is_withdrawn);
        withdrawn.then(|| {
            let words = "certificate is not accepted any more".to_owned();
            let _ = self.failure.set(words);
            Outcome {
                close: true,
                ..Outcome::default()
            }
        })
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

    /// Whether the own certificate has been replaced, or has ended, and no request needs the connection.
    fn is_over(&self) -> bool {
        let upstream = self.upstream.get();
        !self.closed.get() && upstream.is_some_and(|upstream| upstream.tenure().is_over())
    }

    fn read_all(&self, host: &dyn Host, buffer: &mut [u8], total: &mut usize) -> Result<(), Stop> {
        while !self.peer_closed.get() {
            match host.read(buffer) {
                Io::Again => break,
                Io::Failed | Io::Done(0) => return Err(Stop::CutOff),
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

    fn feed(&self, host: &dyn Host, mut bytes: &[u8], total: &mut usize) -> Result<(), Stop> {
        while !bytes.is_empty() && !self.peer_closed.get() {
            let processed = self.process(&mut bytes);
            if processed.is_ok() {
                self.establish(host)?;
            }
            // Records before a broken one count: a response may be complete with them.
            if self.established.get() {
                *total += self.deliver(host);
            }
            processed.map_err(Stop::Tls)?;
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

    fn deliver(&self, host: &dyn Host) -> usize {
        let mut tls = self.tls.borrow_mut();
        let mut reader = tls.reader();
        let mut total = 0;
        while let Ok(chunk) = reader.fill_buf() {
            let length = chunk.len();
            if length == 0 {
                break;
            }
            #[cfg(feature = "panic-on-demand")]
            crate::demand::panic_if_asked(chunk);
            host.deliver(chunk);
            reader.consume(length);
            total += length;
        }
        self.received.set(self.received.get() || total > 0);
        total
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

#[cfg(test)]
mod tests;
