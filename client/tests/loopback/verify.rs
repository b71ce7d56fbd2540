//! `session-binding verify` and `session-binding inspect`, over the published vectors.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tls_session_binding_client::explain::{Asked, StepState, Vectors, explain};

use crate::command::{output_of, session_binding, text};

const GENUINE: &str = "a-genuine-proof";

fn vectors_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/proofs.json")
}

fn vectors() -> Vectors {
    serde_json::from_slice(&fs::read(vectors_file()).unwrap()).unwrap()
}

fn asked(id: &str) -> Asked {
    let cases = vectors().cases;
    cases.iter().find(|case| case.id == id).unwrap().asked()
}

fn string(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The command's arguments for a request whose certificate is P-256.
fn verify(asked: &Asked, options: &[&str]) -> Output {
    let certificate = vectors_file().with_file_name("certificates/p256.pem");
    let authorization = string(&asked.authorization[0]);
    let exporter = string(&asked.exporter);
    let proofs: Vec<String> = asked.proof.iter().map(|proof| string(proof)).collect();
    let mut arguments = vec![
        "verify",
        "--token",
        authorization.strip_prefix("Bearer ").unwrap(),
        "--exporter",
        &exporter,
        "--cert",
        text(&certificate),
        "--url",
        "https://service.example/orders?page=2",
        "--at",
        "1800000000",
    ];
    for proof in &proofs {
        arguments.extend(["--proof", proof]);
    }
    session_binding(&[&arguments, options].concat())
}

#[test]
fn every_published_vector_passes() {
    let file = vectors_file();
    let told = output_of(&["verify", "--vectors", text(&file)]);
    let count = vectors().cases.len();
    assert!(
        told.ends_with(&format!("{count} of {count} cases pass")),
        "{told}"
    );
    let told: Value =
        serde_json::from_str(&output_of(&["verify", "--json", "--vectors", text(&file)])).unwrap();
    let passed = |case: &Value| case["passed"] == true && case["failure"].is_null();
    assert_eq!(told.as_array().unwrap().len(), count);
    assert!(told.as_array().unwrap().iter().all(passed));
}

#[test]
fn a_vector_that_expects_something_else_fails_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vectors.json");
    let published = fs::read_to_string(vectors_file()).unwrap();
    let mut published: Value = serde_json::from_str(&published).unwrap();
    let cases = published["cases"].as_array_mut().unwrap();
    cases.retain(|case| case["id"] == GENUINE);
    for expected in [
        r#"{"verdict":"unbound"}"#,
        r#"{"status":401,"error":"invalid_proof"}"#,
    ] {
        published["cases"][0]["expected"] = serde_json::from_str(expected).unwrap();
        fs::write(&file, published.to_string()).unwrap();
        let output = session_binding(&["verify", "--vectors", text(&file)]);
        assert_eq!(output.status.code(), Some(1));
        let told = string(&output.stdout);
        assert!(
            told.contains(&format!("FAIL  {GENUINE}: expected")),
            "{told}"
        );
        assert!(
            told.ends_with("accepted: session_bound\n0 of 1 cases pass\n"),
            "{told}"
        );
    }
    for text_of_file in [r#"{"cases":[]}"#, "{}", ""] {
        fs::write(&file, text_of_file).unwrap();
        let output = session_binding(&["verify", "--vectors", text(&file)]);
        assert_eq!(output.status.code(), Some(2), "{text_of_file}");
    }
}

#[test]
fn one_rule_fails_where_a_request_is_refused_and_all_before_it_hold() {
    for case in vectors().cases {
        let told = explain(&case.asked()).unwrap();
        let states: Vec<StepState> = told.rules.iter().map(|step| step.state).collect();
        let held = states
            .iter()
            .take_while(|state| **state == StepState::Holds)
            .count();
        let rest = &states[held..];
        let is_as_told = match told.verdict {
            Some(_) => rest.iter().all(|state| *state == StepState::NotNeeded),
            None => {
                rest.first() == Some(&StepState::Fails)
                    && rest[1..]
                        .iter()
                        .all(|state| *state == StepState::NotReached)
            }
        };
        assert!(is_as_told, "{}: {states:?}", case.id);
        assert_eq!(told.verdict.is_none(), told.answer.is_some(), "{}", case.id);
    }
}

#[test]
fn a_secret_that_is_compared_and_differs_never_has_its_rule_hold() {
    for case in vectors().cases {
        let told = explain(&case.asked()).unwrap();
        for step in told.rules {
            let differs = step.compared.as_deref() == Some("they differ");
            let equal = step.compared.as_deref() == Some("equal");
            let contradicts = (differs && step.state == StepState::Holds)
                || (equal && step.state == StepState::Fails);
            assert!(!contradicts, "{}: {}", case.id, step.id);
        }
    }
}

#[test]
fn every_rule_of_a_proof_is_the_one_that_fails_in_some_vector() {
    let failed = |case: &tls_session_binding_client::explain::Case| {
        let told = explain(&case.asked()).unwrap();
        let failed = told
            .rules
            .into_iter()
            .find(|step| step.state == StepState::Fails);
        failed.map(|step| step.rule)
    };
    let failed: BTreeSet<&str> = vectors().cases.iter().filter_map(failed).collect();
    let all = explain(&asked(GENUINE)).unwrap().rules;
    let never: Vec<&str> = all
        .iter()
        .map(|step| step.rule)
        .filter(|rule| !failed.contains(rule))
        .collect();
    // Each vector is judged by itself, so nothing was seen before.
    assert_eq!(never, ["the proof's jti was not seen before"]);
}

#[test]
fn nothing_told_holds_token_proof_or_exporter_value() {
    for case in vectors().cases {
        let asked = case.asked();
        let told = serde_json::to_string(&explain(&asked).unwrap()).unwrap();
        let secrets = asked
            .authorization
            .iter()
            .chain(&asked.proof)
            .chain([&asked.exporter]);
        for secret in secrets {
            let parts = secret.split(|byte| b" .,\"".contains(byte));
            for part in parts.filter(|part| part.len() > 20) {
                let part = String::from_utf8_lossy(part);
                assert!(!told.contains(part.as_ref()), "{}: {told}", case.id);
            }
        }
    }
}

#[test]
fn the_proof_of_another_connection_fails_the_rule_about_the_connection() {
    let mut asked = asked(GENUINE);
    let output = verify(&asked, &[]);
    assert_eq!(output.status.code(), Some(0));
    let told = string(&output.stdout);
    assert!(told.ends_with("accepted: session_bound\n"), "{told}");

    asked.exporter = [b"A".repeat(42), b"A".to_vec()].concat();
    let output = verify(&asked, &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = string(&output.stdout);
    for line in [
        "FAILS V-f        the proof's ekm is this connection's exporter value\n                 they differ\n",
        "-     V-g        ",
        "refused: proof_connection_mismatch\nanswer: 401 (the proof is for another connection)\n",
        "WWW-Authenticate: Bearer error=\"invalid_proof\", mend=\"proof\"",
    ] {
        assert!(told.contains(line), "{told}");
    }
    let told: Value = serde_json::from_slice(&verify(&asked, &["--json"]).stdout).unwrap();
    assert_eq!(told["reason"], "proof_connection_mismatch");
    assert_eq!(told["answer"]["status"], 401);
}

#[test]
fn a_signature_of_another_length_fails_before_what_is_compared_after_it() {
    let mut asked = asked(GENUINE);
    asked.exporter = b"A".repeat(43);
    let proof = string(&asked.proof[0]);
    let (signed, _) = proof.rsplit_once('.').unwrap();
    asked.proof = vec![format!("{signed}.AAAA").into()];
    let told = explain(&asked).unwrap();
    let failed = told
        .rules
        .iter()
        .find(|step| step.state == StepState::Fails)
        .unwrap();
    assert!(failed.rule.starts_with("alg is allowed"), "{}", failed.rule);
    assert_eq!(told.reason, Some("proof_signature_invalid"));
}

#[test]
fn a_policy_of_any_encoding_and_source_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.json");
    let asked = asked(GENUINE);
    for (policy, status) in [
        (r#"{"exporter":{"encoding":"hex"}}"#, 0),
        (r#"{"client_certificate":{"encoding":"pem"}}"#, 0),
        (r#"{"confirmation":{"property":["metadata","claims"]}}"#, 0),
        (r#"{"required_claims":["jti"]}"#, 1),
        (r#"{"mode":"observe","required_claims":["jti"]}"#, 1),
        (r#"{"unknown":1}"#, 2),
    ] {
        fs::write(&file, policy).unwrap();
        let output = verify(&asked, &["--policy", text(&file)]);
        assert_eq!(output.status.code(), Some(status), "{policy}");
        let goes_on = string(&output.stdout).ends_with("(observed, goes on)\n");
        assert_eq!(goes_on, policy.contains("observe"), "{policy}");
    }
}

#[test]
fn without_proof_or_certificate_the_rule_about_it_fails_and_without_token_there_is_nothing_to_judge()
 {
    let mut asked = asked(GENUINE);
    asked.proof.clear();
    let output = verify(&asked, &[]);
    assert!(string(&output.stdout).contains("FAILS V-d "));
    let authorization = string(&asked.authorization[0]);
    let (_, token) = authorization.split_once(' ').unwrap();
    let exporter = string(&asked.exporter);
    let output = session_binding(&[
        "verify",
        "--token",
        token,
        "--exporter",
        &exporter,
        "--at",
        "1800000000",
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(string(&output.stdout).contains("FAILS V-a "));
    for arguments in [
        &["verify"][..],
        &["verify", "--token", token],
        &["verify", "--token", token, "--exporter", "AAAA"],
    ] {
        assert_eq!(
            session_binding(arguments).status.code(),
            Some(2),
            "{arguments:?}"
        );
    }
}

#[test]
fn inspect_tells_the_kinds_apart_and_shows_no_secret() {
    let asked = asked(GENUINE);
    let proof = string(&asked.proof[0]);
    let shown = output_of(&["inspect", &proof]);
    let ekm = string(&asked.exporter);
    assert!(!shown.contains(&ekm), "{shown}");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["kind"], "session-binding proof");
    assert_eq!(shown["for"], "its connection");
    let authorization = string(&asked.authorization[0]);
    let (_, token) = authorization.split_once(' ').unwrap();
    let shown: Value = serde_json::from_str(&output_of(&["inspect", token])).unwrap();
    assert_eq!(shown["kind"], "access token");
    assert_eq!(
        shown["bound_to"],
        "a certificate and, by a proof, the TLS connection"
    );
    let certificate = vectors_file().with_file_name("certificates/p256.pem");
    let file = format!("@{}", text(&certificate));
    let shown: Value = serde_json::from_str(&output_of(&["inspect", &file])).unwrap();
    assert_eq!(shown["kind"], "certificate");
    assert_eq!(shown["key"], "P256");
    for other in ["", "a.b.c", "opaque", "@/nowhere"] {
        assert_eq!(
            session_binding(&["inspect", other]).status.code(),
            Some(2),
            "{other}"
        );
    }
}
