//! The module's socket, with a scripted peer: a genuine client whose bytes arrive as the script says,
//! mixed with others.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{IoSlice, Read as _, Write as _};
use std::sync::{Arc, LazyLock};

use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ClientConnection};
use tls_session_binding_client::dev::pki;
use tls_session_binding_client::http::trust_anchors;
use tls_session_binding_client::signer::Signer;
use tls_session_binding_module::config::Direction;
use tls_session_binding_module::downstream::CONNECTIONS;
use tls_session_binding_module::endpoint::Endpoint;
use tls_session_binding_module::open::Wake;
use tls_session_binding_module::rotation::Alarm;
use tls_session_binding_module::socket::{Close, Host, Io, Socket};

const ID: u64 = 7;
/// Most that one script may make either end send.
const MAX_PLAINTEXT: usize = 256 * 1024;

/// Nothing is delivered but a beginning of what the genuine client sent, and nothing before both ends
/// agree on an exporter value; nothing is left of a connection that is gone.
pub fn run(script: &[u8]) {
    let host = Wire::default();
    let socket = Socket::open(ENDS.server.current().unwrap()).expect("a connection");
    let server_name = ServerName::try_from("service.demo").expect("a name");
    let mut peer = Peer {
        tls: ClientConnection::new(Arc::clone(&ENDS.client), server_name).expect("a connection"),
        sent: Vec::new(),
    };
    let mut bytes = script.iter().copied();
    // A host calls no socket again that has said that it is to be closed.
    while let (false, Some(operation)) = (host.closed.get(), bytes.next()) {
        act(operation, &mut bytes, &socket, &host, &mut peer);
        check(&socket, &host, &peer);
    }
    drop(socket);
    assert!(
        CONNECTIONS.recall(ID).is_none(),
        "a connection is remembered after its end"
    );
}

fn act(
    operation: u8,
    script: &mut impl Iterator<Item = u8>,
    socket: &Socket,
    host: &Wire,
    peer: &mut Peer,
) {
    let mut argument = || usize::from(script.next().unwrap_or(1));
    match operation % 15 {
        0 => host.limit.set(argument()),
        1 => peer.flush(&mut *host.inbound.borrow_mut()),
        2 => {
            let xor = argument() as u8;
            host.inbound
                .borrow_mut()
                .iter_mut()
                .take(1)
                .for_each(|byte| *byte ^= xor);
        }
        3 => {
            let length = argument();
            host.inbound.borrow_mut().extend(script.take(length));
        }
        4 => host.closed.set(socket.read(host).close),
        5 => {
            let length = argument() * 256;
            let room = MAX_PLAINTEXT.saturating_sub(host.offered.get()).min(length);
            host.offered.set(host.offered.get() + room);
            host.pending
                .borrow_mut()
                .extend(std::iter::repeat_n(b'r', room));
        }
        6 => host.closed.set(socket.write(host, false).close),
        7 => peer.send(argument() * 16),
        8 => peer.receive(&mut host.outbound.borrow_mut()),
        9 => host.ended.set(true),
        10 => host.stuck.set(!host.stuck.get()),
        11 => {
            let orderly = argument().is_multiple_of(2);
            socket.close(
                host,
                if orderly {
                    Close::Orderly
                } else {
                    Close::Abrupt
                },
            );
            host.closed.set(true);
        }
        12 => host.closed.set(socket.write(host, true).close),
        13 => drop(peer.tls.refresh_traffic_keys()),
        _ => peer.tls.send_close_notify(),
    }
}

fn check(socket: &Socket, host: &Wire, peer: &Peer) {
    let delivered = host.delivered.borrow();
    assert!(
        peer.sent.starts_with(&delivered),
        "delivered what the client did not send"
    );
    assert!(host.connected.get() <= 1, "connected more than once");
    assert!(
        delivered.is_empty() || host.connected.get() == 1,
        "delivered before the handshake"
    );
    assert!(host.connected.get() == 0 || socket.is_established());
    if let Some(facts) = CONNECTIONS.recall(ID) {
        let value =
            tls_session_binding_client::exporter::of(&peer.tls).expect("a finished handshake");
        assert!(
            facts.exporter == value,
            "the ends do not agree on the exporter value"
        );
        assert!(facts.certificate.is_some(), "a client without certificate");
    }
}

/// A genuine client.
struct Peer {
    tls: ClientConnection,
    sent: Vec<u8>,
}

impl Peer {
    fn flush(&mut self, wire: &mut VecDeque<u8>) {
        while self.tls.wants_write() && self.tls.write_tls(wire).is_ok_and(|count| count > 0) {}
    }

    fn send(&mut self, length: usize) {
        if self.tls.is_handshaking() || self.sent.len() + length > MAX_PLAINTEXT {
            return;
        }
        let plaintext: Vec<u8> = (0..length).map(|index| index as u8).collect();
        let taken = self.tls.writer().write(&plaintext).unwrap_or(0);
        self.sent.extend(plaintext.iter().take(taken));
    }

    fn receive(&mut self, wire: &mut VecDeque<u8>) {
        while !wire.is_empty() && self.tls.wants_read() {
            if self.tls.read_tls(wire).is_err() || self.tls.process_new_packets().is_err() {
                break;
            }
            let mut plaintext = Vec::new();
            let _ = self.tls.reader().read_to_end(&mut plaintext);
            assert!(
                plaintext.iter().all(|&byte| byte == b'r'),
                "the client got what was not sent"
            );
        }
    }
}

/// The host and the kernel below the socket.
#[derive(Default)]
struct Wire {
    inbound: RefCell<VecDeque<u8>>,
    outbound: RefCell<VecDeque<u8>>,
    pending: RefCell<Vec<u8>>,
    delivered: RefCell<Vec<u8>>,
    offered: Cell<usize>,
    connected: Cell<usize>,
    /// Most bytes that the kernel moves at once; 0: as many as there are.
    limit: Cell<usize>,
    /// The kernel's send buffer is full.
    stuck: Cell<bool>,
    /// The peer has closed its end without `close_notify`.
    ended: Cell<bool>,
    /// The socket wants to be closed, or is.
    closed: Cell<bool>,
}

impl Wire {
    fn at_most(&self, count: usize) -> usize {
        match self.limit.get() {
            0 => count,
            limit => count.min(limit),
        }
    }
}

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

impl Host for Wire {
    fn connection_id(&self) -> Option<u64> {
        Some(ID)
    }

    fn read(&self, into: &mut [u8]) -> Io {
        let mut inbound = self.inbound.borrow_mut();
        let count = self.at_most(into.len().min(inbound.len()));
        if count == 0 {
            return if self.ended.get() {
                Io::Done(0)
            } else {
                Io::Again
            };
        }
        into.iter_mut()
            .zip(inbound.drain(..count))
            .for_each(|(to, byte)| *to = byte);
        Io::Done(count)
    }

    fn write(&self, bytes: &[u8]) -> Io {
        if self.stuck.get() {
            return Io::Again;
        }
        let count = self.at_most(bytes.len());
        self.outbound.borrow_mut().extend(&bytes[..count]);
        Io::Done(count)
    }

    fn deliver(&self, plaintext: &[u8]) {
        self.delivered.borrow_mut().extend_from_slice(plaintext);
    }

    fn pending(&self, encrypt: &mut dyn FnMut(&[IoSlice<'_>]) -> usize) -> usize {
        let pending = self.pending.borrow();
        let (head, tail) = pending.split_at(pending.len() / 2);
        encrypt(&[IoSlice::new(head), IoSlice::new(tail)])
    }

    fn drain(&self, length: usize) {
        let mut pending = self.pending.borrow_mut();
        assert!(length <= pending.len(), "drained more than was pending");
        pending.drain(..length);
    }

    fn wants_a_pause(&self) -> bool {
        self.delivered.borrow().len() % 3 == 2
    }

    fn alarm(&self) -> Alarm {
        Box::new(|| ())
    }

    fn read_again(&self) {}

    fn waker(&self) -> Box<dyn Wake> {
        Box::new(Nobody)
    }

    fn connected(&self) {
        self.connected.set(self.connected.get() + 1);
    }
}

/// What both ends share from one run to the next.
struct Ends {
    server: Endpoint,
    client: Arc<ClientConfig>,
}

static ENDS: LazyLock<Ends> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory");
    pki::ensure(directory.path(), false).expect("certificates");
    let file = |name: &str| directory.path().join(name);
    let config = serde_json::json!({
        "identity": { "certificate_chain": file("server.pem"), "private_key": file("server.key") },
        "peer": { "ca": file("ca.pem") },
        "tls": { "versions": ["1.3"] },
    });
    let server = Endpoint::load(b"tls", config.to_string().as_bytes(), Direction::Downstream)
        .unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let signer =
        Signer::from_pem_files(&file("client.pem"), &file("client.key")).expect("a signer");
    let certificate = SingleCertAndKey::from(Arc::clone(signer.certified_key()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(trust_anchors(&file("ca.pem")).expect("a CA"))
        .with_client_cert_resolver(Arc::new(certificate));
    Ends {
        server,
        client: Arc::new(client),
    }
});
