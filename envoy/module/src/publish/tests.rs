use std::cell::RefCell;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::testing::{Authority, Ends, Says, handshake};

const KEYS: [&str; 11] = [
    EXPORTER,
    CLIENT_CERTIFICATE,
    TLS_VERSION,
    CIPHER_SUITE,
    SERVER_NAME,
    RESUMED,
    SPIFFE_ID,
    DNS_NAMES,
    SUBJECT,
    THUMBPRINT,
    FORWARDED,
];

#[derive(Default)]
struct State(u64, RefCell<HashMap<String, String>>);

impl FilterState for State {
    fn connection_id(&self) -> u64 {
        self.0
    }

    fn set(&self, key: &str, value: &[u8]) -> bool {
        let value = String::from_utf8(value.to_vec()).unwrap();
        assert!(
            self.1.borrow_mut().insert(key.to_owned(), value).is_none(),
            "{key} twice"
        );
        true
    }
}

fn published(id: u64) -> HashMap<String, String> {
    let state = State(id, RefCell::default());
    publish(&state).unwrap();
    state.1.into_inner()
}

#[test]
fn the_facts_of_the_handshake_are_published() {
    let ends = Ends::new();
    let (_, server) = handshake(&ends.client, &ends.server);
    let facts = Downstream::of(&server).unwrap();
    let (exporter, der) = (
        facts.exporter.to_base64url(),
        facts.certificate.clone().unwrap(),
    );
    CONNECTIONS.remember(5, facts);
    let values = published(5);
    let certificate = Certificate::of_der(&der).unwrap();
    for (key, value) in [
        (EXPORTER, exporter.as_str()),
        (CLIENT_CERTIFICATE, &STANDARD.encode(&der)),
        (TLS_VERSION, "TLSv1.3"),
        (CIPHER_SUITE, "TLS13_AES_128_GCM_SHA256"),
        (SERVER_NAME, "service.demo"),
        (RESUMED, "false"),
        (SPIFFE_ID, "spiffe://demo/service"),
        (DNS_NAMES, "service.demo"),
        (SUBJECT, "CN=service"),
        (THUMBPRINT, &certificate.thumbprint().to_base64url()),
    ] {
        assert_eq!(values[key], value, "{key}");
    }
    assert!(values[FORWARDED].ends_with(";URI=spiffe://demo/service;DNS=service.demo"));
}

#[test]
fn a_client_without_certificate_is_published_as_having_none() {
    let ends = Ends::new();
    let (_, server) = handshake(&ends.client, &ends.server);
    let facts = Downstream {
        certificate: None,
        published_certificate: crate::downstream::published(None),
        ..Downstream::of(&server).unwrap()
    };
    CONNECTIONS.remember(5, facts);
    let values = published(5);
    assert_eq!(values[CLIENT_CERTIFICATE], "none");
    for key in [SPIFFE_ID, DNS_NAMES, SUBJECT, THUMBPRINT, FORWARDED] {
        assert_eq!(values[key], "", "{key}");
    }
    assert_eq!(values.len(), KEYS.len());
}

#[test]
fn no_value_of_another_filter_is_left_to_a_connection_that_is_not_known() {
    let values = published(404);
    for key in KEYS {
        assert_eq!(values[key], "", "{key}");
    }
    for key in KEYS {
        assert_eq!(publish(&Taken(404, key)), Err(Unpublished(key)));
    }
}

#[test]
fn no_name_can_end_its_pair_or_its_element_in_the_forwarded_certificate() {
    let says = Says {
        subject: "a\",By=\\evil",
        names: vec!["spiffe://demo/a;By=evil;x"],
        ..Says::default()
    };
    let der = Authority::new("a").issue(&says).der;
    let element = forwarded(&der, &Certificate::of_der(&der).unwrap());
    let (_, names) = element.split_once(";Subject=").unwrap();
    assert!(
        names.contains(r#"URI="spiffe://demo/a;By=evil;x""#),
        "{names}"
    );
    assert!(
        !names
            .replace("\\\"", "")
            .replace(['\\'], "")
            .contains("\",By"),
        "{names}"
    );
}

#[test]
fn the_filter_has_a_name_and_nothing_to_configure() {
    assert!(check_config(b"publish", b"").is_ok() && check_config(b"publish", b" {} ").is_ok());
    assert!(check_config(b"publish", b"{\"a\": 1}").is_err() && check_config(b"x", b"").is_err());
}

/// Another filter has set this key for good.
struct Taken(u64, &'static str);

impl FilterState for Taken {
    fn connection_id(&self) -> u64 {
        self.0
    }

    fn set(&self, key: &str, _value: &[u8]) -> bool {
        key != self.1
    }
}

#[test]
fn whichever_value_another_filter_holds_it_is_no_connection_to_use() {
    let ends = Ends::new();
    let (_, server) = handshake(&ends.client, &ends.server);
    CONNECTIONS.remember(6, Downstream::of(&server).unwrap());
    for key in KEYS {
        assert_eq!(publish(&Taken(6, key)), Err(Unpublished(key)));
    }
    CONNECTIONS.forget(6);
}

#[test]
fn a_connection_is_over_when_its_clients_certificate_has_ended() {
    let ends = Ends::new();
    let (_, server) = handshake(&ends.client, &ends.server);
    let now = crate::clock::now();
    for (ends_at, over) in [
        (Some(now - 1), true),
        (Some(now + 60), false),
        (None, false),
    ] {
        let facts = Downstream {
            ends_at,
            ..Downstream::of(&server).unwrap()
        };
        CONNECTIONS.remember(5, facts);
        assert_eq!(is_over(5), over, "{ends_at:?}");
    }
    assert!(!is_over(6));
}
