use std::sync::Arc;

use rcgen::{GeneralSubtree, KeyUsagePurpose, NameConstraints};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::*;
use crate::testing::{Authority, Files, Leaf, Says, endpoint};

/// What a listener says of a client with this leaf of an authority in its file.
fn told(authority: &Authority, leaf: &Leaf, peer: &str) -> String {
    let own = Authority::new("own");
    let files = Files::new(&own.issue(&Says::default()), authority.pem());
    let server = endpoint(&files.config(peer, ""), Direction::Downstream);
    let generation = server.current().unwrap();
    let chain = [CertificateDer::from(leaf.der.clone())];
    let verdict = generation.recheck().recheck(&chain, UnixTime::now());
    words(&verdict.unwrap_err(), Direction::Downstream)
}

#[test]
fn a_refusal_says_what_was_wrong_with_whose_certificate() {
    let authority = Authority::new("a");
    let says = |change: fn(&mut Says)| {
        let mut says = Says::default();
        change(&mut says);
        authority.issue(&says)
    };
    let allow = r#", "allow": {"spiffe_ids": ["spiffe://demo/other"]}"#;
    for (leaf, peer, expected) in [
        (says(|says| says.valid = (-3, -2)), "", "has expired"),
        (says(|says| says.valid = (2, 3)), "", "is not valid yet"),
        (
            says(|says| says.usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth]),
            "",
            "usage without clientAuth",
        ),
        (says(|_| ()), allow, "is not on the allow-list"),
        (
            Authority::new("b").issue(&Says::default()),
            "",
            "is issued by none of the configured authorities",
        ),
        (
            Authority::new("a").issue(&Says::default()),
            "",
            "is not signed by the authority that it names",
        ),
    ] {
        let told = told(&authority, &leaf, peer);
        assert!(
            told.starts_with("the client's certificate ") && told.contains(expected),
            "{told}"
        );
    }
}

#[test]
fn constraints_that_are_not_supported_are_told_as_such() {
    let constraints = NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::Rfc822Name("demo".to_owned())],
        excluded_subtrees: Vec::new(),
    };
    let authority = Authority::with("a", |params| {
        params.name_constraints = Some(constraints);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    let leaf = authority.issue(&Says {
        raw_names: vec![(0x81, b"x@demo")],
        ..Says::default()
    });
    let told = told(&authority, &leaf, "");
    assert!(
        told.contains("whose constraints are not supported"),
        "{told}"
    );
    let other = Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(
        std::fmt::Error,
    ))));
    assert!(
        words(&other, Direction::Upstream)
            .starts_with("the server's certificate is not acceptable")
    );
}
