//! Laws that hold for every input, tried on generated ones.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use tls_session_binding::access_token::AccessToken;
use tls_session_binding::authorization::Credentials;
use tls_session_binding::base64url;
use tls_session_binding::certificate::{CertificateEncoding, ClientCertificate};
use tls_session_binding::config::Config;
use tls_session_binding::elsewhere::TokensElsewhere;
use tls_session_binding::exporter::{ExporterEncoding, ExporterValue};
use tls_session_binding::json;
use tls_session_binding::proof::UntrustedProof;
use tls_session_binding::public_key::PublicKey;
use tls_session_binding::replay::Slot;
use tls_session_binding::request::RequestTarget;
use tls_session_binding::target_uri::matches;

use crate::common::files;
use crate::common::judge::{Judge, Situation};
use crate::common::recipe::Recipe;
use crate::common::scene::Scene;

/// What one client sends on one connection of its own for one token of its own.
fn genuine(client: &str, exporter: [u8; 32], subject: u8) -> Situation {
    let mut recipe = Recipe {
        client: Some(client.to_owned()),
        ..Recipe::default()
    };
    recipe
        .token
        .claims
        .insert("sub".to_owned(), Some(format!("\"user {subject}\"")));
    Scene {
        exporter,
        ..Scene::default()
    }
    .situation(&recipe)
}

const CLIENTS: [&str; 3] = ["p256", "thief", "ed25519"];

/// Mostly what is nearly right: a bit flipped, a piece put in or taken out; and now and then noise.
fn nearly(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = good.len().max(1);
    let edit = (0..length, 0..3_u8, vec(any::<u8>(), 0..8));
    let edited = vec(edit, 0..6).prop_map(move |edits| {
        edits
            .into_iter()
            .fold(good.clone(), |mut bytes, (at, kind, piece)| {
                let at = at.min(bytes.len());
                let until = (at + usize::from(kind) * piece.len()).min(bytes.len());
                drop(bytes.splice(at..until, piece));
                bytes
            })
    });
    prop_oneof![4 => edited, 1 => vec(any::<u8>(), 0..600)]
}

/// JSON-like text, encoded as a part of a JWS.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let text = "(\\{|\\}|\\[|\\]|,|:|\"|\\\\u0061|alg|typ|cnf|iat|x5t#S256|exp|ath|ekm|1e9|-1|null|é){0,40}";
    text.prop_map(|text| base64url::encode(text.as_bytes()).into_bytes())
}

fn jws_like() -> impl Strategy<Value = Vec<u8>> {
    vec(part(), 0..5).prop_map(|parts| parts.join(&b'.'))
}

static GENUINE: LazyLock<Situation> = LazyLock::new(|| genuine("p256", [1; 32], 0));

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// T1 to T5: a proof stands for one connection, one certificate and one token.
    #[test]
    fn what_one_may_present_no_other_may(
        exporters in (any::<[u8; 32]>(), any::<[u8; 32]>()),
        clients in (0..3_usize, 0..3_usize),
        subjects in (any::<u8>(), any::<u8>()),
        stolen in (any::<bool>(), any::<bool>(), any::<bool>()),
    ) {
        let victim = genuine(CLIENTS[clients.0], exporters.0, subjects.0);
        let thief = genuine(CLIENTS[clients.1], exporters.1, subjects.1);
        prop_assert!(Judge::default().judge(&victim).is_accepted());
        prop_assert!(Judge::default().judge(&thief).is_accepted());
        let pick = |stolen: bool, field: fn(&Situation) -> Vec<Vec<u8>>| field(if stolen { &victim } else { &thief });
        let mixed = Situation {
            authorization: pick(stolen.0, |situation| situation.authorization.clone()),
            proof: pick(stolen.1, |situation| situation.proof.clone()),
            certificate: pick(stolen.2, |situation| vec![situation.certificate.clone()]).concat(),
            ..thief.clone()
        };
        let parts = |s: &Situation| (s.exporter.clone(), s.certificate.clone(), s.authorization.clone(), s.proof.clone());
        let own = parts(&mixed) == parts(&thief) || parts(&mixed) == parts(&victim);
        prop_assert_eq!(Judge::default().judge(&mixed).is_accepted(), own);
    }

    #[test]
    fn base64url_decodes_what_it_encodes_and_nothing_else(bytes in vec(any::<u8>(), 0..100), text in vec(any::<u8>(), 0..40)) {
        let encoded = base64url::encode(&bytes);
        prop_assert_eq!(base64url::decode(encoded.as_bytes()), Ok(bytes));
        if let Ok(decoded) = base64url::decode(&text) {
            prop_assert_eq!(base64url::encode(&decoded).into_bytes(), text);
        }
    }

    #[test]
    fn a_target_matches_itself(host in "[a-z0-9.-]{1,20}", port in proptest::option::of(any::<u16>()), path in "(/[a-zA-Z0-9._~%2F!$&'()*+,;=:@-]{0,8}){1,4}") {
        let authority = port.map_or(host.clone(), |port| format!("{host}:{port}"));
        let request = RequestTarget { authority: authority.as_bytes(), path: path.as_bytes() };
        let encoded_well = path.split('%').skip(1).all(|rest| {
            let digits = rest.bytes().take(2).filter(u8::is_ascii_hexdigit);
            digits.count() == 2
        });
        prop_assert_eq!(matches(&format!("https://{authority}{path}"), request), encoded_well);
    }

    #[test]
    fn a_jti_is_never_forgotten_while_its_proof_lives(
        others in vec((any::<u16>(), 0..8_u64), 0..60), until in 0..8_u64, now in 0..8_u64,
    ) {
        let exporter = ExporterValue::from_bytes([3; 32]);
        let slot = |jti: &str| Slot::new(1, &exporter, jti);
        let mut bucket = slot("seen").remember(&[], until, 0).unwrap();
        for (jti, until) in others {
            bucket = slot(&jti.to_string()).remember(&bucket, until, 0).unwrap_or(bucket);
        }
        let again = slot("seen").remember(&bucket, 9, now);
        prop_assert_eq!(again.is_err(), now <= until);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_proof_makes_the_parser_panic(value in prop_oneof![nearly(GENUINE.proof[0].clone()), jws_like()]) {
        let _ = UntrustedProof::parse(&value).map(|_| ());
    }

    #[test]
    fn no_authorization_makes_the_parsers_panic(value in prop_oneof![nearly(GENUINE.authorization[0].clone()), jws_like()]) {
        if let Ok(Credentials::Bearer { token, .. }) = Credentials::parse(&[&value]) {
            let _ = token.claims();
        }
        if let Ok(token) = std::str::from_utf8(&value).map_err(drop).and_then(|text| AccessToken::parse(text).map_err(drop)) {
            let _ = token.claims();
        }
    }

    #[test]
    fn no_certificate_makes_the_parser_panic(der in nearly(files::read_pem("certificates/rsa-2048.pem")), text in nearly(files::read("certificates/p256.pem").into_bytes())) {
        let _ = ClientCertificate::from_der(&der);
        let _ = PublicKey::from_spki_der(&der);
        let _ = ClientCertificate::parse(&text, CertificateEncoding::Pem);
        let _ = ClientCertificate::parse(&text, CertificateEncoding::Base64Der);
    }

    #[test]
    fn no_key_makes_the_parser_panic(der in nearly(crate::common::der::spki_of(&files::read_pem("certificates/p256.pem")))) {
        let _ = PublicKey::from_spki_der(&der);
    }

    #[test]
    fn no_exporter_value_makes_the_parser_panic(text in nearly(b"aa".repeat(32))) {
        for encoding in [ExporterEncoding::Base64url, ExporterEncoding::Hex] {
            let _ = ExporterValue::parse(&text, encoding);
        }
    }

    #[test]
    fn no_configuration_makes_the_parser_panic(text in nearly(br#"{"exporter":{"property":["a"],"encoding":"hex"},"max_proof_age":"300s","algorithms":["ES256"]}"#.to_vec())) {
        let _ = Config::parse(&text);
    }

    #[test]
    fn no_json_makes_the_parser_panic(text in nearly(br#"{"a":[{"b":1.5e3,"\u0061":null}],"c":"\ud83d\ude00"}"#.to_vec())) {
        let _ = json::check(&text);
    }

    #[test]
    fn no_bucket_makes_the_replay_memory_panic(bucket in vec(any::<u8>(), 0..200), times in any::<(u64, u64)>()) {
        let slot = Slot::new(times.0, &ExporterValue::from_bytes([3; 32]), "a");
        let _ = slot.remember(&bucket, times.0, times.1);
        let _ = slot.remember(&[&[1], bucket.as_slice()].concat(), times.0, times.1);
    }

    #[test]
    fn no_target_makes_the_comparison_panic(htu in ".{0,40}", authority in vec(any::<u8>(), 0..20), path in vec(any::<u8>(), 0..40)) {
        let request = RequestTarget { authority: &authority, path: &path };
        let _ = matches(&htu, request);
        let _ = matches(&format!("https://{htu}"), request);
        let _ = TokensElsewhere::default().refuse_in_query(&path);
    }

    #[test]
    fn no_request_makes_the_verifier_panic(
        authorization in nearly(GENUINE.authorization[0].clone()),
        proof in nearly(GENUINE.proof[0].clone()),
        path in vec(any::<u8>(), 0..20),
        now in prop_oneof![Just(1_800_000_000_u64), any::<u64>()],
    ) {
        let situation = Situation { authorization: vec![authorization], proof: vec![proof], path, now, ..GENUINE.clone() };
        let untouched = situation.authorization == GENUINE.authorization && situation.proof == GENUINE.proof;
        let accepted = Judge::default().judge(&situation).reason() == "session_bound";
        prop_assert!(!accepted || untouched);
    }
}
