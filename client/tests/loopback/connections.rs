//! TLS connections and their exporter values.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use tls_session_binding_client::http::{
    HttpError, HttpVersion, Options, ProofUse, Proving, TlsVersion,
};

use crate::every_kind_of_connection;
use crate::server::{Behaviour, Server, connector};

#[tokio::test]
async fn both_ends_have_the_same_exporter_value_and_the_proof_is_accepted() {
    let server = Server::start(Behaviour::Judge).await;
    for options in every_kind_of_connection() {
        let session = server.connect(options.clone()).await;
        let answer = session
            .send(server.get("/"), "token", Proving::Connection)
            .await
            .unwrap();
        assert_eq!(answer.response.status(), 200, "{options:?}");
        let seen = server.seen().pop().unwrap();
        assert_eq!(
            seen.exporter,
            session.exporter().to_base64url(),
            "{options:?}"
        );
        assert_eq!(seen.verdict, Some(Ok(())), "{options:?}");
        assert_eq!(session.facts().http2, options.http == HttpVersion::Http2);
    }
}

#[tokio::test]
async fn a_resumed_session_has_a_new_exporter_value_and_a_new_proof() {
    let server = Server::start(Behaviour::Judge).await;
    for options in every_kind_of_connection() {
        let connector = connector("client", options.clone());
        let mut values = HashSet::new();
        for attempt in 0..3 {
            let session = connector.connect(&server.url("/")).await.unwrap();
            assert_eq!(session.facts().resumed, attempt > 0, "{options:?}");
            let answer = session
                .send(server.get("/"), "token", Proving::Connection)
                .await
                .unwrap();
            assert_eq!(
                (answer.response.status().as_u16(), answer.proof),
                (200, ProofUse::Made)
            );
            assert!(
                values.insert(session.exporter().to_base64url()),
                "{options:?}"
            );
        }
    }
}

#[tokio::test]
async fn every_kind_of_key_makes_a_proof_that_is_accepted() {
    let server = Server::start(Behaviour::Judge).await;
    for name in ["client", "client-p384", "client-rsa", "client-ed25519"] {
        for proving in [Proving::Connection, Proving::PerRequest] {
            let connector = connector(name, Options::default());
            let session = connector.connect(&server.url("/")).await.unwrap();
            let answer = session
                .send(server.get("/"), "token", proving)
                .await
                .unwrap();
            assert_eq!(answer.response.status(), 200, "{name}");
            assert_eq!(server.seen().pop().unwrap().verdict, Some(Ok(())), "{name}");
        }
    }
}

#[tokio::test]
async fn a_server_without_the_wanted_http_version_is_refused() {
    let server = Server::with_protocols(Behaviour::Judge, &[], rustls::ALL_VERSIONS).await;
    let http2 = Options {
        http: HttpVersion::Http2,
        ..Options::default()
    };
    let refused = connector("client", http2).connect(&server.url("/")).await;
    assert!(matches!(refused.err(), Some(HttpError::Alpn)));
    assert!(!server.connect(Options::default()).await.facts().http2);
}

#[tokio::test]
async fn a_server_that_refuses_the_certificate_is_told_as_the_cause() {
    let server = Server::start(Behaviour::Judge).await;
    for options in every_kind_of_connection() {
        // A server's certificate does not serve a client.
        let refused = match connector("server", options.clone())
            .connect(&server.url("/"))
            .await
        {
            Ok(session) => session.send_as_is(server.get("/")).await.unwrap_err(),
            Err(error) => error,
        };
        let refused = format!("{refused:?}");
        assert!(
            refused.contains("UnsupportedCertificate"),
            "{options:?} {refused}"
        );
    }
}

#[tokio::test]
async fn a_tls12_server_without_extended_master_secret_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "https://localhost:{}/",
        listener.local_addr().unwrap().port()
    );
    let server = std::thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        assert!(tcp.read(&mut [0; 4096]).unwrap() > 0);
        tcp.write_all(&server_hello_without_extensions()).unwrap();
        tcp.read_to_end(&mut Vec::new()).unwrap();
    });
    let options = Options {
        tls: TlsVersion::Tls12,
        ..Options::default()
    };
    let refused = connector("client", options)
        .connect(&url.parse().unwrap())
        .await
        .err()
        .unwrap();
    let refused = format!("{refused:?}");
    assert!(
        refused.contains("ExtendedMasterSecretExtensionRequired"),
        "{refused}"
    );
    server.join().unwrap();
}

/// A TLS 1.2 record with a `ServerHello` for `ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`.
fn server_hello_without_extensions() -> Vec<u8> {
    let record = [22, 3, 3, 0, 42];
    let handshake = [2, 0, 0, 38, 3, 3];
    let (random, no_session_id, suite, no_compression) = ([7; 32], 0, [0xc0, 0x2b], 0);
    let mut bytes = [&record[..], &handshake, &random].concat();
    bytes.push(no_session_id);
    bytes.extend(suite);
    bytes.push(no_compression);
    bytes
}
