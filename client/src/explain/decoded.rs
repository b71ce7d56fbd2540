//! A compact JWS, taken apart to be shown. Nothing here is verified, and nothing here decides.

use serde_json::Value;
use tls_session_binding::base64url;

/// Header and payload of a compact JWS.
pub struct Decoded {
    /// The header, a JSON object.
    pub header: Value,
    /// The payload, a JSON object.
    pub payload: Value,
    /// How many bytes its signature has.
    pub signature_bytes: usize,
}

impl Decoded {
    /// Takes a text apart; `None` if it is no compact JWS with objects in it.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut next = || {
            parts
                .next()
                .and_then(|part| base64url::decode(part.as_bytes()).ok())
        };
        let (header, payload, signature) = (next()?, next()?, next()?);
        if parts.next().is_some() {
            return None;
        }
        let object = |bytes: &[u8]| {
            let value = serde_json::from_slice::<Value>(bytes).ok()?;
            value.is_object().then_some(value)
        };
        Some(Self {
            header: object(&header)?,
            payload: object(&payload)?,
            signature_bytes: signature.len(),
        })
    }

    /// A text in the header.
    pub(super) fn header_text(&self, name: &str) -> Option<&str> {
        self.header.get(name)?.as_str()
    }
}
