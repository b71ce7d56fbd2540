//! Requests with token and proof, and the answer to `invalid_proof`.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use tls_session_binding_client::http::{
    Answer, HttpError, HttpVersion, Options, ProofUse, Proving, Session,
};
use tls_session_binding_client::proof::ProofBuilder;
use tls_session_binding_client::{AccessToken, ExporterValue};

use tokio::task::JoinHandle;

use crate::every_kind_of_connection;
use crate::server::{Behaviour, Server, signer};

#[tokio::test]
async fn a_proof_is_signed_once_per_token_and_sent_with_every_request() {
    let server = Server::start(Behaviour::Judge).await;
    let session = server.connect(Options::default()).await;
    for expected in [ProofUse::Made, ProofUse::Reused, ProofUse::Reused] {
        for token in ["alice", "bob"] {
            let answer = session
                .send(server.get("/"), token, Proving::Connection)
                .await
                .unwrap();
            assert_eq!(answer.proof, expected);
        }
    }
    let proofs: Vec<_> = server
        .seen()
        .into_iter()
        .map(|seen| seen.proof.unwrap())
        .collect();
    assert_eq!(proofs.len(), 6);
    assert_eq!(proofs.into_iter().collect::<HashSet<_>>().len(), 2);
}

#[tokio::test]
async fn concurrent_requests_of_one_token_share_one_proof() {
    let server = Server::start(Behaviour::Judge).await;
    for http in [HttpVersion::Http1, HttpVersion::Http2] {
        let session = Arc::new(
            server
                .connect(Options {
                    http,
                    ..Options::default()
                })
                .await,
        );
        let requests: Vec<_> = (0..50)
            .map(|_| send_in_background(&session, server.get("/")))
            .collect();
        let mut made = 0;
        for request in requests {
            let answer = request.await.unwrap();
            assert_eq!(answer.response.status(), 200);
            made += usize::from(answer.proof == ProofUse::Made);
        }
        assert_eq!(made, 1, "{http:?}");
    }
}

#[tokio::test]
async fn a_per_request_proof_is_for_its_request_and_is_never_sent_twice() {
    let server = Server::start(Behaviour::Judge).await;
    for options in every_kind_of_connection() {
        let session = server.connect(options.clone()).await;
        let mut proofs = HashSet::new();
        for path in ["/orders?page=2", "/orders?page=2", "/"] {
            let answer = session
                .send(server.get(path), "token", Proving::PerRequest)
                .await
                .unwrap();
            assert_eq!(
                (answer.response.status().as_u16(), answer.proof),
                (200, ProofUse::Made)
            );
            let seen = server.seen().pop().unwrap();
            assert_eq!(seen.verdict, Some(Ok(())), "{options:?} {path}");
            assert!(proofs.insert(seen.proof));
        }
    }
}

#[tokio::test]
async fn without_proof_only_the_token_is_sent() {
    let server = Server::start(Behaviour::Refuse(9, "use_session_binding")).await;
    let session = server.connect(Options::default()).await;
    let answer = session
        .send(server.get("/"), "token", Proving::Without)
        .await
        .unwrap();
    assert_eq!(
        (answer.response.status().as_u16(), answer.proof),
        (401, ProofUse::NotSent)
    );
    assert_eq!(server.seen().len(), 1);
    assert_eq!(server.seen()[0].proof, None);
}

#[tokio::test]
async fn after_invalid_proof_one_fresh_proof_is_sent_once() {
    for options in every_kind_of_connection() {
        let server = Server::start(Behaviour::Refuse(1, "invalid_proof")).await;
        let session = server.connect(options.clone()).await;
        let answer = session
            .send(server.get("/"), "token", Proving::Connection)
            .await
            .unwrap();
        assert_eq!(
            (answer.response.status().as_u16(), answer.proof),
            (200, ProofUse::Renewed)
        );
        assert_eq!(
            answer.refused.unwrap().error_description.unwrap(),
            "by the test"
        );
        let seen = server.seen();
        assert_eq!(seen.len(), 2);
        assert_ne!(seen[0].proof, seen[1].proof);
        let later = session
            .send(server.get("/"), "token", Proving::Connection)
            .await
            .unwrap();
        assert_eq!(later.proof, ProofUse::Reused);
    }
}

#[tokio::test]
async fn requests_that_are_refused_together_share_one_fresh_proof() {
    let server = Server::start(Behaviour::RefuseFirstProof).await;
    let http = HttpVersion::Http2;
    let session = Arc::new(
        server
            .connect(Options {
                http,
                ..Options::default()
            })
            .await,
    );
    let requests: Vec<_> = (0..20)
        .map(|_| send_in_background(&session, server.get("/")))
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap().response.status(), 200);
    }
    let proofs: HashSet<_> = server.seen().into_iter().map(|seen| seen.proof).collect();
    assert_eq!(proofs.len(), 2);
}

#[tokio::test]
async fn a_second_invalid_proof_is_given_to_the_caller() {
    let server = Server::start(Behaviour::Refuse(9, "invalid_proof")).await;
    for proving in [Proving::Connection, Proving::PerRequest] {
        let before = server.seen().len();
        let session = server.connect(Options::default()).await;
        let answer = session
            .send(server.get("/"), "token", proving)
            .await
            .unwrap();
        assert_eq!(
            (answer.response.status().as_u16(), answer.proof),
            (401, ProofUse::Renewed)
        );
        assert_eq!(server.seen().len() - before, 2);
    }
}

#[tokio::test]
async fn another_refusal_is_not_answered_with_a_fresh_proof() {
    for error in [
        "invalid_token",
        "use_session_binding",
        "insufficient_scope",
        "invalid_proof none",
        "invalid_proof connection",
    ] {
        let server = Server::start(Behaviour::Refuse(9, error)).await;
        let session = server.connect(Options::default()).await;
        let answer = session
            .send(server.get("/"), "token", Proving::Connection)
            .await
            .unwrap();
        assert_eq!(
            (answer.response.status().as_u16(), answer.proof),
            (401, ProofUse::Made)
        );
        assert_eq!(server.seen().len(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_proof_refused_on_a_connection_that_closes_is_given_to_the_caller() {
    let server = Server::start(Behaviour::RefuseAndClose).await;
    let http = HttpVersion::Http1;
    let session = server
        .connect(Options {
            http,
            ..Options::default()
        })
        .await;
    let answer = session
        .send(server.get("/"), "token", Proving::Connection)
        .await
        .unwrap();
    assert_eq!(answer.response.status(), 401);
    assert!(session.is_closed());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_proof_for_another_exporter_value_is_refused_and_not_repaired_by_send_as_is() {
    let server = Server::start(Behaviour::Judge).await;
    let session = server.connect(Options::default()).await;
    let token = AccessToken::parse("token").unwrap();
    let stolen = ProofBuilder::new(&token.hash(), &ExporterValue::from_bytes([0; 32]), 0)
        .sign(&signer("client"))
        .unwrap();
    let mut request = server.get("/");
    request
        .headers_mut()
        .insert("authorization", "Bearer token".parse().unwrap());
    request
        .headers_mut()
        .insert("session-binding-proof", stolen.as_str().parse().unwrap());
    assert_eq!(session.send_as_is(request).await.unwrap().status(), 401);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_token_that_no_header_may_carry_is_not_sent() {
    let server = Server::start(Behaviour::Judge).await;
    let session = server.connect(Options::default()).await;
    for token in ["", "two words", "line\nbreak"] {
        let refused = session
            .send(server.get("/"), token, Proving::Connection)
            .await;
        assert!(matches!(refused, Err(HttpError::AccessToken)), "{token}");
    }
    assert!(server.seen().is_empty());
}

fn send_in_background(session: &Arc<Session>, request: Request<Bytes>) -> JoinHandle<Answer> {
    let session = Arc::clone(session);
    tokio::spawn(async move {
        session
            .send(request, "token", Proving::Connection)
            .await
            .unwrap()
    })
}
