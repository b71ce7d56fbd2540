//! What clients present: tokens and proofs, made before they are sent.

use std::cell::Cell;

use tls_session_binding_client::dev::authorization_server::AuthorizationServerKey;
use tls_session_binding_client::proof::ProofBuilder;
use tls_session_binding_client::{AccessToken, ExporterValue};
use tls_session_binding_e2e::party::Party;
use tls_session_binding_e2e::{Result, now};

use crate::load::{Protocol, Request, target_uri};

/// How often a token and a proof are presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presenting {
    /// These many tokens in turn on each connection, each with one proof, again and again.
    Again {
        /// How many.
        tokens: usize,
    },
    /// A token and its proof these many times, then others.
    Times(usize),
    /// One token, and a proof for every request.
    PerRequest,
}

/// Makes requests.
pub struct Client<'a> {
    party: &'a Party,
    issuer: &'a AuthorizationServerKey,
    made: Cell<u64>,
}

impl<'a> Client<'a> {
    /// The client with this certificate and tokens of this issuer.
    #[must_use]
    pub fn new(party: &'a Party, issuer: &'a AuthorizationServerKey) -> Self {
        Self {
            party,
            issuer,
            made: Cell::new(0),
        }
    }

    /// `count` requests for the connection with this exporter value.
    ///
    /// # Errors
    /// When something cannot be signed.
    pub fn requests(
        &self,
        presenting: Presenting,
        protocol: Protocol,
        count: usize,
        exporter: &ExporterValue,
    ) -> Result<Vec<Box<[u8]>>> {
        match presenting {
            Presenting::Again { tokens } => (0..tokens)
                .map(|_| self.request(protocol, exporter))
                .collect(),
            Presenting::Times(times) => {
                let mut requests = Vec::with_capacity(count);
                while requests.len() < count {
                    let request = self.request(protocol, exporter)?;
                    let times = times.min(count - requests.len());
                    requests.extend(std::iter::repeat_n(request, times));
                }
                Ok(requests)
            }
            Presenting::PerRequest => {
                let token = self.token()?;
                (0..count)
                    .map(|_| self.request_with_its_own_proof(&token, protocol, exporter))
                    .collect()
            }
        }
    }

    fn request(&self, protocol: Protocol, exporter: &ExporterValue) -> Result<Box<[u8]>> {
        self.request_with(&self.token()?, protocol, exporter)
    }

    /// A request with this token and a proof for the connection.
    ///
    /// # Errors
    /// When the proof cannot be signed.
    pub fn request_with(
        &self,
        token: &str,
        protocol: Protocol,
        exporter: &ExporterValue,
    ) -> Result<Box<[u8]>> {
        let proof = self.party.proof(token, exporter)?;
        Ok(protocol.encode(Request {
            token,
            proof: Some(&proof),
        }))
    }

    fn request_with_its_own_proof(
        &self,
        token: &str,
        protocol: Protocol,
        exporter: &ExporterValue,
    ) -> Result<Box<[u8]>> {
        let hash = AccessToken::parse(token).map_err(|_| "not a token")?.hash();
        let proof = ProofBuilder::new(&hash, exporter, now())
            .method("GET")
            .target_uri(&target_uri())
            .id(&format!("request-{:016x}", self.number()))
            .sign(&self.party.signer)?;
        Ok(protocol.encode(Request {
            token,
            proof: Some(proof.as_str()),
        }))
    }

    /// A new token.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(&self) -> Result<String> {
        self.party
            .token(self.issuer, &format!("user-{:016x}", self.number()))
    }

    fn number(&self) -> u64 {
        self.made.set(self.made.get() + 1);
        self.made.get()
    }
}
