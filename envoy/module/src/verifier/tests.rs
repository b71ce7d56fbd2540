use std::sync::Arc;
use std::time::Duration;

use rustls::{Connection, HandshakeKind};
use rustls_pki_types::pem::PemObject as _;

use super::*;
use crate::config::Direction;
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::testing::{Authority, Ends, Files, Leaf, Says, endpoint, handshake};

mod domains;
mod lists;

/// What an end with this generation says of a chain.
fn verdict(endpoint: &Endpoint, chain: &[&[u8]]) -> Result<(), Failure> {
    let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(*der)).collect();
    let generation = endpoint.current().unwrap();
    let verdict = generation.recheck().recheck(&chain, UnixTime::now());
    verdict.map_err(|error| Failure::of(&error))
}

/// How a client with this `peer` takes a server with this certificate.
fn judge(
    authority: &Authority,
    peer: &str,
    server: &Leaf,
    issuer: &Authority,
) -> Result<(), Failure> {
    let own = Files::new(&authority.issue(&Says::default()), authority.pem());
    let client = endpoint(
        &own.config(peer, r#", "alpn": ["h2"]"#),
        Direction::Upstream,
    );
    let files = Files::new(server, &format!("{}{}", authority.pem(), issuer.pem()));
    let server = endpoint(&files.config("", ""), Direction::Downstream);
    try_handshake(&client, &server).map_err(|error| Failure::of(&error))
}

fn try_handshake(client: &Endpoint, server: &Endpoint) -> Result<(), Error> {
    let mut client = client.current().unwrap().open().unwrap();
    let mut server = server.current().unwrap().open().unwrap();
    while client.is_handshaking() {
        pump(&mut client, &mut server);
        server.process_new_packets().unwrap();
        pump(&mut server, &mut client);
        client.process_new_packets()?;
    }
    Ok(())
}

fn pump(from: &mut Connection, to: &mut Connection) {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut bytes = bytes.as_slice();
    while !bytes.is_empty() {
        to.read_tls(&mut bytes).unwrap();
    }
}

const NAMED: &str = r#", "server_name": "service.demo""#;
const LISTED: &str = r#", "allow": {"spiffe_ids": ["spiffe://demo/service"]}"#;

#[test]
fn a_server_is_known_by_its_name_or_by_its_spiffe_id() {
    let authority = Authority::new("a");
    let server = authority.issue(&Says::default());
    for peer in [
        NAMED,
        LISTED,
        r#", "allow": {"dns_names": ["SERVICE.demo"]}"#,
    ] {
        assert_eq!(
            judge(&authority, peer, &server, &authority),
            Ok(()),
            "{peer}"
        );
    }
    let svid = authority.issue(&Says {
        subject: "",
        names: vec!["spiffe://demo/service"],
        ..Says::default()
    });
    assert_eq!(judge(&authority, LISTED, &svid, &authority), Ok(()));
    assert_eq!(
        judge(&authority, NAMED, &svid, &authority),
        Err(Failure::Name)
    );
}

#[test]
fn a_thumbprint_on_the_list_is_enough_and_another_is_not() {
    let authority = Authority::new("a");
    let server = authority.issue(&Says::default());
    let own = Certificate::of_der(&server.der)
        .unwrap()
        .thumbprint()
        .to_base64url();
    let peer = |thumbprint: &str| format!(r#", "allow": {{"thumbprints": ["{thumbprint}"]}}"#);
    assert_eq!(judge(&authority, &peer(&own), &server, &authority), Ok(()));
    let other = "A".repeat(43);
    assert_eq!(
        judge(&authority, &peer(&other), &server, &authority),
        Err(Failure::NotAllowed)
    );
}

#[test]
fn a_server_is_refused_for_each_reason_whether_its_name_is_asked_for_or_not() {
    let authority = Authority::new("a");
    let stranger = Authority::new("b");
    let day = |valid| {
        authority.issue(&Says {
            valid,
            ..Says::default()
        })
    };
    for peer in [NAMED, LISTED] {
        let judge = |server: &Leaf, issuer| judge(&authority, peer, server, issuer);
        let other = stranger.issue(&Says::default());
        assert_eq!(
            judge(&other, &stranger),
            Err(Failure::UnknownIssuer),
            "{peer}"
        );
        assert_eq!(
            judge(&day((-3, -2)), &authority),
            Err(Failure::Expired),
            "{peer}"
        );
        assert_eq!(
            judge(&day((2, 3)), &authority),
            Err(Failure::NotYetValid),
            "{peer}"
        );
    }
    let other = authority.issue(&Says {
        names: vec!["spiffe://demo/other", "other.demo"],
        ..Says::default()
    });
    assert_eq!(
        judge(&authority, NAMED, &other, &authority),
        Err(Failure::Name)
    );
    assert_eq!(
        judge(&authority, LISTED, &other, &authority),
        Err(Failure::NotAllowed)
    );
    let both = format!(r#"{NAMED}, "allow": {{"spiffe_ids": ["spiffe://demo/x"]}}"#);
    let server = authority.issue(&Says::default());
    assert_eq!(
        judge(&authority, &both, &server, &authority),
        Err(Failure::NotAllowed)
    );
}

#[test]
fn a_revoked_server_is_refused_and_so_is_one_without_a_list() {
    let authority = Authority::new("a");
    let own = Files::new(&authority.issue(&Says::default()), authority.pem());
    let stranger = Authority::new("b");
    for (list, expected) in [
        (authority.revoke(&[9]), Ok(())),
        (authority.revoke(&[1]), Err(Failure::Revoked)),
        (stranger.revoke(&[9]), Err(Failure::Revoked)),
    ] {
        own.write("crl.pem", &list);
        let crls = format!(r#"{LISTED}, "crls": ["{}"]"#, own.path("crl.pem").display());
        assert_eq!(
            judge(
                &authority,
                &crls,
                &authority.issue(&Says::default()),
                &authority
            ),
            expected
        );
    }
}

#[test]
fn a_certificate_with_two_uris_has_no_spiffe_id() {
    let authority = Authority::new("a");
    let names = vec!["spiffe://demo/service", "spiffe://demo/admin"];
    let server = authority.issue(&Says {
        names,
        ..Says::default()
    });
    assert_eq!(
        judge(&authority, LISTED, &server, &authority),
        Err(Failure::NotAllowed)
    );
}

#[test]
fn several_authorities_in_one_bundle_are_all_trusted() {
    let (first, second) = (Authority::new("a"), Authority::new("b"));
    let ends = Ends::new();
    let bundle = format!("{}{}{}", first.pem(), second.pem(), ends.authority.pem());
    ends.client_files.write("ca.pem", &bundle);
    ends.client.refresh();
    for authority in [first, second] {
        let files = Files::new(&authority.issue(&Says::default()), ends.authority.pem());
        let server = endpoint(&files.config("", ""), Direction::Downstream);
        assert_eq!(try_handshake(&ends.client, &server), Ok(()));
    }
}

#[test]
fn a_resumed_session_is_judged_as_of_now() {
    let ends = Ends::new();
    handshake(&ends.client, &ends.server);
    let (client, server) = handshake(&ends.client, &ends.server);
    assert_eq!(server.handshake_kind(), Some(HandshakeKind::Resumed));
    let now = UnixTime::now();
    let later = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs() + 3 * 86_400));
    for (endpoint, chain) in [
        (&ends.server, server.peer_certificates()),
        (&ends.client, client.peer_certificates()),
    ] {
        let generation = endpoint.current().unwrap();
        assert_eq!(generation.recheck().recheck(chain.unwrap(), now), Ok(()));
        let error = generation
            .recheck()
            .recheck(chain.unwrap(), later)
            .unwrap_err();
        assert_eq!(Failure::of(&error), Failure::Expired);
    }
}

#[test]
fn the_name_that_a_server_is_asked_for_may_be_another_than_its_own() {
    let authority = Authority::new("a");
    let svid = authority.issue(&Says {
        names: vec!["spiffe://demo/service"],
        ..Says::default()
    });
    let own = Files::new(&svid, authority.pem());
    let server = endpoint(&own.config("", ""), Direction::Downstream);
    let asked = r#", "sni": "asked.demo""#;
    for (peer, expected) in [
        (format!("{LISTED}{asked}"), Some("asked.demo")),
        (LISTED.to_owned(), None),
    ] {
        let config = own.config(&peer, r#", "alpn": ["h2"]"#);
        let client = endpoint(&config, Direction::Upstream);
        let (_, server) = handshake(&client, &server);
        assert_eq!(server.server_name(), expected);
    }
    let named = format!("{NAMED}{asked}");
    assert_eq!(
        judge(&authority, &named, &svid, &authority),
        Err(Failure::Name)
    );
}
