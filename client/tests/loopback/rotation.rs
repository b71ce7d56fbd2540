//! Certificates, keys and authorities that change while requests go on.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use tls_session_binding_client::http::{
    Client, FileConnector, IdentityFiles, Options, ProofUse, Proving,
};

use crate::identities::{identity, identity_until};
use crate::server::{Behaviour, Server, file};

/// A directory with `own.pem`, `own.key` and `ca.pem`, and who connects with them.
struct Files {
    directory: TempDir,
    connector: Arc<FileConnector>,
}

impl Files {
    fn valid_for(life: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        identity_until(directory.path(), vec![], OffsetDateTime::now_utc() + life);
        std::fs::copy(file("ca.pem"), directory.path().join("ca.pem")).unwrap();
        let own = |name| directory.path().join(name);
        let files = IdentityFiles {
            certificate: own("own.pem"),
            key: own("own.key"),
            authorities: own("ca.pem"),
        };
        let connector = Arc::new(FileConnector::open(files, Options::default()).unwrap());
        Self {
            directory,
            connector,
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn client(&self, server: &Server) -> Client {
        Client::new(Arc::clone(&self.connector), server.url("/"))
    }
}

async fn request(client: &Client, server: &Server) -> (u16, ProofUse) {
    let answer = client.send(server.get("/"), "token", Proving::Connection);
    let answer = answer.await.unwrap();
    (answer.response.status().as_u16(), answer.proof)
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_on_a_new_connection_and_open_ones_go_on() {
    let server = Server::start(Behaviour::Judge).await;
    let files = Files::valid_for(Duration::DAY);
    let client = files.client(&server);
    assert_eq!(request(&client, &server).await, (200, ProofUse::Made));
    assert_eq!(request(&client, &server).await, (200, ProofUse::Reused));
    let old = client.session().await.unwrap();
    let renewed = identity(files.path(), vec![]);
    assert_eq!(request(&client, &server).await, (200, ProofUse::Made));
    assert_eq!(request(&client, &server).await, (200, ProofUse::Reused));
    let session = client.session().await.unwrap();
    let thumbprint =
        |signer: &tls_session_binding_client::signer::Signer| signer.thumbprint().to_base64url();
    assert_eq!(thumbprint(session.signer()), thumbprint(&renewed));
    assert_ne!(thumbprint(old.signer()), thumbprint(&renewed));
    let answer = old
        .send(server.get("/"), "token", Proving::Connection)
        .await;
    assert_eq!(answer.unwrap().response.status(), 200);
}

#[tokio::test]
async fn files_that_cannot_be_used_leave_the_old_ones_in_use_until_they_can() {
    let server = Server::start(Behaviour::Judge).await;
    let files = Files::valid_for(Duration::DAY);
    let client = files.client(&server);
    let before = client.session().await.unwrap();
    let other = tempfile::tempdir().unwrap();
    identity(other.path(), vec![]);
    let expired = tempfile::tempdir().unwrap();
    identity_until(
        expired.path(),
        vec![],
        OffsetDateTime::now_utc() - Duration::MINUTE,
    );
    let own = |name: &str| files.path().join(name);
    let kept =
        ["own.pem", "own.key", "ca.pem"].map(|name| (name, std::fs::read(own(name)).unwrap()));

    let put = |name: &str, content: &[u8]| std::fs::write(own(name), content).unwrap();
    let of = |directory: &TempDir, name: &str| std::fs::read(directory.path().join(name)).unwrap();
    let faults: [(&str, &dyn Fn(), &str); 6] = [
        (
            "the key is still the old one",
            &|| put("own.pem", &of(&other, "own.pem")),
            "does not belong",
        ),
        ("empty certificate", &|| put("own.pem", b""), "own.pem"),
        ("cut key", &|| put("own.key", &kept[1].1[..40]), "own.key"),
        (
            "absent key",
            &|| std::fs::remove_file(own("own.key")).unwrap(),
            "own.key",
        ),
        ("no authorities", &|| put("ca.pem", b"none"), "ca.pem"),
        (
            "expired",
            &|| {
                put("own.pem", &of(&expired, "own.pem"));
                put("own.key", &of(&expired, "own.key"));
            },
            "has expired",
        ),
    ];
    for (fault, make, told) in faults {
        make();
        assert!(
            Arc::ptr_eq(&client.session().await.unwrap(), &before),
            "{fault}"
        );
        let problem = files.connector.problem().expect(fault);
        assert!(problem.contains(told), "{fault}: {problem}");
        assert_eq!(request(&client, &server).await.0, 200, "{fault}");
        for (name, content) in &kept {
            put(name, content);
        }
        assert_eq!(files.connector.problem(), None, "{fault}");
    }
    assert!(Arc::ptr_eq(&client.session().await.unwrap(), &before));
}

#[tokio::test]
async fn a_server_that_is_no_longer_trusted_gets_no_more_requests() {
    let server = Server::start(Behaviour::Judge).await;
    let files = Files::valid_for(Duration::DAY);
    let client = files.client(&server);
    assert_eq!(request(&client, &server).await.0, 200);
    let stranger = tempfile::tempdir().unwrap();
    tls_session_binding_client::dev::pki::ensure(stranger.path(), false).unwrap();
    std::fs::copy(stranger.path().join("ca.pem"), files.path().join("ca.pem")).unwrap();
    let refused = client
        .send(server.get("/"), "token", Proving::Connection)
        .await;
    assert!(refused.is_err());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_refusal_that_another_connection_mends_leads_to_one_and_only_one() {
    for (times, status) in [(1, 200), (9, 401)] {
        let server = Server::start(Behaviour::RefuseConnection(times)).await;
        let files = Files::valid_for(Duration::DAY);
        let client = files.client(&server);
        let before = client.session().await.unwrap();
        assert_eq!(request(&client, &server).await.0, status);
        let seen = server.seen();
        assert_eq!(seen.len(), 2);
        assert_ne!(seen[0].exporter, seen[1].exporter);
        assert!(!Arc::ptr_eq(&client.session().await.unwrap(), &before));
    }
}

#[tokio::test]
async fn an_expired_certificate_costs_no_second_try_on_its_connection_and_a_renewed_one_mends_it() {
    let server = Server::start(Behaviour::Refuse(1, "invalid_proof")).await;
    let files = Files::valid_for(Duration::seconds(2));
    let client = files.client(&server);
    let old = client.session().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(3100)).await;
    let refused = old
        .send(server.get("/"), "token", Proving::Connection)
        .await;
    assert_eq!(refused.unwrap().response.status(), 401);
    assert_eq!(server.seen().len(), 1);
    identity(files.path(), vec![]);
    assert_eq!(request(&client, &server).await, (200, ProofUse::Made));
}
