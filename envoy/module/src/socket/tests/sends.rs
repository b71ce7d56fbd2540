//! How often the kernel is asked to send, and that nothing stays behind.

use std::fs;

use super::*;
use crate::endpoint::Change;

/// A connection whose client has just said its last word of the handshake, together with `more`.
fn just_established(ends: &Ends, more: impl FnOnce(&mut ClientConnection)) -> Pair {
    let mut pair = Pair::new(ends);
    pair.speak();
    assert_eq!(pair.wire.sends.get(), 1, "the server's first flight");
    pair.listen();
    more(&mut pair.client);
    pair.speak();
    assert!(pair.socket.is_established(), "{}", pair.socket.failure());
    pair
}

fn resumes(ends: &Ends) -> bool {
    let _pair = Pair::established(ends);
    downstream::CONNECTIONS.recall(7).unwrap().resumed
}

#[test]
fn tickets_go_with_the_first_response_in_one_send() {
    let ends = Ends::new();
    let mut pair = just_established(&ends, |_| {});
    assert_eq!(pair.wire.sends.get(), 1, "nothing of its own");
    pair.wire.to_send.borrow_mut().extend(b"response");
    pair.socket.write(&pair.wire, false);
    assert_eq!(pair.wire.sends.get(), 2);
    pair.listen();
    let mut response = [0; 8];
    pair.client.reader().read_exact(&mut response).unwrap();
    assert_eq!(&response, b"response");
    drop(pair);
    assert!(resumes(&ends));
}

#[test]
fn tickets_go_without_any_response_with_whatever_happens_next() {
    type Event = fn(&mut Pair);
    let events: [(&str, Event); 6] = [
        ("the client sends a request", |pair| {
            pair.client.writer().write_all(b"request").unwrap();
            pair.speak();
        }),
        ("the client has said all", |pair| {
            pair.client.send_close_notify();
            pair.speak();
        }),
        ("the client is cut off", |pair| {
            pair.wire.eof.set(true);
            assert!(pair.socket.read(&pair.wire).close);
        }),
        ("Envoy looks whether it can write", |pair| {
            pair.socket.write(&pair.wire, false);
        }),
        ("Envoy has said all", |pair| {
            pair.socket.write(&pair.wire, true);
        }),
        ("Envoy closes", |pair| {
            pair.socket.close(&pair.wire, Close::Orderly);
        }),
    ];
    for (what, happens) in events {
        let ends = Ends::new();
        let mut pair = just_established(&ends, |_| {});
        assert!(pair.wire.from_socket.borrow().is_empty());
        happens(&mut pair);
        pair.listen();
        drop(pair);
        assert!(resumes(&ends), "{what}");
    }
}

#[test]
fn tickets_reach_a_client_that_has_said_all_within_its_handshake() {
    let ends = Ends::new();
    let mut pair = just_established(&ends, |client| {
        client.writer().write_all(b"request").unwrap();
        client.send_close_notify();
    });
    assert!(pair.last.end_of_stream && !pair.last.close);
    pair.wire.to_send.borrow_mut().extend(b"response");
    pair.socket.write(&pair.wire, true);
    pair.listen();
    let mut response = Vec::new();
    pair.client.reader().read_to_end(&mut response).unwrap();
    assert_eq!(response, b"response");
    drop(pair);
    assert!(resumes(&ends));
}

#[test]
fn only_tickets_may_wait() {
    // TLS 1.2: the client waits for the server's last word.
    let ends = Ends::with("", r#", "versions": ["1.2"]"#, &Says::default());
    let mut pair = just_established(&ends, |_| {});
    pair.listen();
    assert!(!pair.client.is_handshaking());
    // An alert, in answer to what is read right after the client's last word.
    let ends = Ends::new();
    let mut pair = Pair::new(&ends);
    pair.speak();
    pair.listen();
    let mut bytes = Vec::new();
    pair.client.write_tls(&mut bytes).unwrap();
    pair.wire.segment.set(bytes.len());
    bytes.extend(b"\x17\x03\x03\x00\x20no record under any key, is it?.");
    pair.send_raw(&bytes);
    assert!(pair.socket.is_established() && pair.last.close);
    assert!(!pair.wire.from_socket.borrow().is_empty());
}

#[test]
fn small_records_are_joined_and_large_ones_are_not_copied() {
    let ends = Ends::new();
    for (length, sends) in [(100, 1), (16_000, 2), (40_000, 4)] {
        let pair = just_established(&ends, |_| {});
        pair.wire.to_send.borrow_mut().extend(vec![1; length]);
        assert_eq!(pair.socket.write(&pair.wire, false).bytes, length);
        assert_eq!(pair.wire.sends.get() - 1, sends, "{length}");
    }
}

#[test]
fn a_send_that_takes_a_part_is_continued_where_it_stopped() {
    let ends = Ends::new();
    let mut pair = just_established(&ends, |_| {});
    pair.wire.to_send.borrow_mut().extend(b"response");
    for room in [1, 10, 100] {
        pair.wire.room.set(Some(room));
        assert_eq!(pair.socket.write(&pair.wire, false).bytes, 0, "{room}");
    }
    pair.wire.room.set(None);
    assert_eq!(pair.socket.write(&pair.wire, false).bytes, 8);
    pair.listen();
    let mut response = [0; 8];
    pair.client.reader().read_exact(&mut response).unwrap();
    assert_eq!(&response, b"response");
}

#[test]
fn a_response_follows_tickets_that_leave_it_no_room() {
    let ends = Ends::new();
    // The client's chain is in each ticket: two of them are more than rustls keeps for sending.
    let padding = "x".repeat(40_000);
    let other = ends.authority.issue(&Says {
        names: vec![padding.leak()],
        ..Says::default()
    });
    let chain = fs::read_to_string(ends.client_files.path("chain.pem")).unwrap();
    let chain = format!("{chain}{}", other.certificate);
    ends.client_files.write("chain.pem", &chain);
    assert_eq!(ends.client.refresh(), Change::Taken);
    let pair = just_established(&ends, |_| {});
    pair.wire.to_send.borrow_mut().extend(b"response");
    assert_eq!(pair.socket.write(&pair.wire, false).bytes, 8);
    assert!(pair.wire.from_socket.borrow().len() > 80_000);
}
