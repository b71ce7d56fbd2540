//! The client certificate of a connection (RFC 5280), as far as binding needs it.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::{Decode as _, Encode as _};
use x509_cert::Certificate;

use crate::digest::CertificateThumbprint;
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

/// The certificate that the client proved to own in this connection's handshake. A clone shares everything.
#[derive(Debug, Clone)]
pub struct ClientCertificate(Arc<Parsed>);

#[derive(Debug)]
struct Parsed {
    /// The bytes that it was read from.
    shown: Box<[u8]>,
    thumbprint: CertificateThumbprint,
    not_after: u64,
    /// The key's DER (RFC 5280 section 4.1.2.7).
    spki: Vec<u8>,
    /// Imported when the first proof is verified with it: the import costs more than all the rest.
    key: OnceLock<Option<PublicKey>>,
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
        Ok(Self::read(&der, property)?)
    }

    /// Reads a certificate from DER.
    ///
    /// # Errors
    /// [`HostFault::CertificateUnreadable`]. A key of a kind that no proof may be signed with is not an
    /// error here, see [`Self::key`].
    pub fn from_der(der: &[u8]) -> Result<Self, HostFault> {
        Self::read(der, der)
    }

    fn read(der: &[u8], shown: &[u8]) -> Result<Self, HostFault> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(HostFault::CertificateUnreadable);
        }
        let unreadable = |_| HostFault::CertificateUnreadable;
        let certificate = Certificate::from_der(der).map_err(unreadable)?;
        let body = &certificate.tbs_certificate;
        Ok(Self(Arc::new(Parsed {
            shown: shown.into(),
            thumbprint: CertificateThumbprint::of_der(der),
            not_after: body.validity.not_after.to_unix_duration().as_secs(),
            spki: body.subject_public_key_info.to_der().map_err(unreadable)?,
            key: OnceLock::new(),
        })))
    }

    /// Whether it was read from exactly these bytes.
    #[must_use]
    pub fn is_shown_as(&self, property: &[u8]) -> bool {
        *self.0.shown == *property
    }

    /// Bytes that it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.0.shown.len() + self.0.spki.len()
    }

    /// SHA-256 of the certificate's DER.
    #[must_use]
    pub fn thumbprint(&self) -> &CertificateThumbprint {
        &self.0.thumbprint
    }

    /// `notAfter` in seconds since 1970.
    #[must_use]
    pub fn not_after(&self) -> u64 {
        self.0.not_after
    }

    /// The key that proofs on this connection must be signed with; imported once.
    ///
    /// # Errors
    /// [`ClientFault::CertificateKeyUnsupported`].
    pub fn key(&self) -> Result<&PublicKey, ClientFault> {
        let import = || PublicKey::from_spki_der(&self.0.spki).ok();
        let key = self.0.key.get_or_init(import).as_ref();
        key.ok_or(ClientFault::CertificateKeyUnsupported)
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
