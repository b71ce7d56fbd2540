//! Signatures of every algorithm.

use super::{Runner, verifies};
use crate::common::foreign::{self, Sets};

/// Runs sets of signatures, each with its algorithms.
fn run_signatures(sets: Sets) {
    let runner = Runner::new(sets);
    for (name, algorithms) in sets {
        runner.run(name, foreign::text(name), |group, test| {
            let [spki, message, signature] = foreign::signature(group, test);
            algorithms
                .iter()
                .any(|&algorithm| verifies(algorithm, &spki, &message, &signature))
        });
    }
    runner.finish();
}

#[test]
fn ecdsa_signatures() {
    run_signatures(foreign::ECDSA);
}

#[test]
fn ecdsa_signatures_in_der_are_none_of_jose() {
    run_signatures(foreign::ECDSA_IN_DER);
}

#[test]
fn ed25519_signatures() {
    run_signatures(foreign::ED25519);
}

#[test]
fn rsa_pkcs1_signatures() {
    run_signatures(foreign::RSA_PKCS1);
}

#[test]
fn rsa_pss_signatures() {
    run_signatures(foreign::RSA_PSS);
}
