//! Servers that are known by another name than the URL's host.

use std::path::Path;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType,
};
use time::{Duration, OffsetDateTime};
use tls_session_binding_client::http::Options;
use tls_session_binding_client::signer::Signer;

use crate::command::{session_binding, text};
use crate::server::{Server, connector, file};

/// A certificate of the development CA with these names.
pub(crate) fn identity(directory: &Path, names: Vec<SanType>) -> Signer {
    let tomorrow = OffsetDateTime::now_utc() + Duration::days(1);
    identity_until(directory, names, tomorrow)
}

/// The same, valid until then: `own.pem` and `own.key`.
pub(crate) fn identity_until(
    directory: &Path,
    names: Vec<SanType>,
    not_after: OffsetDateTime,
) -> Signer {
    let read = |name| std::fs::read_to_string(file(name)).unwrap();
    let authority = KeyPair::from_pem(&read("ca.key")).unwrap();
    let mut issuer = CertificateParams::default();
    issuer.distinguished_name = DistinguishedName::new();
    let name = "Session Binding Development CA";
    issuer.distinguished_name.push(DnType::CommonName, name);
    let authority = Issuer::new(issuer, authority);
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::default();
    parameters.subject_alt_names = names;
    parameters.not_after = not_after;
    parameters.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let certificate = parameters.signed_by(&key, &authority).unwrap();
    let paths = (directory.join("own.pem"), directory.join("own.key"));
    std::fs::write(&paths.0, certificate.pem()).unwrap();
    std::fs::write(&paths.1, key.serialize_pem()).unwrap();
    Signer::from_pem_files(&paths.0, &paths.1).unwrap()
}

fn uri(id: &str) -> SanType {
    SanType::URI(id.try_into().unwrap())
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn by_id(id: &str) -> Options {
    Options {
        server_spiffe_id: Some(id.parse().unwrap()),
        ..Options::default()
    }
}

fn by_name(name: &'static str) -> Options {
    Options {
        server_name: Some(name.try_into().unwrap()),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_server_is_known_by_the_name_or_spiffe_id_that_was_asked_for_and_by_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let both = vec![dns("service.mesh"), uri("spiffe://demo/service")];
    let two_ids = vec![uri("spiffe://demo/service"), uri("spiffe://demo/other")];
    let cases = [
        (
            vec![uri("spiffe://demo/service")],
            by_id("spiffe://demo/service"),
            true,
        ),
        (
            vec![uri("spiffe://demo/service")],
            by_id("spiffe://demo/other"),
            false,
        ),
        (
            vec![uri("spiffe://demo/service")],
            Options::default(),
            false,
        ),
        (both.clone(), by_id("spiffe://demo/service"), true),
        (both.clone(), by_name("service.mesh"), true),
        (both.clone(), by_name("localhost"), false),
        (both, Options::default(), false),
        (two_ids, by_id("spiffe://demo/service"), false),
        (
            vec![dns("localhost")],
            by_id("spiffe://demo/service"),
            false,
        ),
        (vec![dns("localhost")], Options::default(), true),
    ];
    for (names, options, accepted) in cases {
        let server = Server::with_identity(&identity(directory.path(), names.clone())).await;
        let case = format!("{names:?} {options:?}");
        let connection = connector("client", options).connect(&server.url("/")).await;
        assert_eq!(
            connection.is_ok(),
            accepted,
            "{case} {:?}",
            connection.err()
        );
    }
}

#[tokio::test]
async fn an_svid_of_another_authority_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let stranger = tls_session_binding_client::dev::pki::ensure(directory.path(), false);
    stranger.unwrap();
    let read = |name| directory.path().join(name);
    let service = identity(directory.path(), vec![uri("spiffe://demo/service")]);
    let server = Server::with_identity(&service).await;
    let trusted = tls_session_binding_client::http::trust_anchors(&read("ca.pem")).unwrap();
    let signer = crate::server::signer("client");
    let connector = tls_session_binding_client::http::Connector::new(
        signer,
        trusted,
        by_id("spiffe://demo/service"),
    );
    let refused = connector.unwrap().connect(&server.url("/")).await;
    // Of the same name, so that its key tells.
    assert!(format!("{:?}", refused.err().unwrap()).contains("InvalidCertificate(BadSignature)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_takes_a_name_or_a_spiffe_id_for_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let names = vec![dns("service.mesh"), uri("spiffe://demo/service")];
    let server = Server::with_identity(&identity(directory.path(), names)).await;
    let (certificate, key, ca) = (file("client.pem"), file("client.key"), file("ca.pem"));
    let url = server.url("/orders").to_string();
    for (options, status) in [
        (&["--server-spiffe-id", "spiffe://demo/service"][..], 0),
        (&["--server-name", "service.mesh"], 0),
        (&["--server-spiffe-id", "spiffe://demo/other"], 2),
        (&["--server-spiffe-id", "service.mesh"], 2),
        (&["--server-name", "other.mesh"], 2),
        (&["--server-name", "no name"], 2),
        (&[], 2),
    ] {
        let mut arguments = vec!["request", &url, "--token", "t", "--cacert", text(&ca)];
        arguments.extend(["--cert", text(&certificate), "--key", text(&key)]);
        arguments.extend(options);
        let output = session_binding(&arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{options:?} {told}");
        let names_the_id = told.contains("not an X.509-SVID of spiffe://demo/other");
        assert_eq!(
            names_the_id,
            options.last() == Some(&"spiffe://demo/other"),
            "{told}"
        );
    }
}
