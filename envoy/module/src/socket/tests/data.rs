//! Bytes in and out, and the end of a connection.

use super::*;

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
    pair.wire.to_send.borrow_mut().extend(vec![1; 20_000]);
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
    let socket = Rc::new(Socket::open(ends.server.current().unwrap()).unwrap());
    let again = Rc::clone(&socket);
    let wire = Wire {
        id: 7,
        ..Wire::default()
    };
    wire.to_send.borrow_mut().extend(b"greeting");
    *wire.on_connected.borrow_mut() = Some(Box::new(move |wire| {
        assert_eq!(again.write(wire, false).bytes, 8);
    }));
    let Connection::Client(mut client) = ends.client.current().unwrap().open().unwrap() else {
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
    let socket = Rc::new(Socket::open(ends.server.current().unwrap()).unwrap());
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
    for (close, said) in [
        (Close::Orderly, true),
        (Close::Abrupt, false),
        (Close::ByPeer, false),
    ] {
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

/// A client's socket whose handshake is done, and the server's end of rustls.
fn client_socket(ends: &Ends, id: u64) -> (Socket, Wire, ServerConnection) {
    let socket = Socket::open(ends.client.current().unwrap()).unwrap();
    let wire = Wire {
        id,
        ..Wire::default()
    };
    let Connection::Server(mut server) = ends.server.current().unwrap().open().unwrap() else {
        panic!()
    };
    socket.start(&wire);
    while server.is_handshaking() || server.wants_write() {
        let bytes = wire.from_socket.take();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().unwrap();
        }
        say(&mut server, &wire);
        socket.read(&wire);
    }
    (socket, wire, server)
}

/// What the server has to say lies on the wire.
fn say(server: &mut ServerConnection, wire: &Wire) {
    let mut bytes = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut bytes).unwrap();
    }
    wire.to_socket.borrow_mut().extend(bytes);
}

#[test]
fn however_a_connection_ends_without_close_notify_it_is_cut_off_once_its_data_is_delivered() {
    let ends = Ends::new();
    for (id, way) in (100..).zip(["FIN", "RST", "a forged record"]) {
        let (socket, wire, mut server) = client_socket(&ends, id);
        let facts = || upstream::CONNECTIONS.recall(id).unwrap();
        server.writer().write_all(b"a response").unwrap();
        say(&mut server, &wire);
        match way {
            "FIN" => wire.eof.set(true),
            "RST" => wire.reset.set(true),
            _ => {
                let forged = [23, 3, 3, 0, 32].into_iter().chain([7; 32]);
                wire.to_socket.borrow_mut().extend(forged);
            }
        }
        let outcome = socket.read(&wire);
        assert_eq!((outcome.bytes, outcome.close), (10, true), "{way}");
        // Envoy looks at what came before it tells of the end.
        assert!(!facts().is_truncated(), "{way}");
        socket.close(&wire, Close::ByPeer);
        assert!(facts().is_truncated(), "{way}");
        assert!(!socket.failure().is_empty(), "{way}");
    }
}

#[test]
fn a_connection_whose_peer_said_goodbye_or_that_this_end_closes_is_not_cut_off() {
    let ends = Ends::new();
    for (id, goodbye, close) in [
        (110, true, Close::ByPeer),
        (111, false, Close::Orderly),
        (112, false, Close::Abrupt),
    ] {
        let (socket, wire, mut server) = client_socket(&ends, id);
        if goodbye {
            server.send_close_notify();
            say(&mut server, &wire);
            wire.eof.set(true);
            assert!(socket.read(&wire).end_of_stream);
        }
        socket.close(&wire, close);
        let facts = upstream::CONNECTIONS.recall(id).unwrap();
        assert!(!facts.is_truncated(), "{close:?}");
        assert_eq!(socket.failure(), "", "{close:?}");
    }
}

#[test]
fn an_alert_is_a_refusal_of_the_handshake_only_before_the_server_has_said_anything() {
    let ends = Ends::new();
    for (id, said) in [(120, false), (121, true)] {
        let (socket, wire, mut server) = client_socket(&ends, id);
        if said {
            server.writer().write_all(b"a response").unwrap();
            say(&mut server, &wire);
            socket.read(&wire);
        }
        let forged: Vec<u8> = [23, 3, 3, 0, 32].into_iter().chain([7; 32]).collect();
        server.read_tls(&mut forged.as_slice()).unwrap();
        assert!(server.process_new_packets().is_err());
        say(&mut server, &wire);
        assert!(socket.read(&wire).close);
        assert!(socket.failure().contains("alert"), "{}", socket.failure());
        assert_eq!(socket.may_still_be_refused(), !said);
    }
    // A client that refuses does so within the handshake.
    let pair = Pair::established(&ends);
    assert!(!pair.socket.may_still_be_refused());
}
