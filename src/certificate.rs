//! The client certificate of a connection (RFC 5280), as far as binding needs it.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::Decode as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use x509_cert::Certificate;

use crate::base64url;
use crate::error::{ClientFault, HostFault, Refusal};
use crate::limits::MAX_CERTIFICATE_BYTES;
use crate::public_key::PublicKey;

/// What the host writes in the certificate's place when the client presented none (V-a).
pub const NOT_PRESENTED: &[u8] = b"none";

const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const PEM_END: &str = "-----END CERTIFICATE-----";

/// How the host writes the client certificate into a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateEncoding {
    /// DER in base64 (RFC 4648 section 4), with padding.
    Base64Der,
    /// PEM (RFC 7468); the first certificate is the leaf.
    Pem,
}

/// The certificate that the client proved to own in this connection's handshake. A clone shares the key.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    thumbprint: CertificateThumbprint,
    not_after: u64,
    key: Option<Arc<PublicKey>>,
}

impl ClientCertificate {
    /// Reads the certificate as the host wrote it into a property.
    ///
    /// Neither its chain nor its names are checked: the host verified them in the handshake.
    ///
    /// # Errors
    /// [`HostFault::CertificateMissing`] for an empty property, [`ClientFault::CertificateNotPresented`]
    /// for [`NOT_PRESENTED`], [`HostFault::CertificateUnreadable`] for anything that is not one.
    pub fn parse(property: &[u8], encoding: CertificateEncoding) -> Result<Self, Refusal> {
        match property {
            b"" => return Err(HostFault::CertificateMissing.into()),
            NOT_PRESENTED => return Err(ClientFault::CertificateNotPresented.into()),
            _ => {}
        }
        let der = match encoding {
            CertificateEncoding::Base64Der => STANDARD.decode(property).ok(),
            CertificateEncoding::Pem => decode_pem(property),
        };
        let der = der.ok_or(HostFault::CertificateUnreadable)?;
        Ok(Self::from_der(&der)?)
    }

    /// Reads a certificate from DER.
    ///
    /// # Errors
    /// [`HostFault::CertificateUnreadable`]. A key of a kind that no proof may be signed with is not an
    /// error here, see [`Self::key`].
    pub fn from_der(der: &[u8]) -> Result<Self, HostFault> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(HostFault::CertificateUnreadable);
        }
        let certificate =
            Certificate::from_der(der).map_err(|_| HostFault::CertificateUnreadable)?;
        let body = &certificate.tbs_certificate;
        Ok(Self {
            thumbprint: CertificateThumbprint::of_der(der),
            not_after: body.validity.not_after.to_unix_duration().as_secs(),
            key: PublicKey::from_spki(&body.subject_public_key_info)
                .ok()
                .map(Arc::new),
        })
    }

    /// SHA-256 of the certificate's DER.
    #[must_use]
    pub const fn thumbprint(&self) -> &CertificateThumbprint {
        &self.thumbprint
    }

    /// `notAfter` in seconds since 1970.
    #[must_use]
    pub const fn not_after(&self) -> u64 {
        self.not_after
    }

    /// The key that proofs on this connection must be signed with.
    ///
    /// # Errors
    /// [`ClientFault::CertificateKeyUnsupported`].
    pub fn key(&self) -> Result<&PublicKey, ClientFault> {
        self.key
            .as_deref()
            .ok_or(ClientFault::CertificateKeyUnsupported)
    }
}

/// SHA-256 of a certificate's DER: `x5t#S256` (RFC 7515 section 4.1.8). Equality is constant-time.
#[derive(Clone, Copy)]
pub struct CertificateThumbprint([u8; 32]);

impl CertificateThumbprint {
    /// Hashes a certificate's DER.
    #[must_use]
    pub fn of_der(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// Reads the 43 characters of an `x5t#S256` value.
    ///
    /// # Errors
    /// [`base64url::Malformed`] for anything but 32 bytes of base64url.
    pub fn parse(text: &[u8]) -> Result<Self, base64url::Malformed> {
        base64url::decode_array(text).map(Self)
    }

    /// The thumbprint as `x5t#S256` carries it.
    #[must_use]
    pub fn to_base64url(&self) -> String {
        base64url::encode(&self.0)
    }
}

impl PartialEq for CertificateThumbprint {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for CertificateThumbprint {}

impl fmt::Debug for CertificateThumbprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CertificateThumbprint({})", self.to_base64url())
    }
}

/// The bytes of the first certificate in PEM text. Line ends and text before it do not matter.
fn decode_pem(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, behind) = text.split_once(PEM_BEGIN)?;
    let (body, _) = behind.split_once(PEM_END)?;
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).ok()
}
