//! The command `session-binding`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use tls_session_binding::base64url;
use tls_session_binding::certificate::ClientCertificate;
use tls_session_binding::error::ClientFault;
use tls_session_binding::target_uri::RequestTarget;
use tls_session_binding::verify::{Connection, RequestLine};
use tls_session_binding_client::ExporterValue;
use tls_session_binding_client::signer::certificates_from_pem_file;

use crate::server::{Behaviour, Server, file, judge};

const KEPT: &str = "kept the valid certificates";
const MADE: &str = "made a development CA";

fn session_binding(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_session-binding"))
        .args(arguments)
        .output()
        .unwrap()
}

/// Standard output of a command that succeeds.
fn output_of(arguments: &[&str]) -> String {
    let output = session_binding(arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

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
    let exporter = base64url::encode(&[9; 32]);
    let arguments = [
        "proof",
        "--cert",
        text(&certificate),
        "--key",
        text(&key),
        "--token",
        "t",
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
        exporter: ExporterValue::from_bytes([9; 32]),
        certificate: ClientCertificate::from_der(&der[0]).unwrap(),
    };
    assert_eq!(judge(&proof, "t", &line, &connection), Ok(()));
    connection.exporter = ExporterValue::from_bytes([8; 32]);
    let refused = judge(&proof, "t", &line, &connection);
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
        "t",
    ];
    let output = session_binding(&[&arguments[..], &["--exporter", "AAAA"]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("32 bytes in base64url"));
}

/// Runs `session-binding request` as the client, with `options` after the URL.
fn request(server: &Server, options: &[&str]) -> Output {
    let (certificate, key, ca) = (file("client.pem"), file("client.key"), file("ca.pem"));
    let url = server.url("/orders").to_string();
    let mut arguments = vec![
        "request",
        &url,
        "--cert",
        text(&certificate),
        "--key",
        text(&key),
    ];
    arguments.extend(["--cacert", text(&ca), "--token", "secret-token"]);
    arguments.extend(options);
    session_binding(&arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_tells_what_happened_without_secrets() {
    let server = Server::start(Behaviour::Judge).await;
    for (options, facts) in [
        (&["--http2"][..], "* connected: TLSv1_3, HTTP/2"),
        (&["--http1", "--tls12"], "* connected: TLSv1_2, HTTP/1.1"),
    ] {
        let output = request(
            &server,
            &[options, &["--repeat", "3", "--verbose"]].concat(),
        );
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(output.stdout, b"served\nserved\nserved\n");
        let told = String::from_utf8(output.stderr).unwrap();
        let expected = format!(
            "{facts}\n* proof: made\n* status: 200 OK\n{}",
            "* proof: reused\n* status: 200 OK\n".repeat(2)
        );
        assert_eq!(told, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_and_ends_with_status_1() {
    let server = Server::start(Behaviour::Refuse(9, "use_session_binding")).await;
    let output = request(&server, &["--no-proof", "--verbose"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("* proof: not sent\n* status: 401 Unauthorized\n"),
        "{told}"
    );
    assert!(
        told.contains("* challenge: use_session_binding (by the test)\n"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn method_data_and_another_address_are_taken() {
    let server = Server::start(Behaviour::Judge).await;
    let address = format!("127.0.0.1:{}", server.port);
    let post = request(
        &server,
        &["--connect", &address, "--data", "{}", "--per-request"],
    );
    assert_eq!(post.status.code(), Some(0));
    let delete = request(&server, &["--method", "DELETE", "--header", "X-Trace: 1"]);
    assert_eq!(delete.status.code(), Some(0));
    let methods: Vec<_> = server.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, ["POST", "DELETE"]);
}

#[test]
fn no_answer_ends_with_status_2() {
    let (certificate, key, ca) = (file("client.pem"), file("client.key"), file("ca.pem"));
    let identity = [
        "--cert",
        text(&certificate),
        "--key",
        text(&key),
        "--cacert",
        text(&ca),
    ];
    for url in ["https://localhost:1/", "http://localhost/", "/path"] {
        let arguments = [&["request", url, "--token", "t"], &identity[..]].concat();
        assert_eq!(session_binding(&arguments).status.code(), Some(2), "{url}");
    }
}
