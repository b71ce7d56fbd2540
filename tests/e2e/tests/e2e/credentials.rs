//! What requests bring along, by name.

use http::{Method, Request};
use hyper::body::Bytes;
use serde_json::json;
use tls_session_binding_client::dev::authorization_server::Confirmation;
use tls_session_binding_client::http::{Options, Session};
use tls_session_binding_e2e::ask::{Outcome, Present};
use tls_session_binding_e2e::party::{AUDIENCE, ISSUER, Party, claims, proof_claims};
use tls_session_binding_e2e::stack::Stack;
use tls_session_binding_e2e::{Result, now};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bring {
    /// No token.
    Nothing,
    /// A token without `cnf`.
    Unbound,
    /// A token for the certificate alone.
    CertificateBound,
    /// A session-bound token without a proof.
    NoProof,
    /// A session-bound token with a proof for the connection.
    Proof,
    /// The same with a proof for the request.
    RequestProof,
    /// The same, signed 100 seconds ago.
    OldRequestProof,
    /// Another's token with a proof of one's own.
    StolenToken,
}

/// A client on one connection.
pub(crate) struct Client<'a> {
    stack: &'a Stack,
    pub(crate) party: Party,
    pub(crate) connection: Session,
}

impl<'a> Client<'a> {
    pub(crate) async fn connect(stack: &'a Stack, options: Options) -> Result<Self> {
        let party = stack.party("client", options)?;
        let connection = party.connect().await?;
        Ok(Self {
            stack,
            party,
            connection,
        })
    }

    /// A request of `method` at `host` and `path`.
    pub(crate) fn request(
        &self,
        bring: Bring,
        method: &str,
        target: &str,
    ) -> Result<Request<Bytes>> {
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes())?)
            .uri(format!("https://{target}"));
        let Some(token) = self.token(bring)? else {
            return Ok(request.empty());
        };
        let (path, _) = target.split_once('?').unwrap_or((target, ""));
        let mut facts = proof_claims(&token, self.connection.exporter())?;
        let issued_at = match bring {
            Bring::Unbound | Bring::CertificateBound | Bring::NoProof => {
                return Ok(request.token(&token).empty());
            }
            Bring::OldRequestProof => now() - 100,
            _ => now(),
        };
        if matches!(bring, Bring::RequestProof | Bring::OldRequestProof) {
            let jti = format!("{path}-{bring:?}-{method}");
            let request = json!({ "iat": issued_at, "htm": method, "htu": format!("https://{path}"), "jti": jti });
            let members = request.as_object().cloned().unwrap_or_default();
            facts
                .as_object_mut()
                .into_iter()
                .for_each(|facts| facts.extend(members.clone()));
        }
        let proof = self.party.forge(&self.party.proof_header(), &facts)?;
        Ok(request.token(&token).proof(&proof).empty())
    }

    /// What becomes of it.
    pub(crate) async fn try_with(
        &self,
        bring: Bring,
        method: &str,
        target: &str,
    ) -> Result<Outcome> {
        let request = self.request(bring, method, target)?;
        self.stack.outcome(&self.connection, request).await
    }

    fn token(&self, bring: Bring) -> Result<Option<String>> {
        let issuer = &self.stack.authorization_server;
        Ok(Some(match bring {
            Bring::Nothing => return Ok(None),
            Bring::Unbound => issuer
                .access_token(&json!({ "iss": ISSUER, "aud": AUDIENCE, "exp": now() + 600 }))?,
            Bring::CertificateBound => {
                let confirmation = Confirmation::certificate_bound(self.party.signer.thumbprint());
                issuer.access_token(&claims("alice", confirmation))?
            }
            Bring::StolenToken => self
                .stack
                .party("thief", Options::default())?
                .token(issuer, "thief")?,
            _ => self.party.token(issuer, "alice")?,
        }))
    }
}
