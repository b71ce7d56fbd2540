//! base64url without padding (RFC 4648 section 5, RFC 7515 section 2), strict.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Text is not base64url without padding: foreign alphabet, padding, white space, an impossible
/// length, or non-zero unused bits in the last character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Encodes without padding.
///
/// ```
/// assert_eq!(tls_session_binding::base64url::encode(&[0xfb, 0xff]), "-_8");
/// ```
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes text, accepting exactly the strings that [`encode`] makes.
///
/// # Errors
/// [`Malformed`], for anything else.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, Malformed> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Malformed)
}

/// Decodes text into exactly `N` bytes.
///
/// # Errors
/// [`Malformed`], also when the text stands for fewer or more bytes.
pub fn decode_array<const N: usize>(text: &[u8]) -> Result<[u8; N], Malformed> {
    decode(text)?.try_into().map_err(|_| Malformed)
}
