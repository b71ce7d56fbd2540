//! The TLS exporter value of a connection (RFC 5705, RFC 8446 section 7.5; EKM-1).

use std::fmt;

use subtle::ConstantTimeEq as _;

use crate::base64url;
use crate::error::HostFault;
use crate::limits::MAX_EXPORTER_TEXT_BYTES;

/// Exporter label, and the only value of `cnf.tls_exp` that this verifier knows (EKM-1).
pub const LABEL: &str = "EXPORTER-oauth-tls-session-bound";

/// Length of the exporter value in bytes (EKM-1).
pub const EXPORTER_BYTES: usize = 32;

/// How the host writes the exporter value into a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExporterEncoding {
    /// 43 characters of base64url without padding.
    Base64url,
    /// 64 hexadecimal digits of either case.
    Hex,
}

/// Exported keying material of one TLS connection: 32 secret bytes.
///
/// Equality is constant-time, and `Debug` shows nothing of it.
#[derive(Clone, Copy)]
pub struct ExporterValue([u8; EXPORTER_BYTES]);

impl ExporterValue {
    /// Wraps what a TLS library exported under [`LABEL`] with a zero-length context.
    ///
    /// It does not check where the bytes came from: never pass anything that a client sent (EKM-5).
    #[must_use]
    pub const fn from_bytes(bytes: [u8; EXPORTER_BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads the value as the host wrote it into a property.
    ///
    /// # Errors
    /// [`HostFault::ExporterMissing`] for an empty property, [`HostFault::ExporterUnreadable`] for
    /// anything that is not 32 bytes in `encoding`.
    pub fn parse(text: &[u8], encoding: ExporterEncoding) -> Result<Self, HostFault> {
        if text.is_empty() {
            return Err(HostFault::ExporterMissing);
        }
        if text.len() > MAX_EXPORTER_TEXT_BYTES {
            return Err(HostFault::ExporterUnreadable);
        }
        match encoding {
            ExporterEncoding::Base64url => base64url::decode_array(text).ok(),
            ExporterEncoding::Hex => decode_hex(text),
        }
        .map(Self)
        .ok_or(HostFault::ExporterUnreadable)
    }

    /// The value as the proof's `ekm` claim carries it.
    #[must_use]
    pub fn to_base64url(&self) -> String {
        base64url::encode(&self.0)
    }

    /// The raw bytes, for hashing into a key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; EXPORTER_BYTES] {
        &self.0
    }
}

impl PartialEq for ExporterValue {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for ExporterValue {}

impl fmt::Debug for ExporterValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ExporterValue(redacted)")
    }
}

fn decode_hex(text: &[u8]) -> Option<[u8; EXPORTER_BYTES]> {
    if text.len() != 2 * EXPORTER_BYTES {
        return None;
    }
    let mut bytes = [0; EXPORTER_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let mut digits = pair.iter().map(|&digit| char::from(digit).to_digit(16));
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(bytes)
}
