use rcgen::KeyUsagePurpose;

use super::*;
use crate::testing::{Authority, Says};

const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const OTHER: u8 = 0xa0;
const REGISTERED_ID: u8 = 0x88;

fn certificate(raw_names: &[(u8, &'static [u8])]) -> Certificate {
    let says = Says {
        raw_names: raw_names.to_vec(),
        ..Says::default()
    };
    Certificate::of_der(&Authority::new("a").issue(&says).der).unwrap()
}

fn id(certificate: &Certificate) -> Option<&str> {
    certificate.spiffe_id().map(SpiffeId::as_str)
}

#[test]
fn a_name_that_nobody_asks_about_changes_nothing_of_the_others() {
    for odd in [
        (EMAIL, "\u{e4}@demo".as_bytes()),
        (EMAIL, b"\xff\xfe"),
        (OTHER, b"\x06\x01\x00"),
        (OTHER, b""),
        (REGISTERED_ID, b"\x80"),
    ] {
        let read = certificate(&[odd, (URI, b"spiffe://demo/a"), odd, (DNS, b"a.demo")]);
        assert_eq!(id(&read), Some("spiffe://demo/a"));
        assert_eq!(read.dns_names(), ["a.demo"]);
    }
}

#[test]
fn a_name_that_could_be_taken_for_another_is_none() {
    for name in [
        "a.demo,b.demo",
        "a.demo b.demo",
        "",
        "\u{e4}.demo",
        "a\u{0}.demo",
        "a.demo\n",
        "\"a\"",
    ] {
        let name: &'static str = name;
        let read = certificate(&[(DNS, name.as_bytes()), (DNS, b"*.demo")]);
        assert_eq!(read.dns_names(), ["*.demo"], "{name}");
    }
    for uri in [
        "spiffe://demo/a,spiffe://demo/b",
        "",
        "spiffe://demo/\u{e4}",
        "spiffe://demo/a\u{0}",
        "a b",
        "\"a\"",
    ] {
        let uri: &'static str = uri;
        let read = certificate(&[(URI, uri.as_bytes())]);
        assert_eq!((id(&read), read.uris().len()), (None, 0), "{uri}");
        // It counts: the other one is not the only one.
        let read = certificate(&[(URI, uri.as_bytes()), (URI, b"spiffe://demo/a")]);
        assert_eq!((id(&read), read.uris().len()), (None, 1), "{uri}");
    }
}

#[test]
fn who_may_sign_for_others_has_no_spiffe_id() {
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyCertSign, KeyEncipherment};
    for (key_usages, expected) in [
        (vec![], Some("spiffe://demo/service")),
        (
            vec![DigitalSignature, KeyEncipherment],
            Some("spiffe://demo/service"),
        ),
        (vec![DigitalSignature, KeyCertSign], None),
        (vec![DigitalSignature, CrlSign], None),
        (vec![KeyCertSign, CrlSign], None),
    ] {
        let says = Says {
            key_usages,
            ..Says::default()
        };
        let read = Certificate::of_der(&Authority::new("a").issue(&says).der).unwrap();
        assert_eq!(id(&read), expected, "{:?}", says.key_usages);
        assert_eq!(read.dns_names(), ["service.demo"]);
    }
}
