//! Requests whose verdicts are known beforehand: half of them good, half bad in one of four ways.

use std::error::Error;
use std::fmt;

use http::Request;
use hyper::body::Bytes;
use tls_session_binding_client::ExporterValue;
use tls_session_binding_client::http::{HttpError, HttpVersion};
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::{Outcome, present};
use tls_session_binding_e2e::party::Party;

use crate::stage::{Judged, Policy, Stage};

/// A client with some tokens, and a thief.
pub(crate) struct Cast {
    pub(crate) client: Party,
    thief: Party,
    /// Number by number, each for a use of its own.
    tokens: Vec<String>,
    /// Of a connection that is no more.
    elsewhere: ExporterValue,
}

/// What is right or wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Good,
    WithoutProof,
    ProofOfAnotherConnection,
    TokenOfAnother,
    ProofOfAnother,
}

impl Kind {
    fn of(number: usize) -> Self {
        match number % 8 {
            0 => Self::WithoutProof,
            2 => Self::ProofOfAnotherConnection,
            4 => Self::TokenOfAnother,
            6 => Self::ProofOfAnother,
            _ => Self::Good,
        }
    }

    /// What may become of it, under a policy and with or without a service; `None` is either. Bad requests
    /// are refused whatever it is.
    pub(crate) fn verdicts(self, policy: Option<Policy>, service: Option<bool>) -> Vec<Outcome> {
        let refused = |error| vec![Outcome::refused(error)];
        match self {
            Self::WithoutProof => refused("use_session_binding"),
            Self::TokenOfAnother => refused("invalid_token"),
            Self::ProofOfAnotherConnection | Self::ProofOfAnother => refused("invalid_proof"),
            Self::Good => {
                let may = |case: bool, outcome| case.then_some(outcome);
                [
                    may(
                        policy != Some(Policy::Shipped),
                        Outcome::refused("invalid_proof"),
                    ),
                    may(
                        policy != Some(Policy::Tight) && service != Some(false),
                        Outcome::Passed,
                    ),
                    may(
                        policy != Some(Policy::Tight) && service != Some(true),
                        Outcome::Status(503),
                    ),
                ]
                .into_iter()
                .flatten()
                .collect()
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Good => "good",
            Self::WithoutProof => "without proof",
            Self::ProofOfAnotherConnection => "a proof of another connection",
            Self::TokenOfAnother => "a token of another certificate",
            Self::ProofOfAnother => "a proof by another key",
        })
    }
}

impl Cast {
    /// Takes one connection to have its exporter value.
    pub(crate) async fn new(stage: &Stage, version: HttpVersion, tokens: usize) -> Result<Self> {
        let client = stage.party("client", version)?;
        let thief = stage.party("thief", version)?;
        let issue = |number| match Kind::of(number) {
            Kind::TokenOfAnother => thief.token(&stage.issuer, "thief"),
            _ => client.token(&stage.issuer, &format!("user-{number}")),
        };
        let tokens: Vec<_> = (0..tokens).map(issue).collect::<Result<_>>()?;
        for token in &tokens {
            stage.tally.remember_secret(token);
        }
        let elsewhere = *stage.open(&client).await?.session.exporter();
        Ok(Self {
            client,
            thief,
            tokens,
            elsewhere,
        })
    }

    /// Asks with each token in turn; a good request twice, for the second time it is known. Whether the
    /// connection is still open.
    pub(crate) async fn ask(&self, stage: &Stage, connection: &Judged) -> Result<bool> {
        for number in 0..self.tokens.len() {
            let kind = Kind::of(number);
            let request = self.request(stage, connection, number)?;
            let times = if kind == Kind::Good { 2 } else { 1 };
            for _ in 0..times {
                if !judge(stage, connection, request.clone(), kind).await {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn request(&self, stage: &Stage, connection: &Judged, number: usize) -> Result<Request<Bytes>> {
        let token = self.tokens.get(number).ok_or("no such token")?;
        let here = connection.session.exporter();
        let proof = match Kind::of(number) {
            Kind::WithoutProof => return Ok(present(token, None)),
            Kind::ProofOfAnotherConnection => self.client.proof(token, &self.elsewhere)?,
            Kind::ProofOfAnother => self.thief.proof(token, here)?,
            Kind::Good | Kind::TokenOfAnother => self.client.proof(token, here)?,
        };
        stage.tally.remember_secret(&proof);
        Ok(present(token, Some(&proof)))
    }

    /// A request that is good.
    pub(crate) fn good(&self, stage: &Stage, connection: &Judged) -> Result<Request<Bytes>> {
        self.request(stage, connection, 1)
    }
}

/// Sends a request and compares the verdict. Whether the connection is still open.
pub(crate) async fn judge(
    stage: &Stage,
    connection: &Judged,
    request: Request<Bytes>,
    kind: Kind,
) -> bool {
    let service = stage.service();
    match connection.session.send_as_is(request).await {
        Ok(response) => {
            let service = service.filter(|_| service == stage.service());
            let verdicts = kind.verdicts(connection.policy, service);
            stage
                .tally
                .note_verdict(kind, &Outcome::of(&response), &verdicts);
            true
        }
        Err(error) if stage.drains() && was_not_taken(&error) => {
            stage.tally.note_sent_away();
            false
        }
        Err(error) => {
            let error: &dyn Error = &error;
            stage.tally.note_failure(&chain(error));
            false
        }
    }
}

/// Whether the connection had been told to go before Envoy took the request: it was not sent, or came after
/// the last that Envoy took (RFC 9113 section 6.8).
fn was_not_taken(error: &HttpError) -> bool {
    let cause = error.source().and_then(Error::source);
    let http2 = cause.and_then(|cause| cause.downcast_ref::<h2::Error>());
    let is_told_to_go = |error: &h2::Error| {
        error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
    };
    matches!(error, HttpError::Closed(_)) || http2.is_some_and(is_told_to_go)
}

fn chain(error: &dyn Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", chain(source)),
    }
}
