mod certificates;
mod data;
mod handshake;
mod hostile;
mod sends;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{IoSlice, Read as _, Write as _};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, ServerConnection};
use rustls_pki_types::pem::PemObject;

use super::*;
use crate::config::Direction;
use crate::open::Wake;
use crate::rotation::Alarm;
use crate::testing::{Authority, Ends, Says, endpoint, handshake};
use crate::{downstream, upstream};
use tls_session_binding_client::exporter;

/// What Envoy does inside `connected`.
type OnConnected = Box<dyn Fn(&Wire)>;

/// A host with a wire of two byte queues, as the test wants it to behave.
#[derive(Default)]
struct Wire {
    id: u64,
    to_socket: RefCell<VecDeque<u8>>,
    from_socket: RefCell<Vec<u8>>,
    received: RefCell<Vec<u8>>,
    to_send: RefCell<Vec<u8>>,
    connected: Cell<u32>,
    eof: Cell<bool>,
    broken: Cell<bool>,
    /// Broken as soon as all is read.
    reset: Cell<bool>,
    /// Calls that moved ciphertext to the kernel.
    sends: Cell<u32>,
    /// Bytes that one read gives at most; 0 means no bound.
    segment: Cell<usize>,
    /// Bytes that the kernel still takes.
    room: Cell<Option<usize>>,
    /// Calls of what `alarm` gave.
    alarms: Rc<Cell<u32>>,
    /// Whether another thread has it read.
    woken: Arc<AtomicBool>,
    /// Called inside `connected`, as Envoy may do.
    on_connected: RefCell<Option<OnConnected>>,
}

struct Woken(Arc<AtomicBool>);

impl Wake for Woken {
    fn wake(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Host for Wire {
    fn connection_id(&self) -> Option<u64> {
        Some(self.id)
    }

    fn read(&self, into: &mut [u8]) -> Io {
        let mut bytes = self.to_socket.borrow_mut();
        if self.broken.get() {
            return Io::Failed;
        }
        if bytes.is_empty() && self.reset.get() {
            return Io::Failed;
        }
        if bytes.is_empty() {
            return if self.eof.get() {
                Io::Done(0)
            } else {
                Io::Again
            };
        }
        let limit = if self.segment.get() == 0 {
            into.len()
        } else {
            self.segment.get()
        };
        let count = limit.min(into.len()).min(bytes.len());
        bytes.read_exact(&mut into[..count]).unwrap();
        Io::Done(count)
    }

    fn write(&self, bytes: &[u8]) -> Io {
        let count = self
            .room
            .get()
            .map_or(bytes.len(), |room| room.min(bytes.len()));
        if count == 0 {
            return Io::Again;
        }
        self.sends.set(self.sends.get() + 1);
        self.room.set(self.room.get().map(|room| room - count));
        self.from_socket.borrow_mut().extend(&bytes[..count]);
        Io::Done(count)
    }

    fn deliver(&self, plaintext: &[u8]) {
        self.received.borrow_mut().extend(plaintext);
    }

    fn pending(&self, encrypt: &mut dyn FnMut(&[IoSlice<'_>]) -> usize) -> usize {
        let bytes = self.to_send.borrow().clone();
        let (first, second) = bytes.split_at(bytes.len() / 3);
        encrypt(&[IoSlice::new(first), IoSlice::new(second)])
    }

    fn drain(&self, length: usize) {
        self.to_send.borrow_mut().drain(..length);
    }

    fn wants_a_pause(&self) -> bool {
        false
    }

    fn read_again(&self) {}

    fn alarm(&self) -> Alarm {
        let alarms = Rc::clone(&self.alarms);
        Box::new(move || alarms.set(alarms.get() + 1))
    }

    fn waker(&self) -> Box<dyn Wake> {
        Box::new(Woken(Arc::clone(&self.woken)))
    }

    fn connected(&self) {
        self.connected.set(self.connected.get() + 1);
        if let Some(call) = &*self.on_connected.borrow() {
            call(self);
        }
    }
}

/// A server's socket and the rustls client that talks to it.
struct Pair {
    socket: Socket,
    wire: Wire,
    client: ClientConnection,
    last: Outcome,
}

impl Pair {
    fn new(ends: &Ends) -> Self {
        let Connection::Client(client) = ends.client.current().unwrap().open().unwrap() else {
            panic!()
        };
        let socket = Socket::open(ends.server.current().unwrap()).unwrap();
        Self {
            socket,
            wire: Wire {
                id: 7,
                ..Wire::default()
            },
            client,
            last: Outcome::default(),
        }
    }

    /// Lets both ends talk until neither has anything to say.
    fn talk(&mut self) {
        loop {
            let spoke = self.speak();
            self.last.bytes += self.socket.write(&self.wire, false).bytes;
            if !self.listen() && !spoke {
                return;
            }
        }
    }

    /// What the client has to say reaches the socket; whether there was anything.
    fn speak(&mut self) -> bool {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        self.send_raw(&bytes);
        !bytes.is_empty()
    }

    /// What the socket has sent reaches the client; whether there was anything.
    fn listen(&mut self) -> bool {
        let answer = self.wire.from_socket.take();
        let mut rest = answer.as_slice();
        while !rest.is_empty() {
            self.client.read_tls(&mut rest).unwrap();
            // Refused handshakes end in an alert: the test looks at the socket.
            let _ = self.client.process_new_packets();
        }
        !answer.is_empty()
    }

    fn send_raw(&mut self, bytes: &[u8]) {
        self.wire.to_socket.borrow_mut().extend(bytes);
        let outcome = self.socket.read(&self.wire);
        self.last.close |= outcome.close;
        self.last.end_of_stream |= outcome.end_of_stream;
    }

    fn established(ends: &Ends) -> Self {
        let mut pair = Self::new(ends);
        pair.talk();
        assert!(pair.socket.is_established(), "{}", pair.socket.failure());
        pair
    }

    fn refused(ends: &Ends) -> String {
        let mut pair = Self::new(ends);
        pair.talk();
        assert!(!pair.socket.is_established() && pair.last.close);
        assert_eq!(pair.wire.connected.get(), 0);
        assert!(downstream::CONNECTIONS.recall(7).is_none());
        pair.socket.failure().to_owned()
    }
}

/// A client with a certificate that its own configuration would not have.
fn client_showing(ends: &Ends, certificate: Arc<dyn ResolvesClientCert>) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    let pem = ends.authority.pem().as_bytes();
    roots.add(PemObject::from_pem_slice(pem).unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(certificate);
    let name = "service.demo".try_into().unwrap();
    ClientConnection::new(Arc::new(config), name).unwrap()
}
