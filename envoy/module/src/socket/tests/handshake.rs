//! Who may connect, and what is known then.

use rcgen::ExtendedKeyUsagePurpose;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{NamedGroup, SignatureScheme};

use super::*;

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
fn a_client_is_refused_by_its_certificate_for_each_reason() {
    let day = |valid| Says {
        valid,
        ..Says::default()
    };
    assert!(Pair::refused(&Ends::with("", "", &day((-3, -2)))).contains("expired"));
    assert!(Pair::refused(&Ends::with("", "", &day((2, 3)))).contains("not valid yet"));
    let only_server = Says {
        usages: vec![ExtendedKeyUsagePurpose::ServerAuth],
        ..Says::default()
    };
    let refused = Pair::refused(&Ends::with("", "", &only_server));
    assert!(refused.contains("extended key usage"), "{refused}");
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

/// No certificate.
#[derive(Debug)]
struct Nothing;

impl ResolvesClientCert for Nothing {
    fn resolve(&self, _hints: &[&[u8]], _offered: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[test]
fn a_client_without_certificate_is_refused_or_shown_as_having_none() {
    let ends = Ends::new();
    let mut pair = Pair::new(&ends);
    pair.client = client_showing(&ends, Arc::new(Nothing));
    pair.talk();
    assert!(pair.last.close && pair.socket.failure().contains("no certificates"));
    let ends = Ends::with(r#", "certificate": "optional""#, "", &Says::default());
    let mut pair = Pair::new(&ends);
    pair.client = client_showing(&ends, Arc::new(Nothing));
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
    let Connection::Client(client) = ends.client.current().unwrap().open().unwrap() else {
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
fn a_session_from_before_a_revocation_is_not_resumed() {
    let ends = Ends::new();
    let list = ends.server_files.path("crl.pem");
    ends.server_files
        .write("crl.pem", &ends.authority.revoke(&[9]));
    let crls = format!(r#", "crls": ["{}"]"#, list.display());
    let config = ends.server_files.config(&crls, "");
    let server = endpoint(&config, Direction::Downstream);
    let ends = Ends { server, ..ends };
    drop(Pair::established(&ends));
    drop(Pair::established(&ends));
    let resumed = Pair::established(&ends);
    assert!(downstream::CONNECTIONS.recall(7).unwrap().resumed);
    drop(resumed);
    ends.server_files
        .write("crl.pem", &ends.authority.revoke(&[1]));
    assert_eq!(ends.server.refresh(), crate::endpoint::Change::Taken);
    assert!(Pair::refused(&ends).contains("Revoked"));
}

#[test]
fn a_session_from_before_a_change_of_the_allow_list_is_not_resumed() {
    let ends = Ends::new();
    drop(Pair::established(&ends));
    drop(Pair::established(&ends));
    let list = r#", "allow": {"spiffe_ids": ["spiffe://demo/other"]}"#;
    let config = ends.server_files.config(list, "");
    // Envoy makes a new factory of a changed configuration.
    let server = endpoint(&config, Direction::Downstream);
    assert!(Pair::refused(&Ends { server, ..ends }).contains("allow-list"));
}

#[test]
fn the_key_exchange_withstands_quantum_computers_where_both_ends_can() {
    for (offered, expected) in [
        ("", NamedGroup::X25519MLKEM768),
        (r#", "groups": ["X25519"]"#, NamedGroup::X25519),
    ] {
        let ends = Ends::with("", offered, &Says::default());
        let server = endpoint(&ends.server_files.config("", ""), Direction::Downstream);
        let pair = Pair::established(&Ends { server, ..ends });
        let group = pair.client.negotiated_key_exchange_group().unwrap();
        assert_eq!(group.name(), expected);
    }
}

#[test]
fn the_configured_order_of_cipher_suites_decides_and_not_the_clients() {
    let suites = |first: &str, second: &str| {
        format!(r#", "cipher_suites": ["TLS13_{first}", "TLS13_{second}"]"#)
    };
    let (small, large) = ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384");
    for (first, second) in [(small, large), (large, small)] {
        let ends = Ends::with("", &suites(second, first), &Says::default());
        let config = ends.server_files.config("", &suites(first, second));
        let server = endpoint(&config, Direction::Downstream);
        let _pair = Pair::established(&Ends { server, ..ends });
        let facts = downstream::CONNECTIONS.recall(7).unwrap();
        assert_eq!(facts.cipher_suite, format!("TLS13_{first}"));
    }
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
fn the_handshake_helper_agrees_with_the_socket() {
    let ends = Ends::new();
    let (client, server) = handshake(&ends.client, &ends.server);
    assert_eq!(
        exporter::of(&client).unwrap(),
        exporter::of(&server).unwrap()
    );
}
