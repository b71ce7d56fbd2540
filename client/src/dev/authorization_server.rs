//! The key of a development authorization server, and the access tokens that it signs.

use std::fmt;
use std::path::Path;

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey as _;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tls_session_binding::base64url;
use tls_session_binding::digest::CertificateThumbprint;
use tls_session_binding::exporter::LABEL;

use super::{DevError, files};
use crate::jws;

/// Signs access tokens with ES256. Its key id is its JWK thumbprint (RFC 7638), if not given.
pub struct AuthorizationServerKey {
    key: SigningKey,
    key_id: String,
}

impl AuthorizationServerKey {
    /// Reads an EC P-256 key in PKCS#8 PEM.
    ///
    /// # Errors
    /// [`DevError::File`], or [`DevError::Key`] for another kind of key.
    pub fn from_pem_file(path: &Path) -> Result<Self, DevError> {
        Self::from_pem(&files::read(path)?)
    }

    /// Makes sure that `directory` holds a key, `key.pem`, and its public half, `jwks.json`.
    ///
    /// An existing key is kept, unless `force`d.
    ///
    /// # Errors
    /// [`DevError::File`], [`DevError::Generation`], or [`DevError::Key`] for an existing key of
    /// another kind.
    pub fn ensure(directory: &Path, force: bool) -> Result<Self, DevError> {
        let path = directory.join("key.pem");
        if force || !path.exists() {
            files::make_directory(directory)?;
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            files::write_private(&path, &key.serialize_pem())?;
        }
        let key = Self::from_pem_file(&path)?;
        files::write_public(&directory.join("jwks.json"), &format!("{:#}\n", key.jwks()))?;
        Ok(key)
    }

    /// Takes another key id: `kid` of the JWK and of the tokens.
    #[must_use]
    pub fn with_key_id(self, key_id: &str) -> Self {
        Self {
            key_id: key_id.to_owned(),
            ..self
        }
    }

    /// The public key as a JWK set (RFC 7517).
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        let (x, y) = coordinates(&self.key);
        json!({"keys": [{
            "kty": "EC", "crv": "P-256", "x": x, "y": y,
            "use": "sig", "alg": "ES256", "kid": self.key_id,
        }]})
    }

    /// Signs an access token (`at+jwt`, RFC 9068).
    ///
    /// The claims may be any: [`AccessTokenClaims`] for an ordinary token, or JSON of one's own.
    ///
    /// # Errors
    /// [`DevError::Claims`] when they cannot be written as JSON.
    pub fn access_token(&self, claims: &impl Serialize) -> Result<String, DevError> {
        let header = json!({"typ": "at+jwt", "alg": "ES256", "kid": self.key_id});
        let input = jws::signing_input(&header, claims)?;
        let signature: Signature = self.key.sign(input.as_bytes());
        Ok(jws::compact(&input, &signature.to_bytes()))
    }

    fn from_pem(pem: &str) -> Result<Self, DevError> {
        let key = SigningKey::from_pkcs8_pem(pem).map_err(|_| DevError::Key)?;
        let key_id = thumbprint(&key);
        Ok(Self { key, key_id })
    }
}

/// The JWK thumbprint of the public key (RFC 7638).
fn thumbprint(key: &SigningKey) -> String {
    let (x, y) = coordinates(key);
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    base64url::encode(&Sha256::digest(members))
}

/// The coordinates of the public key as a JWK has them.
fn coordinates(key: &SigningKey) -> (String, String) {
    let point = key.verifying_key().to_encoded_point(false);
    let text = |coordinate: Option<&p256::FieldBytes>| {
        coordinate
            .map(|bytes| base64url::encode(bytes))
            .unwrap_or_default()
    };
    (text(point.x()), text(point.y()))
}

impl fmt::Debug for AuthorizationServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizationServerKey(..)")
    }
}

/// The claims of an ordinary development token.
///
/// ```no_run
/// # fn example(client: tls_session_binding_client::CertificateThumbprint)
/// #     -> Result<(), Box<dyn std::error::Error>> {
/// use tls_session_binding_client::dev::authorization_server::{
///     AccessTokenClaims, AuthorizationServerKey, Confirmation,
/// };
///
/// let key = AuthorizationServerKey::ensure("target/demo/as".as_ref(), false)?;
/// let token = key.access_token(&AccessTokenClaims {
///     iss: "https://as.demo".into(),
///     aud: "https://service.demo".into(),
///     sub: "alice".into(),
///     iat: 1_780_000_000,
///     exp: 1_780_000_300,
///     cnf: Confirmation::session_bound(&client),
/// })?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Serialize)]
pub struct AccessTokenClaims {
    /// Issuer.
    pub iss: String,
    /// Audience.
    pub aud: String,
    /// Subject.
    pub sub: String,
    /// Time of issue, in seconds since the epoch.
    pub iat: u64,
    /// Time of expiry, in seconds since the epoch.
    pub exp: u64,
    /// What the token is bound to.
    pub cnf: Confirmation,
}

/// The confirmation claim, `cnf`.
#[derive(Debug, Clone, Serialize)]
pub struct Confirmation {
    #[serde(rename = "x5t#S256")]
    thumbprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_exp: Option<&'static str>,
}

impl Confirmation {
    /// Bound to a certificate (RFC 8705), without session-binding proof.
    #[must_use]
    pub fn certificate_bound(certificate: &CertificateThumbprint) -> Self {
        Self {
            thumbprint: certificate.to_base64url(),
            tls_exp: None,
        }
    }

    /// Bound to a certificate and, by a session-binding proof, to the TLS session.
    #[must_use]
    pub fn session_bound(certificate: &CertificateThumbprint) -> Self {
        Self {
            thumbprint: certificate.to_base64url(),
            tls_exp: Some(LABEL),
        }
    }
}
