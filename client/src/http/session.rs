//! One connection with its exporter value and its proofs.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use rustls::{HandshakeKind, ProtocolVersion};
use tls_session_binding::access_token::AccessToken;
use tls_session_binding::base64url;
use tls_session_binding::challenge::Mend;
use tls_session_binding::digest::AccessTokenHash;
use tls_session_binding::exporter::ExporterValue;
use tls_session_binding::proof::HEADER;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::challenge::BearerChallenge;
use super::error::{HttpError, REQUEST_TIMEOUT};
use super::options::HttpVersion;
use super::sender::{Body, Failure, Sender};
use super::validity::{is_valid, unix_time};
use crate::exporter;
use crate::proof::Proof;
use crate::proofs::{ConnectionProofs, Origin};
use crate::signer::Signer;

const JTI_BYTES: usize = 16;

/// What goes with the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Proving {
    /// A proof for the connection, signed once per token.
    #[default]
    Connection,
    /// A proof for this one request (`htm`, `htu`, `jti`).
    PerRequest,
    /// No proof.
    Without,
}

/// Which proof the request went out with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofUse {
    /// None.
    NotSent,
    /// One signed for this request.
    Made,
    /// The one signed for an earlier request.
    Reused,
    /// A fresh one, after the server refused another with `invalid_proof`.
    Renewed,
}

/// The response, and how it came about.
#[derive(Debug)]
pub struct Answer {
    /// The response.
    pub response: Response<Bytes>,
    /// The proof of the request that it answers.
    pub proof: ProofUse,
    /// The refusal that led to [`ProofUse::Renewed`].
    pub refused: Option<BearerChallenge>,
}

impl Answer {
    fn first(response: Response<Bytes>, proof: ProofUse) -> Self {
        Self {
            response,
            proof,
            refused: None,
        }
    }

    fn renewed(response: Response<Bytes>, refused: BearerChallenge) -> Self {
        Self {
            response,
            proof: ProofUse::Renewed,
            refused: Some(refused),
        }
    }
}

/// A response whose body is still to come, and how it came about.
#[derive(Debug)]
pub struct Forwarded {
    /// The response.
    pub response: Response<Incoming>,
    /// The proof that the request went out with.
    pub proof: ProofUse,
    /// What the server says against that proof or its connection. The next request gets another proof; whether it
    /// needs another connection, [`BearerChallenge::mend`] says.
    pub refused: Option<BearerChallenge>,
}

/// What may be told about a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// TLS version.
    pub tls: ProtocolVersion,
    /// Whether the TLS session was resumed.
    pub resumed: bool,
    /// Whether it carries HTTP/2; otherwise HTTP/1.1.
    pub http2: bool,
}

/// An open connection. Requests may be sent concurrently; HTTP/1.1 takes them in turn.
pub struct Session {
    sender: Sender,
    exporter: ExporterValue,
    proofs: Mutex<ConnectionProofs>,
    facts: ConnectionFacts,
    signer: Arc<Signer>,
}

impl Session {
    pub(super) async fn start(
        tls: TlsStream<TcpStream>,
        version: HttpVersion,
        signer: Arc<Signer>,
    ) -> Result<Self, HttpError> {
        let connection = tls.get_ref().1;
        let exporter = exporter::of(connection)?;
        let tls_version = connection
            .protocol_version()
            .unwrap_or(ProtocolVersion::Unknown(0));
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        let sender = Sender::start(tls, version).await?;
        let http2 = sender.is_http2();
        Ok(Self {
            sender,
            exporter,
            proofs: Mutex::new(ConnectionProofs::new(Arc::clone(&signer), exporter)),
            signer,
            facts: ConnectionFacts {
                tls: tls_version,
                resumed,
                http2,
            },
        })
    }

    /// What may be told about the connection.
    #[must_use]
    pub fn facts(&self) -> &ConnectionFacts {
        &self.facts
    }

    /// The connection's exporter value, for proofs made outside.
    #[must_use]
    pub fn exporter(&self) -> &ExporterValue {
        &self.exporter
    }

    /// Certificate and key that the connection was opened with.
    #[must_use]
    pub fn signer(&self) -> &Arc<Signer> {
        &self.signer
    }

    /// Whether a request could go out at once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Whether the connection takes no more requests.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether an answer says that its request may pass on another connection, and not on this one.
    pub(super) fn is_spent(&self, answer: &Answer) -> bool {
        let is_over = || self.is_closed() || !is_valid(&self.signer);
        challenge_of(&answer.response).is_some_and(|challenge| match challenge.mend() {
            Mend::Connection => true,
            Mend::Proof => is_over(),
            Mend::Nothing => false,
        })
    }

    /// Sends a request with an access token and its proof.
    ///
    /// After a 401 that a new proof mends ([`Mend::Proof`]), which also a proof that became too old
    /// gets, it signs one fresh proof and sends the request once more, if the connection is still
    /// open. The second answer is final, whatever it is. No other refusal is answered by itself:
    /// [`BearerChallenge::mend`] says whether a new connection would help.
    ///
    /// The request carries an absolute URL of the connection's host.
    ///
    /// # Errors
    /// [`HttpError::AccessToken`], [`HttpError::Signing`], and those of [`Session::send_as_is`].
    pub async fn send(
        &self,
        mut request: Request<Bytes>,
        token: &str,
        proving: Proving,
    ) -> Result<Answer, HttpError> {
        let hash = AccessToken::parse(token)
            .map_err(|_| HttpError::AccessToken)?
            .hash();
        request
            .headers_mut()
            .insert(AUTHORIZATION, secret(&format!("Bearer {token}"))?);
        let (proof, used) = self.proof(&request, &hash, proving)?;
        let response = self.send_with(&request, proof.as_ref()).await?;
        let answer = Answer::first(response, used);
        let (Some(proof), Some(refused)) = (proof, refused_proof(&answer.response)) else {
            return Ok(answer);
        };
        if self.is_spent(&answer) {
            return Ok(answer);
        }
        self.proofs().forget(&hash, &proof);
        let (fresh, _) = self.proof(&request, &hash, proving)?;
        match self.send_with(&request, fresh.as_ref()).await {
            Ok(response) => Ok(Answer::renewed(response, refused)),
            Err(HttpError::Closed(_)) => Ok(answer),
            Err(error) => Err(error),
        }
    }

    /// Sends a request without adding anything: no token, no proof.
    ///
    /// # Errors
    /// [`HttpError::Url`], [`HttpError::Closed`], [`HttpError::Exchange`], [`HttpError::Body`] or
    /// [`HttpError::TimedOut`].
    pub async fn send_as_is(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        tokio::time::timeout(REQUEST_TIMEOUT, self.sender.send(request))
            .await
            .map_err(|_| HttpError::TimedOut(REQUEST_TIMEOUT))?
    }

    /// Sends a request whose body comes as it comes, with the proof for this token.
    ///
    /// There is one attempt and no bound of time: both are the caller's. The token itself must be in the request
    /// already, and the request's URL absolute.
    ///
    /// # Errors
    /// [`Failure`], with the request if it can be sent elsewhere: its proof is taken off again.
    pub async fn forward(
        &self,
        mut request: Request<Body>,
        token: Option<&AccessTokenHash>,
        proving: Proving,
    ) -> Result<Forwarded, Failure> {
        let (proof, used) = match token {
            Some(token) => self.proof(&request, token, proving)?,
            None => (None, ProofUse::NotSent),
        };
        let name = HeaderName::from_static(HEADER);
        request.headers_mut().remove(&name);
        if let Some(proof) = &proof {
            request
                .headers_mut()
                .insert(name.clone(), secret(proof.as_str())?);
        }
        let response = self.sender.forward(request).await.map_err(|mut failure| {
            failure.unsent = failure.unsent.take().map(|mut request| {
                request.headers_mut().remove(&name);
                request
            });
            failure
        })?;
        let refused = challenge_of(&response)
            .filter(|challenge| proof.is_some() && challenge.mend() != Mend::Nothing);
        if let (Some(token), Some(proof), Some(_)) = (token, &proof, &refused) {
            self.proofs().forget(token, proof);
        }
        Ok(Forwarded {
            response,
            proof: used,
            refused,
        })
    }

    fn proof<B>(
        &self,
        request: &Request<B>,
        token: &AccessTokenHash,
        proving: Proving,
    ) -> Result<(Option<Proof>, ProofUse), HttpError> {
        match proving {
            Proving::Without => Ok((None, ProofUse::NotSent)),
            Proving::PerRequest => Ok((
                Some(self.per_request_proof(request, token)?),
                ProofUse::Made,
            )),
            Proving::Connection => match self.proofs().proof_for(token, unix_time())? {
                (proof, Origin::Made) => Ok((Some(proof), ProofUse::Made)),
                (proof, Origin::Reused) => Ok((Some(proof), ProofUse::Reused)),
            },
        }
    }

    async fn send_with(
        &self,
        request: &Request<Bytes>,
        proof: Option<&Proof>,
    ) -> Result<Response<Bytes>, HttpError> {
        let mut request = request.clone();
        if let Some(proof) = proof {
            let name = HeaderName::from_static(HEADER);
            request.headers_mut().insert(name, secret(proof.as_str())?);
        }
        self.send_as_is(request).await
    }

    fn per_request_proof<B>(
        &self,
        request: &Request<B>,
        token: &AccessTokenHash,
    ) -> Result<Proof, HttpError> {
        let target = target_uri(request.uri()).ok_or(HttpError::Url)?;
        let id = unique_id()?;
        let limit = |proof: crate::proof::ProofBuilder| {
            proof
                .method(request.method().as_str())
                .target_uri(&target)
                .id(&id)
        };
        Ok(self.proofs().per_request(token, unix_time(), limit)?)
    }

    fn proofs(&self) -> std::sync::MutexGuard<'_, ConnectionProofs> {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The challenge of a response that asks for another proof.
fn refused_proof<B>(response: &Response<B>) -> Option<BearerChallenge> {
    challenge_of(response).filter(|challenge| challenge.mend() == Mend::Proof)
}

fn challenge_of<B>(response: &Response<B>) -> Option<BearerChallenge> {
    let challenge = BearerChallenge::from_headers(response.headers());
    challenge.filter(|_| response.status() == StatusCode::UNAUTHORIZED)
}

/// The target URI of a request without query.
fn target_uri(uri: &Uri) -> Option<String> {
    Some(format!(
        "{}://{}{}",
        uri.scheme()?,
        uri.authority()?,
        uri.path()
    ))
}

fn unique_id() -> Result<String, HttpError> {
    let mut bytes = [0; JTI_BYTES];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|error| HttpError::Configuration(error.into()))?;
    Ok(base64url::encode(&bytes))
}

/// A header value that is not shown in logs nor indexed by header compression.
fn secret(text: &str) -> Result<HeaderValue, HttpError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| HttpError::AccessToken)?;
    value.set_sensitive(true);
    Ok(value)
}
