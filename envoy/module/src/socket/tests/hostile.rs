//! What a hostile client sends.

use super::*;

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
