//! JSON Web Signatures, read as a proof is.

use tls_session_binding::proof::UntrustedProof;

use super::{Runner, verifies};
use crate::common::foreign_jws::{self, SET};

#[test]
fn json_web_signatures() {
    let runner = Runner::new(&[(SET, &[])]);
    runner.run(SET, foreign_jws::text(), |group, test| {
        let jws = foreign_jws::jws(test);
        let proof = UntrustedProof::parse(jws.as_bytes());
        assert!(proof.is_err(), "no proof: {jws}");
        let signature = foreign_jws::signature(group, test);
        signature.is_some_and(|(algorithm, [spki, message, signature])| {
            verifies(algorithm, &spki, &message, &signature)
        })
    });
    runner.finish();
}
