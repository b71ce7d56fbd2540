use std::fs;
use std::os::unix::fs::symlink;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P521_SHA512};

use super::*;
use crate::testing::{Authority, Ends, Files, Says, endpoint};

fn thumbprint(endpoint: &Endpoint) -> String {
    endpoint
        .current()
        .unwrap()
        .signer()
        .unwrap()
        .thumbprint()
        .to_base64url()
}

#[test]
fn unchanged_files_are_not_read_again() {
    let ends = Ends::new();
    let before = ends.client.current().unwrap();
    assert_eq!(ends.client.refresh(), Change::None);
    assert!(Arc::ptr_eq(&before, &ends.client.current().unwrap()));
}

#[test]
fn a_new_certificate_and_key_are_taken_up() {
    let ends = Ends::new();
    let before = thumbprint(&ends.client);
    let leaf = ends.authority.issue(&Says {
        valid: (-1, 9),
        ..Says::default()
    });
    let expires = ends.client.current().unwrap().validity().end;
    ends.client_files.write("chain.pem", &leaf.certificate);
    assert!(
        matches!(ends.client.refresh(), Change::Refused(_)),
        "the key does not belong to it"
    );
    ends.client_files.write("key.pem", &leaf.key);
    assert_eq!(ends.client.refresh(), Change::Taken);
    assert_ne!(thumbprint(&ends.client), before);
    assert!(ends.client.current().unwrap().validity().end > expires);
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
    let before = ends.client.current().unwrap();
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
    assert!(Arc::ptr_eq(&before, &ends.client.current().unwrap()));
    ends.client_files.write("chain.pem", &good);
    assert_eq!(ends.client.refresh(), Change::None);
    assert!(
        Arc::ptr_eq(&before, &ends.client.current().unwrap()),
        "the same contents"
    );
}

#[test]
fn a_broken_list_of_authorities_or_revocations_is_refused() {
    let ends = Ends::new();
    ends.server_files.write("ca.pem", "");
    assert!(matches!(ends.server.refresh(), Change::Refused(_)));
    ends.server_files.write("crl.pem", ends.authority.pem());
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

/// Files of a client and its configuration, with or without waiting for them.
fn awaiting(ends: &Ends, await_files: bool) -> Result<Endpoint, Mistakes> {
    let named = r#", "server_name": "service.demo""#;
    let config = ends.client_files.config(named, r#", "alpn": ["h2"]"#);
    let flag = format!(r#"{{"await_files": {await_files}, "#);
    let config = config.trim_start().replacen('{', &flag, 1);
    Endpoint::load(b"tls", config.as_bytes(), Direction::Upstream)
}

#[test]
fn files_that_are_not_there_yet_are_awaited_where_the_configuration_says_so() {
    for file in ["chain.pem", "key.pem", "ca.pem"] {
        let ends = Ends::new();
        let path = ends.client_files.path(file);
        let good = fs::read_to_string(&path).unwrap();
        let cut = good.split_at(good.len() / 2).0;
        fs::remove_file(&path).unwrap();
        for unfinished in [None, Some(""), Some("\n"), Some("-----BEG"), Some(cut)] {
            if let Some(text) = unfinished {
                fs::write(&path, text).unwrap();
            }
            assert!(awaiting(&ends, false).is_err(), "{file}: {unfinished:?}");
            let endpoint = awaiting(&ends, true).unwrap();
            assert!(endpoint.current().is_none(), "{file}: {unfinished:?}");
            assert_eq!(endpoint.refresh(), Change::None);
            fs::write(&path, &good).unwrap();
            assert_eq!(endpoint.refresh(), Change::Arrived);
            assert!(endpoint.current().is_some());
            assert_eq!(endpoint.refresh(), Change::None);
        }
    }
}

#[test]
fn a_key_that_does_not_match_yet_is_awaited() {
    let ends = Ends::new();
    let leaf = ends.authority.issue(&Says::default());
    ends.client_files.write("key.pem", &leaf.key);
    assert!(awaiting(&ends, false).is_err());
    let endpoint = awaiting(&ends, true).unwrap();
    assert_eq!(endpoint.refresh(), Change::None);
    ends.client_files.write("chain.pem", &leaf.certificate);
    assert_eq!(endpoint.refresh(), Change::Arrived);
}

#[test]
fn what_time_does_not_mend_is_refused_even_beside_a_file_that_is_awaited() {
    let ends = Ends::new();
    let path = ends.client_files.path("ca.pem");
    fs::remove_file(ends.client_files.path("chain.pem")).unwrap();
    assert!(awaiting(&ends, true).is_ok());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(awaiting(&ends, true).is_err(), "a directory");
    fs::remove_dir(&path).unwrap();
    symlink(&path, &path).unwrap();
    assert!(awaiting(&ends, true).is_err(), "a link to itself");
}

#[test]
fn a_whole_file_with_nonsense_is_refused_and_while_files_are_awaited_told_once() {
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let ends = Ends::new();
    let good = fs::read_to_string(ends.client_files.path("chain.pem")).unwrap();
    ends.client_files.write("chain.pem", nonsense);
    assert!(awaiting(&ends, true).is_err());
    ends.client_files.write("chain.pem", "");
    let endpoint = awaiting(&ends, true).unwrap();
    ends.client_files.write("chain.pem", nonsense);
    assert!(matches!(endpoint.refresh(), Change::Refused(_)));
    assert_eq!(endpoint.refresh(), Change::None);
    ends.client_files.write("chain.pem", &good);
    assert_eq!(endpoint.refresh(), Change::Arrived);
}

#[test]
fn files_that_were_there_once_and_go_are_not_awaited() {
    let ends = Ends::new();
    let endpoint = awaiting(&ends, true).unwrap();
    fs::remove_file(ends.client_files.path("key.pem")).unwrap();
    assert!(matches!(endpoint.refresh(), Change::Refused(_)));
    assert!(endpoint.current().is_some());
}

#[test]
fn a_certificate_that_has_expired_or_is_not_valid_yet_is_not_taken_up() {
    for (valid, why) in [((-9, -2), "has expired"), ((1, 9), "is not valid yet")] {
        let ends = Ends::new();
        let before = thumbprint(&ends.client);
        let leaf = ends.authority.issue(&Says {
            valid,
            ..Says::default()
        });
        ends.client_files.write("chain.pem", &leaf.certificate);
        ends.client_files.write("key.pem", &leaf.key);
        let Change::Refused(mistakes) = ends.client.refresh() else {
            panic!("taken")
        };
        assert!(mistakes.to_string().contains(why), "{mistakes}");
        assert_eq!(ends.client.refresh(), Change::None);
        assert_eq!(thumbprint(&ends.client), before);
        // Where there is nothing else, it is what there is.
        assert!(awaiting(&ends, false).is_ok());
    }
}

#[test]
fn an_expired_revocation_list_is_not_taken_up_and_does_not_keep_another_from_it() {
    let ends = Ends::new();
    let list = |days| ends.authority.revoke_until(&[9], days);
    ends.server_files.write("one.pem", &list(1));
    ends.server_files.write("two.pem", &list(1));
    let path = |file| ends.server_files.path(file).display().to_string();
    let crls = format!(
        r#", "crls": ["{}", "{}"]"#,
        path("one.pem"),
        path("two.pem")
    );
    let server = endpoint(&ends.server_files.config(&crls, ""), Direction::Downstream);
    let before = server.current().unwrap();
    ends.server_files.write("one.pem", &list(-1));
    let Change::Refused(mistakes) = server.refresh() else {
        panic!("taken")
    };
    assert!(mistakes.to_string().contains("peer.crls[0]: has expired"));
    assert!(Arc::ptr_eq(&before, &server.current().unwrap()));
    assert!(before.crls_end().iter().all(|end| *end > 0));
    // It is in use already, as after a restart: the other list's change is taken up beside it.
    let server = endpoint(&ends.server_files.config(&crls, ""), Direction::Downstream);
    ends.server_files.write("two.pem", &list(2));
    assert_eq!(server.refresh(), Change::Taken);
}

#[test]
fn a_new_certificate_moves_requests_whatever_its_key_and_a_new_authority_does_not() {
    let ends = Ends::new();
    let renew = |algorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = ends.authority.certify(&Says::default(), &key);
        ends.client_files.write("key.pem", &key.serialize_pem());
        ends.client_files.write("chain.pem", &certificate.pem());
        assert_eq!(ends.client.refresh(), Change::Taken);
        ends.client.current().unwrap()
    };
    let mut before = *ends.client.current().unwrap().identity().unwrap();
    // A key that signs proofs or not, after one that does or not.
    for algorithm in [
        &PKCS_ECDSA_P521_SHA512,
        &PKCS_ECDSA_P521_SHA512,
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P256_SHA256,
    ] {
        let generation = rotation::generation();
        let identity = *renew(algorithm).identity().unwrap();
        assert_ne!(identity, before);
        // Other tests may advance it as well.
        assert!(rotation::generation() > generation);
        before = identity;
    }
    let other = Authority::new("other");
    let both = format!("{}{}", ends.authority.pem(), other.pem());
    ends.client_files.write("ca.pem", &both);
    assert_eq!(ends.client.refresh(), Change::Taken);
    let current = ends.client.current().unwrap();
    assert_eq!(*current.identity().unwrap(), before);
    assert!(ends.server.current().unwrap().identity().is_none());
}
