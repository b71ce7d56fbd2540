use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::testing::{Authority, Ends, Files, Says, endpoint};

fn thumbprint(endpoint: &Endpoint) -> String {
    endpoint
        .current()
        .signer()
        .unwrap()
        .thumbprint()
        .to_base64url()
}

#[test]
fn unchanged_files_are_not_read_again() {
    let ends = Ends::new();
    let before = ends.client.current();
    assert_eq!(ends.client.refresh(), Change::None);
    assert!(Arc::ptr_eq(&before, &ends.client.current()));
}

#[test]
fn a_new_certificate_and_key_are_taken_up() {
    let ends = Ends::new();
    let before = thumbprint(&ends.client);
    let leaf = ends.authority.issue(&Says {
        valid: (-1, 9),
        ..Says::default()
    });
    let expires = ends.client.current().expires_at();
    ends.client_files.write("chain.pem", &leaf.certificate);
    assert!(
        matches!(ends.client.refresh(), Change::Refused(_)),
        "the key does not belong to it"
    );
    ends.client_files.write("key.pem", &leaf.key);
    assert_eq!(ends.client.refresh(), Change::Taken);
    assert_ne!(thumbprint(&ends.client), before);
    assert!(ends.client.current().expires_at() > expires);
}

#[test]
fn a_link_that_is_swapped_in_one_step_is_taken_up() {
    let authority = Authority::new("authority");
    let leaf = |serial| {
        authority.issue(&Says {
            serial,
            ..Says::default()
        })
    };
    let (first, second) = (leaf(1), leaf(2));
    let (old, new) = (
        Files::new(&first, authority.pem()),
        Files::new(&second, authority.pem()),
    );
    let home = tempfile::TempDir::new().unwrap();
    let link = home.path().join("data");
    symlink(old.path(""), &link).unwrap();
    let config = old
        .config(r#", "server_name": "service.demo""#, r#", "alpn": ["h2"]"#)
        .replace(
            &old.path("").display().to_string(),
            &format!("{}/", link.display()),
        );
    let endpoint = endpoint(&config, Direction::Upstream);
    let before = thumbprint(&endpoint);
    symlink(new.path(""), home.path().join("next")).unwrap();
    fs::rename(home.path().join("next"), &link).unwrap();
    assert_eq!(endpoint.refresh(), Change::Taken);
    assert_ne!(thumbprint(&endpoint), before);
}

#[test]
fn broken_files_keep_the_old_and_are_reported_once() {
    let ends = Ends::new();
    let before = ends.client.current();
    let good = fs::read_to_string(ends.client_files.path("chain.pem")).unwrap();
    for broken in [
        "",
        "no PEM",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        ends.client_files.write("chain.pem", broken);
        assert!(
            matches!(ends.client.refresh(), Change::Refused(_)),
            "{broken}"
        );
        assert_eq!(ends.client.refresh(), Change::None);
    }
    fs::remove_file(ends.client_files.path("chain.pem")).unwrap();
    assert!(matches!(ends.client.refresh(), Change::Refused(_)));
    assert_eq!(ends.client.refresh(), Change::None);
    assert!(Arc::ptr_eq(&before, &ends.client.current()));
    ends.client_files.write("chain.pem", &good);
    assert_eq!(ends.client.refresh(), Change::None);
    assert!(
        Arc::ptr_eq(&before, &ends.client.current()),
        "the same contents"
    );
}

#[test]
fn a_broken_list_of_authorities_or_revocations_is_refused() {
    let ends = Ends::new();
    ends.server_files.write("ca.pem", "");
    assert!(matches!(ends.server.refresh(), Change::Refused(_)));
    ends.server_files.write("crl.pem", "");
    let crls = format!(
        r#", "crls": ["{}"]"#,
        ends.server_files.path("crl.pem").display()
    );
    let loaded = Endpoint::load(
        b"tls",
        ends.client_files.config(&crls, "").as_bytes(),
        Direction::Downstream,
    );
    assert!(
        loaded
            .err()
            .unwrap()
            .to_string()
            .contains("peer.crls[0]: holds no revocation list")
    );
}

#[test]
fn what_is_wrong_with_a_key_is_told_without_the_key() {
    let ends = Ends::new();
    let pem = fs::read_to_string(ends.client_files.path("key.pem")).unwrap();
    let secret = pem.lines().nth(1).unwrap().to_owned();
    ends.client_files
        .write("key.pem", &pem.replace("PRIVATE", "PRIVAT"));
    let Change::Refused(mistakes) = ends.client.refresh() else {
        panic!("taken")
    };
    assert!(
        mistakes
            .to_string()
            .contains("identity.private_key: holds no private key")
    );
    assert!(!mistakes.to_string().contains(&secret));
}

#[test]
fn there_is_one_transport_socket_and_it_has_a_name() {
    let config = Ends::new().server_files.config("", "");
    assert!(Endpoint::load(b"ssl", config.as_bytes(), Direction::Downstream).is_err());
}
