//! A resource server on loopback: mTLS by rustls, and the verifier's own rules.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};
use tempfile::TempDir;
use tls_session_binding::access_token::AccessToken;
use tls_session_binding::certificate::ClientCertificate;
use tls_session_binding::config::Config;
use tls_session_binding::error::ClientFault;
use tls_session_binding::proof::{HEADER, UntrustedProof};
use tls_session_binding::request::{RequestLine, RequestTarget};
use tls_session_binding::signature::RustCrypto;
use tls_session_binding::verify::{self, Connection, PresentedToken};
use tls_session_binding_client::http::{Connector, Options, Session, trust_anchors};
use tls_session_binding_client::signer::Signer;
use tls_session_binding_client::{ExporterValue, dev::pki};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// One development PKI for all tests of the process.
pub(crate) static PKI: LazyLock<TempDir> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    pki::ensure(directory.path(), false).unwrap();
    directory
});

/// A file of the PKI.
pub(crate) fn file(name: &str) -> PathBuf {
    PKI.path().join(name)
}

/// A client certificate with its key.
pub(crate) fn signer(name: &str) -> Arc<Signer> {
    let (certificate, key) = (file(&format!("{name}.pem")), file(&format!("{name}.key")));
    Arc::new(Signer::from_pem_files(&certificate, &key).unwrap())
}

/// A connector of the client `name`.
pub(crate) fn connector(name: &str, options: Options) -> Connector {
    Connector::new(
        signer(name),
        trust_anchors(&file("ca.pem")).unwrap(),
        options,
    )
    .unwrap()
}

/// What the server received with one request, and what the verifier makes of it.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) exporter: String,
    pub(crate) method: String,
    pub(crate) proof: Option<String>,
    pub(crate) verdict: Option<Result<(), ClientFault>>,
}

/// How the server answers.
#[derive(Clone, Copy)]
pub(crate) enum Behaviour {
    /// By the verifier's verdict: 200, or `invalid_proof`.
    Judge,
    /// Refuses so many requests with this error, then judges.
    Refuse(usize, &'static str),
    /// Refuses so many requests because of their connection, then judges.
    RefuseConnection(usize),
    /// Refuses the proof of the first request with `invalid_proof`, whenever it comes.
    RefuseFirstProof,
    /// Refuses the first with `invalid_proof` and closes the connection.
    RefuseAndClose,
}

pub(crate) struct Server {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        Self::with_protocols(behaviour, &["h2", "http/1.1"], rustls::ALL_VERSIONS).await
    }

    pub(crate) async fn with_protocols(
        behaviour: Behaviour,
        alpn: &[&str],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        Self::with_config(behaviour, config(&signer("server"), alpn, versions)).await
    }

    /// A server that shows this certificate.
    pub(crate) async fn with_identity(identity: &Signer) -> Self {
        let config = config(identity, &["h2", "http/1.1"], rustls::ALL_VERSIONS);
        Self::with_config(Behaviour::Judge, config).await
    }

    async fn with_config(behaviour: Behaviour, config: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let seen = Arc::default();
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, acceptor.clone(), behaviour, Arc::clone(&log)));
            }
        });
        Self { port, seen }
    }

    /// A connection of the client `client`.
    pub(crate) async fn connect(&self, options: Options) -> Session {
        connector("client", options)
            .connect(&self.url("/"))
            .await
            .unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> http::Uri {
        format!("https://localhost:{}{path}", self.port)
            .parse()
            .unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Request<Bytes> {
        Request::get(self.url(path)).body(Bytes::new()).unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn config(
    identity: &Signer,
    alpn: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let trusted = Arc::new(trust_anchors(&file("ca.pem")).unwrap());
    let clients = WebPkiClientVerifier::builder_with_provider(trusted, Arc::clone(&provider));
    let server = Arc::clone(identity.certified_key());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(server)));
    config.require_ems = true;
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

async fn serve(
    tcp: TcpStream,
    acceptor: TlsAcceptor,
    behaviour: Behaviour,
    log: Arc<Mutex<Vec<Seen>>>,
) {
    let Ok(tls) = acceptor.accept(tcp).await else {
        return;
    };
    let rustls = tls.get_ref().1;
    let connection = Connection {
        exporter: exporter_value(rustls),
        certificate: ClientCertificate::from_der(&rustls.peer_certificates().unwrap()[0]).unwrap(),
    };
    let is_http2 = rustls.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| {
        let response = answer(&request, &connection, behaviour, &mut log.lock().unwrap());
        async move { Ok::<_, Infallible>(response) }
    });
    let io = TokioIo::new(tls);
    if is_http2 {
        let _ = http2::Builder::new(TokioExecutor::new())
            .serve_connection(io, service)
            .await;
    } else {
        let _ = http1::Builder::new().serve_connection(io, service).await;
    }
}

/// EKM-1 in the words of the protocol, not of the client: label, zero-length context, 32 bytes.
fn exporter_value(connection: &ServerConnection) -> ExporterValue {
    let label = b"EXPORTER-oauth-tls-session-bound";
    let value = connection.export_keying_material([0; 32], label, Some(&[]));
    ExporterValue::from_bytes(value.unwrap())
}

fn answer(
    request: &Request<Incoming>,
    connection: &Connection,
    behaviour: Behaviour,
    log: &mut Vec<Seen>,
) -> Response<Full<Bytes>> {
    let verdict = verdict(request, connection);
    let earlier = log.len();
    log.push(Seen {
        exporter: connection.exporter.to_base64url(),
        method: request.method().to_string(),
        proof: header(request, HEADER).map(str::to_owned),
        verdict,
    });
    match behaviour {
        Behaviour::Refuse(times, error) if earlier < times => refusal(error),
        Behaviour::RefuseConnection(times) if earlier < times => {
            refusal("invalid_proof connection")
        }
        Behaviour::RefuseFirstProof if log[earlier].proof == log[0].proof => {
            refusal("invalid_proof")
        }
        Behaviour::RefuseAndClose if earlier == 0 => {
            let mut response = refusal("invalid_proof");
            response
                .headers_mut()
                .insert("connection", "close".parse().unwrap());
            response
        }
        _ if matches!(verdict, Some(Err(_))) => refusal("invalid_proof"),
        _ => Response::new("served\n".into()),
    }
}

fn refusal(error: &str) -> Response<Full<Bytes>> {
    let (error, mend) = match error.split_once(' ') {
        Some((error, mend)) => (error, format!(r#", mend="{mend}""#)),
        None => (error, String::new()),
    };
    let challenge = format!(r#"Bearer error="{error}"{mend}, error_description="by the test""#);
    Response::builder()
        .status(401)
        .header("www-authenticate", challenge)
        .body("refused\n".into())
        .unwrap()
}

/// What the verifier says of the proof, if there is one.
fn verdict(
    request: &Request<Incoming>,
    connection: &Connection,
) -> Option<Result<(), ClientFault>> {
    let token = header(request, "authorization")?.strip_prefix("Bearer ")?;
    let proof = header(request, HEADER)?;
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    let line = RequestLine {
        method: request.method().as_str().as_bytes(),
        target: RequestTarget {
            authority: authority.or(header(request, "host"))?.as_bytes(),
            path: request.uri().path_and_query()?.as_str().as_bytes(),
        },
    };
    Some(judge(proof, token, &line, connection))
}

/// The core's verification with its default rules, at the present time.
pub(crate) fn judge(
    proof: &str,
    token: &str,
    line: &RequestLine<'_>,
    connection: &Connection,
) -> Result<(), ClientFault> {
    let rule = Config::parse(b"{}").unwrap().policy.default;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let proof = UntrustedProof::parse(proof.as_bytes())?;
    let token = PresentedToken {
        token: AccessToken::parse(token)?,
        authorization: token.as_bytes(),
        claims: &AccessToken::parse("e30.e30.e30")?.claims()?,
        are_claims_by_host: false,
    };
    verify::verify(&proof, &token, line, connection, &rule, now, &RustCrypto).map(|_| ())
}

fn header<'a>(request: &'a Request<Incoming>, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}
