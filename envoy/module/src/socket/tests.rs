use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{IoSlice, Read as _, Write as _};
use std::rc::Rc;

use rustls::{ClientConnection, ProtocolVersion};

use super::*;
use crate::config::Direction;
use crate::downstream;
use crate::testing::{Authority, Ends, Says, endpoint, handshake};
use tls_session_binding_client::exporter;

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
    /// Bytes that one read gives at most; 0 means no bound.
    segment: Cell<usize>,
    /// Bytes that the kernel still takes.
    room: Cell<Option<usize>>,
    /// Called inside `connected`, as Envoy may do.
    on_connected: RefCell<Option<Box<dyn Fn(&Wire)>>>,
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
        let Connection::Client(client) = ends.client.current().open().unwrap() else {
            panic!()
        };
        let socket = Socket::open(ends.server.current()).unwrap();
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
            let mut bytes = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut bytes).unwrap();
            }
            let silent = bytes.is_empty();
            self.send_raw(&bytes);
            self.last.bytes += self.socket.write(&self.wire, false).bytes;
            let answer = self.wire.from_socket.take();
            if silent && answer.is_empty() {
                return;
            }
            let mut answer = answer.as_slice();
            while !answer.is_empty() {
                self.client.read_tls(&mut answer).unwrap();
                // Refused handshakes end in an alert: the test looks at the socket.
                let _ = self.client.process_new_packets();
            }
        }
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

#[test]
fn a_finished_handshake_is_told_once_with_the_exporter_value_of_both_ends() {
    let mut pair = Pair::established(&Ends::new());
    pair.talk();
    assert_eq!(pair.wire.connected.get(), 1);
    assert_eq!(pair.socket.protocol(), b"h2");
    let facts = downstream::CONNECTIONS.recall(7).unwrap();
    assert_eq!(facts.exporter, exporter::of(&pair.client).unwrap());
    assert_eq!((facts.version, facts.resumed), ("TLSv1.3", false));
    assert_eq!(facts.server_name, "service.demo");
}

#[test]
fn what_is_known_of_a_connection_ends_with_it() {
    let pair = Pair::established(&Ends::new());
    assert!(downstream::CONNECTIONS.recall(7).is_some());
    drop(pair);
    assert!(downstream::CONNECTIONS.recall(7).is_none());
}

#[test]
fn data_in_segments_of_one_byte_arrives() {
    let mut pair = Pair::new(&Ends::new());
    pair.wire.segment.set(1);
    pair.talk();
    pair.client.writer().write_all(b"hello").unwrap();
    pair.talk();
    assert_eq!(*pair.wire.received.borrow(), b"hello");
}

#[test]
fn data_sent_right_after_the_handshake_is_not_lost() {
    let mut pair = Pair::new(&Ends::new());
    pair.client.writer().write_all(b"early bird").unwrap();
    pair.talk();
    assert_eq!(*pair.wire.received.borrow(), b"early bird");
}

#[test]
fn large_data_arrives_whole_both_ways() {
    let mut pair = Pair::established(&Ends::new());
    let data: Vec<u8> = (0..3_000_000_u32)
        .map(|number| number.to_le_bytes()[1])
        .collect();
    pair.wire.to_send.borrow_mut().extend(&data);
    let mut got: Vec<u8> = Vec::new();
    pair.client.set_buffer_limit(None);
    pair.client.writer().write_all(&data).unwrap();
    while got.len() < data.len() {
        pair.socket.write(&pair.wire, false);
        let bytes = pair.wire.from_socket.take();
        let mut bytes = bytes.as_slice();
        while !bytes.is_empty() {
            pair.client.read_tls(&mut bytes).unwrap();
            pair.client.process_new_packets().unwrap();
            let mut chunk = vec![0; 1 << 16];
            while let Ok(count) = pair.client.reader().read(&mut chunk) {
                got.extend(&chunk[..count]);
            }
        }
    }
    pair.talk();
    assert!(got == data);
    assert!(*pair.wire.received.borrow() == data);
}

#[test]
fn plaintext_is_drained_only_when_its_ciphertext_is_with_the_kernel() {
    let pair = Pair::established(&Ends::new());
    pair.wire.to_send.borrow_mut().extend([1; 20_000]);
    pair.wire.room.set(Some(10_000));
    let outcome = pair.socket.write(&pair.wire, false);
    assert_eq!(outcome, Outcome::default());
    assert_eq!(pair.wire.to_send.borrow().len(), 20_000);
    pair.wire.room.set(None);
    let outcome = pair.socket.write(&pair.wire, false);
    assert_eq!(
        (outcome.bytes, pair.wire.to_send.borrow().len()),
        (20_000, 0)
    );
}

#[test]
fn envoy_may_write_while_it_is_told_of_the_handshake() {
    let ends = Ends::new();
    let socket = Rc::new(Socket::open(ends.server.current()).unwrap());
    let again = Rc::clone(&socket);
    let wire = Wire {
        id: 7,
        ..Wire::default()
    };
    wire.to_send.borrow_mut().extend(b"greeting");
    *wire.on_connected.borrow_mut() = Some(Box::new(move |wire| {
        assert_eq!(again.write(wire, false).bytes, 8);
    }));
    let Connection::Client(mut client) = ends.client.current().open().unwrap() else {
        panic!()
    };
    while client.is_handshaking() || client.wants_write() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        wire.to_socket.borrow_mut().extend(bytes);
        assert!(!socket.read(&wire).close);
        let answer = wire.from_socket.take();
        let mut answer = answer.as_slice();
        while !answer.is_empty() {
            client.read_tls(&mut answer).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    let mut greeting = [0; 8];
    client.reader().read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"greeting");
}

#[test]
fn envoy_may_close_while_it_is_told_of_the_handshake() {
    let ends = Ends::new();
    let mut pair = Pair::new(&ends);
    pair.client.writer().write_all(b"must not arrive").unwrap();
    let socket = Rc::new(Socket::open(ends.server.current()).unwrap());
    let again = Rc::clone(&socket);
    *pair.wire.on_connected.borrow_mut() =
        Some(Box::new(move |wire| again.close(wire, Close::Orderly)));
    for _ in 0..4 {
        let mut bytes = Vec::new();
        while pair.client.wants_write() {
            pair.client.write_tls(&mut bytes).unwrap();
        }
        pair.wire.to_socket.borrow_mut().extend(bytes);
        pair.last.close |= socket.read(&pair.wire).close;
        let answer = pair.wire.from_socket.take();
        pair.client.read_tls(&mut answer.as_slice()).unwrap();
        let _ = pair.client.process_new_packets();
    }
    assert!(pair.last.close);
    assert!(pair.wire.received.borrow().is_empty());
}

#[test]
fn close_notify_ends_the_stream_and_a_bare_end_breaks_the_connection() {
    let ends = Ends::new();
    let mut pair = Pair::established(&ends);
    pair.client.send_close_notify();
    pair.talk();
    assert_eq!((pair.last.end_of_stream, pair.last.close), (true, false));
    let pair = Pair::established(&ends);
    pair.wire.eof.set(true);
    let outcome = pair.socket.read(&pair.wire);
    assert_eq!((outcome.end_of_stream, outcome.close), (false, true));
    assert_eq!(pair.socket.failure(), "closed without close_notify");
}

#[test]
fn an_orderly_close_says_goodbye_and_an_abrupt_one_does_not() {
    let ends = Ends::new();
    for (close, said) in [(Close::Orderly, true), (Close::Abrupt, false)] {
        let pair = Pair::established(&ends);
        pair.socket.close(&pair.wire, close);
        assert_eq!(
            !pair.wire.from_socket.borrow().is_empty(),
            said,
            "{close:?}"
        );
        assert!(pair.socket.read(&pair.wire).close);
    }
}

#[test]
fn the_end_of_what_is_sent_is_announced_after_all_of_it() {
    let mut pair = Pair::established(&Ends::new());
    pair.wire.to_send.borrow_mut().extend(b"last words");
    pair.socket.write(&pair.wire, true);
    let bytes = pair.wire.from_socket.take();
    pair.client.read_tls(&mut bytes.as_slice()).unwrap();
    let state = pair.client.process_new_packets().unwrap();
    assert_eq!(
        (state.plaintext_bytes_to_read(), state.peer_has_closed()),
        (10, true)
    );
}

#[test]
fn a_client_is_refused_by_its_certificate_for_each_reason() {
    let day = |valid| Says {
        valid,
        ..Says::default()
    };
    assert!(Pair::refused(&Ends::with("", "", &day((-3, -2)))).contains("expired"));
    assert!(Pair::refused(&Ends::with("", "", &day((2, 3)))).contains("not valid yet"));
    let list = r#", "allow": {"spiffe_ids": ["spiffe://demo/other"]}"#;
    let refused = Pair::refused(&Ends::with(list, "", &Says::default()));
    assert!(refused.contains("allow-list"), "{refused}");
    let stranger = Authority::new("authority");
    let mut ends = Ends::new();
    ends.server_files.write("ca.pem", stranger.pem());
    ends.server.refresh();
    assert!(
        Pair::refused(&ends).contains("UnknownIssuer")
            || Pair::refused(&ends).contains("BadSignature")
    );
    ends = Ends::new();
    ends.server_files
        .write("crl.pem", &ends.authority.revoke(&[1]));
    let crls = format!(
        r#", "crls": ["{}"]"#,
        ends.server_files.path("crl.pem").display()
    );
    let config = ends.server_files.config(&crls, "");
    ends.server = endpoint(&config, Direction::Downstream);
    assert!(Pair::refused(&ends).contains("Revoked"));
}

#[test]
fn a_client_without_certificate_is_refused_or_shown_as_having_none() {
    let ends = Ends::new();
    let anonymous = |ends: &Ends| {
        let mut roots = rustls::RootCertStore::empty();
        let pem = ends.authority.pem().as_bytes();
        roots
            .add(rustls_pki_types::pem::PemObject::from_pem_slice(pem).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "service.demo".try_into().unwrap();
        ClientConnection::new(Arc::new(config), name).unwrap()
    };
    let mut pair = Pair::new(&ends);
    pair.client = anonymous(&ends);
    pair.talk();
    assert!(pair.last.close && pair.socket.failure().contains("no certificates"));
    let ends = Ends::with(r#", "certificate": "optional""#, "", &Says::default());
    let mut pair = Pair::new(&ends);
    pair.client = anonymous(&ends);
    pair.talk();
    assert!(pair.socket.is_established());
    assert!(
        downstream::CONNECTIONS
            .recall(7)
            .unwrap()
            .certificate
            .is_none()
    );
}

#[test]
fn tls_1_2_is_off_by_default_and_works_when_it_is_on() {
    let ends = Ends::with("", r#", "versions": ["1.2"]"#, &Says::default());
    let pair = Pair::established(&ends);
    assert_eq!(
        pair.client.protocol_version(),
        Some(ProtocolVersion::TLSv1_2)
    );
    let facts = downstream::CONNECTIONS.recall(7).unwrap();
    assert_eq!(facts.exporter, exporter::of(&pair.client).unwrap());
    let only_1_3 = Ends::new();
    let mut pair = Pair::new(&only_1_3);
    let Connection::Client(client) = ends.client.current().open().unwrap() else {
        panic!()
    };
    pair.client = client;
    pair.talk();
    assert!(pair.last.close && pair.socket.failure().contains("incompatible"));
}

#[test]
fn a_resumed_session_has_an_exporter_value_of_its_own() {
    for versions in [r#", "versions": ["1.3"]"#, r#", "versions": ["1.2"]"#] {
        let ends = Ends::with("", versions, &Says::default());
        let first = Pair::established(&ends);
        let before = exporter::of(&first.client).unwrap();
        drop(first);
        let second = Pair::established(&ends);
        let facts = downstream::CONNECTIONS.recall(7).unwrap();
        assert!(facts.resumed && facts.certificate.is_some());
        assert_eq!(facts.exporter, exporter::of(&second.client).unwrap());
        assert_ne!(facts.exporter, before);
    }
}

#[test]
fn no_session_is_resumed_when_tickets_are_off() {
    let ends = Ends::with("", r#", "groups": ["X25519"]"#, &Says::default());
    let config = ends.server_files.config("", "").replace("true", "false");
    let ends = Ends {
        server: endpoint(&config, Direction::Downstream),
        ..ends
    };
    drop(Pair::established(&ends));
    drop(Pair::established(&ends));
    let _last = Pair::established(&ends);
    assert!(!downstream::CONNECTIONS.recall(7).unwrap().resumed);
}

#[test]
fn a_session_from_before_a_change_of_the_authorities_is_not_resumed() {
    let ends = Ends::new();
    drop(Pair::established(&ends));
    let both = format!("{}{}", Authority::new("second").pem(), ends.authority.pem());
    ends.server_files.write("ca.pem", &both);
    assert_eq!(ends.server.refresh(), crate::endpoint::Change::Taken);
    drop(Pair::established(&ends));
    ends.server_files
        .write("ca.pem", Authority::new("second").pem());
    assert_eq!(ends.server.refresh(), crate::endpoint::Change::Taken);
    Pair::refused(&ends);
}

#[test]
fn early_data_is_neither_offered_nor_taken() {
    let ends = Ends::new();
    drop(Pair::established(&ends));
    let mut pair = Pair::new(&ends);
    assert!(pair.client.early_data().is_none());
    pair.talk();
    assert!(pair.socket.is_established());
}

#[test]
fn what_is_not_tls_is_answered_with_an_alert_and_closed() {
    let ends = Ends::new();
    let http = b"GET / HTTP/1.1\r\nhost: service.demo\r\n\r\n".as_slice();
    let oversized = &[0x16, 3, 3, 0xff, 0xff][..];
    let version = &[0x16, 9, 9, 0, 5, 1, 0, 0, 1, 0][..];
    for bytes in [http, oversized, version, &[0; 64], &[0xff; 64]] {
        let mut pair = Pair::new(&ends);
        pair.send_raw(bytes);
        assert!(pair.last.close, "{bytes:?}");
        assert!(!pair.socket.failure().is_empty());
        assert_eq!(pair.wire.from_socket.borrow().first(), Some(&0x15));
    }
}

#[test]
fn an_unknown_application_protocol_is_refused() {
    let ends = Ends::with("", "", &Says::default());
    let other = ends.server_files.config("", r#", "alpn": ["http/1.1"]"#);
    let server = endpoint(&other, Direction::Downstream);
    let failure = Pair::refused(&Ends { server, ..ends });
    assert!(failure.contains("known protocol"), "{failure}");
}

#[test]
fn no_changed_byte_of_a_handshake_makes_a_panic_or_a_connection() {
    let ends = Ends::new();
    let mut client = Pair::new(&ends).client;
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    for position in 0..hello.len() {
        let mut changed = hello.clone();
        changed[position] ^= 1 << (position % 8);
        let mut pair = Pair::new(&ends);
        pair.send_raw(&changed);
        assert!(!pair.socket.is_established());
    }
}

#[test]
fn half_a_hello_holds_little_memory_and_no_place() {
    let ends = Ends::new();
    let mut client = Pair::new(&ends).client;
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let mut pair = Pair::new(&ends);
    pair.send_raw(&hello[..hello.len() / 2]);
    assert!(!pair.last.close && pair.wire.from_socket.borrow().is_empty());
    pair.wire.broken.set(true);
    assert!(pair.socket.read(&pair.wire).close);
    assert!(downstream::CONNECTIONS.recall(7).is_none());
}

#[test]
fn a_key_update_changes_no_exporter_value() {
    let mut pair = Pair::established(&Ends::new());
    let before = exporter::of(&pair.client).unwrap();
    pair.client.refresh_traffic_keys().unwrap();
    pair.client.writer().write_all(b"after").unwrap();
    pair.talk();
    assert_eq!(*pair.wire.received.borrow(), b"after");
    assert_eq!(exporter::of(&pair.client).unwrap(), before);
    assert_eq!(downstream::CONNECTIONS.recall(7).unwrap().exporter, before);
}

#[test]
fn a_flood_of_key_updates_ends_that_connection() {
    let mut pair = Pair::established(&Ends::new());
    for _ in 0..100 {
        pair.client.refresh_traffic_keys().unwrap();
        let mut bytes = Vec::new();
        while pair.client.wants_write() {
            pair.client.write_tls(&mut bytes).unwrap();
        }
        pair.send_raw(&bytes);
    }
    assert!(pair.last.close, "still open");
}

#[test]
fn the_handshake_helper_agrees_with_the_socket() {
    let ends = Ends::new();
    let (client, server) = handshake(&ends.client, &ends.server);
    assert_eq!(
        exporter::of(&client).unwrap(),
        exporter::of(&server).unwrap()
    );
}
