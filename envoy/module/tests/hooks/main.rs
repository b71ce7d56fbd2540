//! Drives the module's hooks as Envoy does, without Envoy, so that valgrind can watch.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test's stand-in for Envoy"
)]

mod envoy;
mod exports;
mod module;

use std::ffi::CStr;
use std::ptr::null_mut;

use envoy::*;
use exports::*;
use module::{Module, Socket, shuttle};

#[test]
fn the_module_names_the_version_of_the_abi() {
    // SAFETY: the hook returns a constant.
    let version = unsafe { CStr::from_ptr(program_init()) };
    assert_eq!(version, c"v0.2.0");
}

#[test]
fn two_ends_of_the_module_talk_through_the_hooks() {
    let module = Module::load();
    let (client, server) = module.connect(10);
    assert_eq!(
        (client.envoy.connected.get(), server.envoy.connected.get()),
        (1, 1)
    );
    assert_eq!(server.protocol().length, 2);
    assert!(socket_can_flush(pointer(&*server.envoy), server.module));
    let data: Vec<u8> = (0..100_000_u32)
        .map(|number| number.to_le_bytes()[0])
        .collect();
    for (from, to) in [(&client, &server), (&server, &client)] {
        let mut sent = from.send(&data).bytes;
        while sent < data.len() as u64 {
            sent += from.send(&[]).bytes;
        }
        shuttle(from, to);
        assert_eq!(*to.envoy.received.borrow(), data);
    }
}

#[test]
fn the_facts_of_a_client_reach_the_filter_state() {
    let module = Module::load();
    let (_client, server) = module.connect(20);
    let config = network_config_new(null_mut(), Buffer::of(b"publish"), Buffer::of(b""));
    let filter = NetworkFilter {
        id: server.envoy.id,
        ..NetworkFilter::default()
    };
    let own = network_new(config, pointer(&filter));
    network_event(pointer(&filter), own, 2);
    let state = filter.state.borrow();
    assert_eq!(state["tls_session_binding.exporter"].len(), 43);
    assert_eq!(state["tls_session_binding.dns_names"], "service.demo");
    assert!(!filter.closed.get());
    network_scheduled(pointer(&filter), own, 0);
    assert!(!filter.closed.get());
    network_destroy(own);
    network_config_destroy(config);
}

#[test]
fn a_connection_whose_facts_another_filter_holds_is_closed() {
    let module = Module::load();
    let (_client, server) = module.connect(25);
    let config = network_config_new(null_mut(), Buffer::of(b"publish"), Buffer::of(b""));
    let key = "tls_session_binding.exporter".to_owned();
    for forged in [Some("forged".to_owned()), None] {
        let filter = NetworkFilter {
            id: server.envoy.id,
            read_only: Some(key.clone()),
            ..NetworkFilter::default()
        };
        let forged = forged.map(|forged| (key.clone(), forged));
        filter.state.borrow_mut().extend(forged);
        let own = network_new(config, pointer(&filter));
        network_event(pointer(&filter), own, 2);
        network_destroy(own);
        assert!(filter.closed.get());
    }
    network_config_destroy(config);
}

#[test]
fn a_request_waits_is_woken_and_gets_its_proof() {
    let module = Module::load();
    let config = http_config_new(null_mut(), Buffer::of(b"prover"), Buffer::of(b"{}"));
    let stream = Stream::default();
    for (name, value) in [
        ("authorization", "Bearer token"),
        ("session-binding-proof", "forged"),
    ] {
        stream
            .headers
            .borrow_mut()
            .insert(name.to_owned(), value.to_owned());
    }
    let filter = http_new(config, pointer(&stream));
    assert_eq!(http_request(pointer(&stream), filter, true), 4);
    assert!(
        !stream
            .headers
            .borrow()
            .contains_key("session-binding-proof")
    );
    stream.connection.set(31);
    let (_client, _server) = module.connect(30);
    assert!(
        SCHEDULED
            .lock()
            .unwrap()
            .contains(&(pointer(&stream) as usize))
    );
    http_scheduled(pointer(&stream), filter, 0);
    assert_eq!(stream.continued.get(), 1);
    assert_eq!(
        stream.headers.borrow()["session-binding-proof"]
            .split('.')
            .count(),
        3
    );
    assert_eq!(http_response(pointer(&stream), filter, false), 0);
    http_destroy(filter);
    http_config_destroy(config);
}

#[test]
fn a_request_learns_the_generation() {
    let _module = Module::load();
    let config = http_config_new(null_mut(), Buffer::of(b"generation"), Buffer::of(b""));
    let stream = Stream::default();
    let filter = http_new(config, pointer(&stream));
    assert_eq!(http_request(pointer(&stream), filter, true), 0);
    let state = stream.headers.borrow();
    assert!(state.contains_key("tls_session_binding.generation"));
    http_destroy(filter);
    http_config_destroy(config);
}

#[test]
fn a_request_that_ends_while_it_waits_is_not_touched_again() {
    let module = Module::load();
    let config = http_config_new(null_mut(), Buffer::of(b"prover"), Buffer::of(b"{}"));
    let stream = Box::new(Stream::default());
    stream
        .headers
        .borrow_mut()
        .insert("authorization".to_owned(), "Bearer token".to_owned());
    let filter = http_new(config, pointer(&*stream));
    assert_eq!(http_request(pointer(&*stream), filter, true), 4);
    http_destroy(filter);
    drop(stream);
    drop(module.connect(40));
    http_config_destroy(config);
}

#[test]
fn broken_input_ends_that_connection_and_tells_why() {
    let module = Module::load();
    let server = Socket::new(module.downstream, 50);
    server
        .envoy
        .from_peer
        .borrow_mut()
        .extend(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(server.read().close, 1);
    let mut reason = Buffer::of(b"");
    socket_failure(pointer(&*server.envoy), server.module, &raw mut reason);
    assert!(reason.length > 0);
    assert!(!socket_can_flush(pointer(&*server.envoy), server.module));
}

#[test]
fn wrong_configurations_are_refused_by_every_extension() {
    let json = || Buffer::of(b"{\"unknown\": 1}");
    assert!(socket_config_new(null_mut(), Buffer::of(b"tls"), json(), false).is_null());
    assert!(network_config_new(null_mut(), Buffer::of(b"publish"), json()).is_null());
    assert!(http_config_new(null_mut(), Buffer::of(b"prover"), json()).is_null());
}

#[test]
fn the_thread_hands_over_what_was_counted() {
    let module = Module::load();
    let config = network_config_new(null_mut(), Buffer::of(b"publish"), Buffer::of(b""));
    drop(module.connect(60));
    let name = "tls_session_binding.downstream.handshakes";
    let counted = || {
        COUNTED
            .lock()
            .unwrap()
            .iter()
            .any(|(one, count)| one == name && *count > 0)
    };
    for _ in 0..100 {
        if counted() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(counted());
    network_config_destroy(config);
}

/// What the prover refuses: its configuration, the request's `authorization`, and the status that answers it.
const REFUSED: [(&str, &str, u32); 3] = [
    ("{}", "Bearer two words", 400),
    (r#"{"max_wait": "1s"}"#, "Bearer token", 503),
    (
        r#"{"allow": {"hosts": ["a.demo"]}, "not_allowed": "refuse"}"#,
        "Bearer token",
        403,
    ),
];

/// A request that a prover answers itself, which destroys the filter at once.
fn answered(config: &str, authorization: &str, content_type: &str) -> Box<Stream> {
    let config = Buffer::of(config.as_bytes());
    let config = http_config_new(null_mut(), Buffer::of(b"prover"), config);
    let stream = Box::new(Stream::default());
    let headers = [
        ("authorization", authorization),
        ("content-type", content_type),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    stream.headers.borrow_mut().extend(headers);
    let filter = http_new(config, pointer(&*stream));
    stream.filter.set(Some(filter));
    if http_request(pointer(&*stream), filter, true) == 4 {
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        http_scheduled(pointer(&*stream), filter, 0);
    }
    http_config_destroy(config);
    stream
}

#[test]
fn an_answer_may_destroy_its_filter_at_once() {
    let _module = Module::load();
    for (config, authorization, status) in REFUSED {
        let stream = answered(config, authorization, "text/plain");
        assert_eq!(stream.answered.get(), status);
        assert!(stream.filter.get().is_none());
    }
}

#[test]
fn an_answer_is_no_success_to_a_grpc_client() {
    let _module = Module::load();
    for (config, authorization, status) in REFUSED {
        for content_type in ["application/grpc", "application/grpc+proto"] {
            let stream = answered(config, authorization, content_type);
            assert_eq!(stream.answered.get(), status);
            let expected = match status {
                400 => "13",
                403 => "7",
                _ => "14",
            };
            assert_eq!(stream.grpc_status.take().as_deref(), Some(expected));
        }
        let stream = answered(config, authorization, "application/grpc-web");
        assert_eq!(stream.grpc_status.take(), None);
    }
}
