//! Laws of what is remembered: it changes no decision, and stands for its own connection alone.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use tls_session_binding::access_token::AccessToken;
use tls_session_binding::base64url;
use tls_session_binding::digest::AccessTokenHash;
use tls_session_binding::digest::CertificateThumbprint;
use tls_session_binding::exporter::{ExporterEncoding, ExporterValue};

use crate::common::judge::{Judge, Situation};
use crate::common::recipe::Recipe;
use crate::common::scene::Scene;
use crate::common::template::hex;

/// Connections, each with an exporter value of its own and its client's certificate.
const CONNECTIONS: [&str; 4] = ["p256", "p256", "thief", "ed25519"];
const SUBJECTS: [&str; 3] = ["alice", "bob", "carol"];

/// What is genuine on each connection for each subject.
static GENUINE: LazyLock<Vec<Vec<Situation>>> = LazyLock::new(|| {
    let connections = CONNECTIONS.iter().enumerate();
    connections
        .map(|(number, client)| {
            SUBJECTS
                .map(|subject| genuine(number, client, subject))
                .to_vec()
        })
        .collect()
});

fn genuine(number: usize, client: &str, subject: &str) -> Situation {
    let number = u8::try_from(number).unwrap();
    let mut recipe = Recipe {
        client: Some(client.to_owned()),
        connection_id: Some(number.into()),
        ..Recipe::default()
    };
    recipe
        .token
        .claims
        .insert("sub".to_owned(), Some(format!("\"{subject}\"")));
    Scene {
        exporter: [number; 32],
        ..Scene::default()
    }
    .situation(&recipe)
}

/// On one connection: token and proof of some, and seconds that have passed.
type Request = (usize, (usize, usize), (usize, usize), u64);

fn request() -> impl Strategy<Value = Request> {
    let whose = || (0..CONNECTIONS.len(), 0..SUBJECTS.len());
    let all = (whose(), whose(), whose(), 0..4_u8, 0..330_u64);
    all.prop_map(|(own, other, third, kind, later)| {
        let (token, proof) = match kind {
            0 | 1 => (own, own),
            2 => (other, other),
            _ => (own, third),
        };
        (own.0, token, proof, later)
    })
}

fn situation((connection, token, proof, later): Request) -> Situation {
    let own = &GENUINE[connection][0];
    Situation {
        authorization: GENUINE[token.0][token.1].authorization.clone(),
        proof: GENUINE[proof.0][proof.1].proof.clone(),
        now: own.now + later,
        ..own.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// As long as the proofs are fresh, for a binding that stands may outlive its proof's age.
    #[test]
    fn a_remembered_decision_is_the_one_made_anew(requests in vec((request(), any::<u8>()), 1..24)) {
        let mut judge = Judge::default();
        for (request, before) in requests {
            if before < 32 {
                judge.restart();
            }
            let situation = situation(request);
            let anew = Judge::default().judge(&situation);
            prop_assert_eq!(judge.judge(&situation), anew, "{:?}", request);
        }
    }

    #[test]
    fn what_is_accepted_late_was_verified_on_the_same_connection(requests in vec((request(), prop_oneof![0..330_u64, 0..100_000_u64]), 1..40)) {
        let mut judge = Judge::default();
        let mut verified = BTreeSet::new();
        let mut requests = requests;
        requests.sort_by_key(|(_, later)| *later);
        for ((connection, token, proof, _), later) in requests {
            let situation = situation((connection, token, proof, later));
            let anew = Judge::default().judge(&situation).is_accepted();
            let is_known = verified.contains(&(connection, token, proof));
            let accepted = judge.judge(&situation).is_accepted();
            prop_assert!(!accepted || anew || is_known);
            if anew {
                verified.insert((connection, token, proof));
            }
        }
    }

    #[test]
    fn no_bit_of_what_is_remembered_can_be_flipped(connection in 0..CONNECTIONS.len(), subject in 0..SUBJECTS.len(), bits in vec(any::<usize>(), 1..20), restart in any::<bool>()) {
        let mut judge = Judge::default();
        let genuine = &GENUINE[connection][subject];
        prop_assert!(judge.judge(genuine).is_accepted());
        for bit in bits {
            if restart {
                judge.restart();
            }
            let flip = |bytes: &[u8]| {
                let mut bytes = bytes.to_vec();
                let at = bit % (bytes.len() * 8);
                bytes[at / 8] ^= 1 << (at % 8);
                bytes
            };
            let proof = Situation { proof: vec![flip(&genuine.proof[0])], ..genuine.clone() };
            prop_assert!(!judge.judge(&proof).is_accepted());
            let exporter = base64url::encode(&flip(&base64url::decode(&genuine.exporter).unwrap()));
            let elsewhere = Situation { exporter: exporter.into_bytes(), ..genuine.clone() };
            prop_assert!(!judge.judge(&elsewhere).is_accepted());
        }
        prop_assert!(judge.judge(genuine).is_accepted());
    }

    #[test]
    fn what_is_written_is_read_as_the_same(bytes in any::<[u8; 32]>(), token in "[A-Za-z0-9._~+/-]{1,60}") {
        let exporter = ExporterValue::from_bytes(bytes);
        let text = exporter.to_base64url();
        prop_assert!(ExporterValue::parse(text.as_bytes(), ExporterEncoding::Base64url) == Ok(exporter));
        prop_assert!(ExporterValue::parse(hex(&bytes).as_bytes(), ExporterEncoding::Hex) == Ok(exporter));
        let hash = AccessToken::parse(&token).unwrap().hash();
        prop_assert!(AccessTokenHash::parse(&hash.to_base64url()) == Ok(hash));
        let thumbprint = CertificateThumbprint::of_der(&bytes);
        prop_assert!(CertificateThumbprint::parse(thumbprint.to_base64url().as_bytes()) == Ok(thumbprint));
    }
}
