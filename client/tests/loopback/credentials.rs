//! `session-binding pki`, `token`, `jwks` and `proof`.

use std::os::unix::fs::PermissionsExt as _;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use p256::pkcs8::{PrivateKeyInfo, SecretDocument, Version};
use serde_json::{Value, json};
use tls_session_binding::base64url;
use tls_session_binding::certificate::ClientCertificate;
use tls_session_binding::error::ClientFault;
use tls_session_binding::request::{RequestLine, RequestTarget};
use tls_session_binding::verify::Connection;
use tls_session_binding_client::ExporterValue;
use tls_session_binding_client::signer::certificates_from_pem_file;

use crate::command::{output_of, session_binding, text};
use crate::server::{file, judge};

const KEPT: &str = "kept the valid certificates";
const MADE: &str = "made a development CA";

fn decode(part: &str) -> Value {
    serde_json::from_slice(&base64url::decode(part.as_bytes()).unwrap()).unwrap()
}

#[test]
fn pki_keeps_what_is_valid_and_replaces_it_only_when_forced() {
    let directory = tempfile::tempdir().unwrap();
    let pki = text(directory.path());
    let ca = || std::fs::read(directory.path().join("ca.pem")).unwrap();
    assert!(output_of(&["pki", pki]).starts_with(MADE));
    let first = ca();
    assert!(output_of(&["pki", pki]).starts_with(KEPT));
    assert_eq!(ca(), first);
    std::fs::remove_file(directory.path().join("thief.key")).unwrap();
    assert!(output_of(&["pki", pki]).starts_with(MADE), "incomplete");
    assert!(output_of(&["pki", pki, "--force"]).starts_with(MADE));
    assert_ne!(ca(), first);
}

#[test]
fn pki_leaves_the_files_of_another_ca_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("ca.pem"), "another CA").unwrap();
    let output = session_binding(&["pki", text(directory.path())]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--force"));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn private_keys_are_readable_by_their_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let server = directory.path().join("as");
    output_of(&["pki", text(directory.path()), "--as", text(&server)]);
    let keys = [
        "ca",
        "server",
        "client",
        "client-p384",
        "client-rsa",
        "client-ed25519",
        "thief",
    ]
    .map(|name| directory.path().join(format!("{name}.key")));
    for key in keys.iter().chain([&server.join("key.pem")]) {
        assert_eq!(
            key.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{key:?}"
        );
    }
}

/// Not every OpenSSL reads an Ed25519 key in version 2, which has the public key in it.
#[test]
fn private_keys_are_pkcs8_of_the_first_version() {
    let directory = tempfile::tempdir().unwrap();
    output_of(&["pki", text(directory.path())]);
    for name in ["client", "client-p384", "client-rsa", "client-ed25519"] {
        let pem = std::fs::read_to_string(directory.path().join(format!("{name}.key"))).unwrap();
        let (label, der) = SecretDocument::from_pem(&pem).unwrap();
        assert_eq!(label, "PRIVATE KEY", "{name}");
        let key = PrivateKeyInfo::try_from(der.as_bytes()).unwrap();
        assert_eq!(key.version(), Version::V1, "{name}");
    }
}

#[test]
fn a_token_verifies_with_the_jwks_and_names_the_certificate() {
    let directory = tempfile::tempdir().unwrap();
    output_of(&[
        "pki",
        text(directory.path()),
        "--as",
        text(directory.path()),
    ]);
    let (key, client) = (
        directory.path().join("key.pem"),
        directory.path().join("client.pem"),
    );
    let arguments = [
        "token",
        "--key",
        text(&key),
        "--issuer",
        "https://as.demo",
        "--audience",
    ];
    let arguments = [
        &arguments[..],
        &["https://service.demo", "--subject", "alice"],
    ]
    .concat();
    let bound = [
        &arguments[..],
        &["--cert", text(&client), "--expires", "60s"],
    ]
    .concat();
    let token = output_of(&bound);
    let parts: Vec<_> = token.split('.').collect();

    let jwks: Value = serde_json::from_str(&output_of(&["jwks", "--key", text(&key)])).unwrap();
    let jwk = &jwks["keys"][0];
    let file = std::fs::read_to_string(directory.path().join("jwks.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), jwks);
    assert_eq!(
        decode(parts[0]),
        json!({"alg": "ES256", "typ": "at+jwt", "kid": jwk["kid"]})
    );
    let coordinate =
        |name: &str| base64url::decode(jwk[name].as_str().unwrap().as_bytes()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let signed = format!("{}.{}", parts[0], parts[1]);
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(
            signed.as_bytes(),
            &base64url::decode(parts[2].as_bytes()).unwrap(),
        )
        .unwrap();

    let claims = decode(parts[1]);
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        60
    );
    assert_eq!(claims["aud"], "https://service.demo");
    assert_eq!(claims["cnf"]["tls_exp"], "EXPORTER-oauth-tls-session-bound");
    let thumbprint = claims["cnf"]["x5t#S256"].as_str().unwrap().to_owned();

    let by_thumbprint = [
        &arguments[..],
        &["--thumbprint", &thumbprint, "--no-tls-exp", "--kid", "x"],
    ]
    .concat();
    let token = output_of(&by_thumbprint);
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(decode(parts[0])["kid"], "x");
    assert_eq!(decode(parts[1])["cnf"], json!({"x5t#S256": thumbprint}));
}

#[test]
fn a_printed_proof_is_accepted_for_its_exporter_value_only() {
    let (certificate, key) = (file("client.pem"), file("client.key"));
    let exporter = base64url::encode(&[0xfb; 32]);
    assert!(
        exporter.starts_with('-'),
        "a value of base64url may look like an option"
    );
    let arguments = [
        "proof",
        "--cert",
        text(&certificate),
        "--key",
        text(&key),
        "--token",
        "-t",
    ];
    let limits = [
        "--exporter",
        &exporter,
        "--htm",
        "GET",
        "--htu",
        "https://a.demo/b",
        "--jti",
        "1",
    ];
    let proof = output_of(&[&arguments[..], &limits].concat());

    let der = certificates_from_pem_file(&certificate).unwrap();
    let target = RequestTarget {
        authority: b"a.demo",
        path: b"/b",
    };
    let line = RequestLine {
        method: b"GET",
        target,
    };
    let mut connection = Connection {
        exporter: ExporterValue::from_bytes([0xfb; 32]),
        certificate: ClientCertificate::from_der(&der[0]).unwrap(),
    };
    assert_eq!(judge(&proof, "-t", &line, &connection), Ok(()));
    connection.exporter = ExporterValue::from_bytes([0xfa; 32]);
    let refused = judge(&proof, "-t", &line, &connection);
    assert_eq!(refused, Err(ClientFault::ProofConnectionMismatch));
}

#[test]
fn a_wrong_argument_is_explained() {
    let (certificate, key) = (file("client.pem"), file("client.key"));
    let arguments = [
        "proof",
        "--cert",
        text(&certificate),
        "--key",
        text(&key),
        "--token",
        "-t",
    ];
    let output = session_binding(&[&arguments[..], &["--exporter", "AAAA"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("32 bytes in base64url"));
}
