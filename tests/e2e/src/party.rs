//! Somebody with a certificate.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tls_session_binding::base64url;
use tls_session_binding_client::dev::authorization_server::{
    AccessTokenClaims, AuthorizationServerKey, Confirmation,
};
use tls_session_binding_client::http::{Connector, Options, Session, trust_anchors};
use tls_session_binding_client::proof::ProofBuilder;
use tls_session_binding_client::signer::Signer;
use tls_session_binding_client::{AccessToken, AccessTokenHash, ExporterValue};

use crate::ask::SERVICE;
use crate::{Result, now};

/// The issuer that the shipped configuration trusts.
pub const ISSUER: &str = "https://as.demo";
/// The audience that the shipped configuration asks for.
pub const AUDIENCE: &str = "https://service.demo";
const TOKEN_LIFE: u64 = 600;

/// A client of the service; its connections resume each other's TLS sessions.
pub struct Party {
    /// The certificate's key.
    pub signer: Arc<Signer>,
    connector: Connector,
    address: SocketAddr,
}

impl Party {
    /// The holder of certificate `name` in `pki`, who connects to `address`.
    ///
    /// # Errors
    /// When certificate or key cannot be read.
    pub fn new(pki: &Path, name: &str, address: SocketAddr, options: Options) -> Result<Self> {
        let file = |ending| pki.join(format!("{name}.{ending}"));
        let signer = Arc::new(Signer::from_pem_files(&file("pem"), &file("key"))?);
        let trusted = trust_anchors(&pki.join("ca.pem"))?;
        let connector = Connector::new(Arc::clone(&signer), trusted, options)?;
        Ok(Self {
            signer,
            connector,
            address,
        })
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn connect(&self) -> Result<Session> {
        let url = format!("https://{SERVICE}/").parse()?;
        Ok(self.connector.connect_to(self.address, &url).await?)
    }

    /// A session-bound token of `subject` for this certificate.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(&self, key: &AuthorizationServerKey, subject: &str) -> Result<String> {
        let confirmation = Confirmation::session_bound(self.signer.thumbprint());
        Ok(key.access_token(&claims(subject, confirmation))?)
    }

    /// A connection-level proof for `token` on the connection with this exporter value.
    ///
    /// # Errors
    /// When the token is malformed or the key refuses.
    pub fn proof(&self, token: &str, exporter: &ExporterValue) -> Result<String> {
        let proof = ProofBuilder::new(&hash(token)?, exporter, now());
        Ok(proof.sign(&self.signer)?.as_str().to_owned())
    }

    /// The JOSE header of an honest proof.
    #[must_use]
    pub fn proof_header(&self) -> Value {
        json!({
            "typ": tls_session_binding::proof::TYPE,
            "alg": self.signer.algorithm(),
            "x5t#S256": self.signer.thumbprint().to_base64url(),
        })
    }

    /// Signs any header and claims, honest or not.
    ///
    /// # Errors
    /// When the key refuses.
    pub fn forge(&self, header: &Value, claims: &Value) -> Result<String> {
        let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
        let input = format!("{}.{}", part(header), part(claims));
        let signature = self.signer.sign(input.as_bytes())?;
        Ok(format!("{input}.{}", base64url::encode(&signature)))
    }
}

/// The claims of an honest connection-level proof.
///
/// # Errors
/// When the token is malformed.
pub fn proof_claims(token: &str, exporter: &ExporterValue) -> Result<Value> {
    let (ath, ekm) = (hash(token)?.to_base64url(), exporter.to_base64url());
    Ok(json!({ "ath": ath, "ekm": ekm, "iat": now() }))
}

/// The claims of a token that the shipped configuration accepts, with any confirmation.
#[must_use]
pub fn claims(subject: &str, confirmation: Confirmation) -> AccessTokenClaims {
    let now = now();
    AccessTokenClaims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: subject.to_owned(),
        iat: now,
        exp: now + TOKEN_LIFE,
        cnf: confirmation,
    }
}

fn hash(token: &str) -> Result<AccessTokenHash> {
    Ok(AccessToken::parse(token).map_err(|_| "not a token")?.hash())
}
