//! Session-binding proofs.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tls_session_binding::digest::AccessTokenHash;
use tls_session_binding::exporter::ExporterValue;
use tls_session_binding::proof::TYPE;

use crate::jws;
use crate::signer::{Signer, SigningError};

/// What a proof states, before it is signed.
///
/// As made it is a connection-level proof: signed once, sent with every request of the token on
/// the connection. With a method, a target or an id it is a per-request proof, for one request.
///
/// ```no_run
/// # use tls_session_binding_client::{AccessToken, ExporterValue, signer::Signer};
/// # fn example(signer: &Signer, exporter: &ExporterValue, token: AccessToken<'_>)
/// #     -> Result<(), Box<dyn std::error::Error>> {
/// use tls_session_binding_client::proof::ProofBuilder;
///
/// let token = token.hash();
/// let issued_at = 1_780_000_000;
/// let proof = ProofBuilder::new(&token, exporter, issued_at).sign(signer)?;
/// let for_one_request = ProofBuilder::new(&token, exporter, issued_at)
///     .method("GET")
///     .target_uri("https://service.demo/orders")
///     .sign(signer)?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct ProofBuilder(Claims);

#[derive(Debug, Serialize)]
struct Header<'a> {
    typ: &'static str,
    alg: &'static str,
    #[serde(rename = "x5t#S256")]
    thumbprint: &'a str,
}

#[derive(Serialize)]
struct Claims {
    ath: String,
    ekm: String,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    htm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    htu: Option<String>,
}

impl ProofBuilder {
    /// A connection-level proof; `issued_at` in seconds since the epoch.
    #[must_use]
    pub fn new(token: &AccessTokenHash, exporter: &ExporterValue, issued_at: u64) -> Self {
        Self(Claims {
            ath: token.to_base64url(),
            ekm: exporter.to_base64url(),
            iat: issued_at,
            jti: None,
            htm: None,
            htu: None,
        })
    }

    /// Limits the proof to one method: `htm`.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.0.htm = Some(method.to_owned());
        self
    }

    /// Limits the proof to one target URI, without query and fragment: `htu`.
    #[must_use]
    pub fn target_uri(mut self, uri: &str) -> Self {
        self.0.htu = Some(uri.to_owned());
        self
    }

    /// Limits the proof to one use by a unique id: `jti`.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.0.jti = Some(id.to_owned());
        self
    }

    /// Signs the proof with the key of the connection's client certificate.
    ///
    /// # Errors
    /// [`SigningError`] when the key refuses.
    pub fn sign(&self, signer: &Signer) -> Result<Proof, SigningError> {
        let header = Header {
            typ: TYPE,
            alg: signer.algorithm(),
            thumbprint: &signer.thumbprint().to_base64url(),
        };
        let input = jws::signing_input(&header, &self.0).map_err(|_| SigningError)?;
        let signature = signer.sign(input.as_bytes())?;
        Ok(Proof(jws::compact(&input, &signature).into()))
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("iat", &self.iat)
            .finish_non_exhaustive()
    }
}

/// A signed session-binding proof: the value of the header `Session-Binding-Proof`.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof(Arc<str>);

impl Proof {
    /// The compact JWS.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(..)")
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
    use serde_json::{Value, json};
    use tls_session_binding::access_token::AccessToken;
    use tls_session_binding::base64url;

    use super::*;
    use crate::testing::Identity;

    const EXPORTER: ExporterValue = ExporterValue::from_bytes([7; 32]);

    fn token() -> AccessTokenHash {
        AccessToken::parse("example-token").unwrap().hash()
    }

    fn decode(part: &str) -> Value {
        serde_json::from_slice(&base64url::decode(part.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_connection_level_proof_has_the_required_members_and_no_other() {
        let signer = Identity::new(&PKCS_ECDSA_P256_SHA256).signer().unwrap();
        let proof = ProofBuilder::new(&token(), &EXPORTER, 1_780_000_000)
            .sign(&signer)
            .unwrap();
        let parts: Vec<_> = proof.as_str().split('.').collect();
        assert_eq!(parts.len(), 3);
        let thumbprint = signer.thumbprint().to_base64url();
        let header = json!({
            "typ": "tls-binding-proof+jwt", "alg": "ES256", "x5t#S256": thumbprint,
        });
        assert_eq!(decode(parts[0]), header);
        let claims = json!({
            "ath": token().to_base64url(), "ekm": EXPORTER.to_base64url(), "iat": 1_780_000_000,
        });
        assert_eq!(decode(parts[1]), claims);
    }

    #[test]
    fn a_per_request_proof_names_method_target_and_id() {
        let signer = Identity::new(&PKCS_ED25519).signer().unwrap();
        let proof = ProofBuilder::new(&token(), &EXPORTER, 0)
            .method("GET")
            .target_uri("https://service.demo/orders")
            .id("one")
            .sign(&signer)
            .unwrap();
        let claims = decode(proof.as_str().split('.').nth(1).unwrap());
        assert_eq!(claims["htm"], "GET");
        assert_eq!(claims["htu"], "https://service.demo/orders");
        assert_eq!(claims["jti"], "one");
    }

    #[test]
    fn debug_shows_neither_claims_nor_signature() {
        let signer = Identity::new(&PKCS_ED25519).signer().unwrap();
        let builder = ProofBuilder::new(&token(), &EXPORTER, 5).id("one");
        assert_eq!(
            format!("{builder:?}"),
            "ProofBuilder(Claims { iat: 5, .. })"
        );
        assert_eq!(format!("{:?}", builder.sign(&signer).unwrap()), "Proof(..)");
    }
}
