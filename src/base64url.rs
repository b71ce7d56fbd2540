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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_text_of_some_bytes_decodes() {
        let accepted: [(&str, &[u8]); 4] = [
            ("", b""),
            ("Zg", b"f"),
            ("Zm8", b"fo"),
            ("-_8", &[0xfb, 0xff]),
        ];
        for (text, bytes) in accepted {
            assert_eq!(decode(text.as_bytes()).as_deref(), Ok(bytes), "{text}");
            assert_eq!(encode(bytes), text);
        }
        let refused: [&[u8]; 10] = [
            b"Zg==",
            b"Zm8=",
            b"Zh",
            b"Z",
            b"Zm9vY",
            b"+/8",
            b" Zg",
            b"Zg\n",
            b"Z\0",
            "Zé".as_bytes(),
        ];
        for text in refused {
            assert_eq!(decode(text), Err(Malformed), "{text:?}");
        }
    }

    #[test]
    fn an_array_takes_exactly_its_length() {
        assert_eq!(decode_array::<2>(b"-_8"), Ok([0xfb, 0xff]));
        assert_eq!(decode_array::<1>(b"-_8"), Err(Malformed));
        assert_eq!(decode_array::<3>(b"-_8"), Err(Malformed));
    }
}
