//! Certificates and keys in PEM, and what is wrong with a file, in words that quote nothing of it.

use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

const BEGIN: &[u8] = b"-----BEGIN ";

/// Why a text in PEM (RFC 7468) is of no use. It holds nothing of the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PemError {
    /// There is no block of the wanted kind.
    #[error("holds no {0} in PEM")]
    None(&'static str),
    /// The private key is encrypted.
    #[error("holds an encrypted private key: it must not be encrypted")]
    Encrypted,
    /// One block, counted from 1, is broken.
    #[error("block {0} {1}")]
    Block(usize, &'static str),
}

/// All blocks of one kind, each with its number among the blocks of any kind, counted from 1.
///
/// # Errors
/// [`PemError::Block`] for the first block of any kind that is broken, [`PemError::None`] if there is none of this
/// kind, which is called `what`.
pub fn blocks<T: PemObject>(pem: &[u8], what: &'static str) -> Result<Vec<(usize, T)>, PemError> {
    let mut found = Vec::new();
    for (number, block) in (1..).zip(split(pem)) {
        let kind = <(SectionKind, Vec<u8>)>::from_pem_slice(block);
        match kind {
            Ok((kind, der)) => found.extend(T::from_pem(kind, der).map(|value| (number, value))),
            // Of a kind that is not known.
            Err(pem::Error::NoItemsFound) => {}
            Err(error) => return Err(PemError::Block(number, words(&error))),
        }
    }
    if found.is_empty() {
        return Err(PemError::None(what));
    }
    Ok(found)
}

/// All certificates.
///
/// # Errors
/// As [`blocks`].
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let found = blocks(pem, "certificate")?;
    Ok(found.into_iter().map(|(_, one)| one).collect())
}

/// The first private key: PKCS#8, SEC1 or PKCS#1.
///
/// # Errors
/// [`PemError::Encrypted`], or as [`blocks`].
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    let encrypted = pem
        .split(|&byte| byte == b'\n')
        .any(|line| line.starts_with(b"-----BEGIN ENCRYPTED") || is_encryption_header(line));
    if encrypted {
        return Err(PemError::Encrypted);
    }
    let mut found = blocks(pem, "private key")?;
    Ok(found.swap_remove(0).1)
}

/// RFC 1421 section 4.6.1.1, as OpenSSL still writes it.
fn is_encryption_header(line: &[u8]) -> bool {
    line.starts_with(b"Proc-Type:") && line.trim_ascii_end().ends_with(b"ENCRYPTED")
}

/// The text from each first line of a block to the next: two blocks never become one.
fn split(pem: &[u8]) -> Vec<&[u8]> {
    let lines = pem.split_inclusive(|&byte| byte == b'\n');
    let mut starts = Vec::new();
    let mut offset = 0;
    for line in lines {
        if line.starts_with(BEGIN) {
            starts.push(offset);
        }
        offset += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([pem.len()]);
    let spans = starts.iter().zip(ends);
    spans
        .filter_map(|(&start, end)| pem.get(start..end))
        .collect()
}

fn words(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "has no end line: the file may be cut off",
        pem::Error::IllegalSectionStart { .. } => {
            "has a first line that does not end with five dashes"
        }
        pem::Error::Base64Decode(_) => "is not base64",
        _ => "cannot be read",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pem;

    fn refused(text: &str) -> String {
        certificates(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn blocks_are_found_among_others_and_keep_their_numbers() {
        let (certificate, key) = (pem("CERTIFICATE", &[1]), pem("PRIVATE KEY", &[2]));
        let text = format!(
            "words\n{key}{}{certificate}\r\n{certificate}",
            pem("OTHER", &[3])
        );
        let found = blocks::<CertificateDer<'_>>(text.as_bytes(), "certificate").unwrap();
        assert_eq!(
            found.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
            [3, 4]
        );
        assert_eq!(private_key(text.as_bytes()).unwrap().secret_der(), [2]);
    }

    #[test]
    fn a_broken_block_is_named_by_its_number_and_never_quoted() {
        let good = pem("CERTIFICATE", &[1; 90]);
        let cut = good.replace("-----END CERTIFICATE-----", "");
        let bad = good.replace("AQEB", "!\u{e4}s3");
        let begin = good.replace("CERTIFICATE-----", "CERTIFICATE---");
        for (text, expected) in [
            (String::new(), "holds no certificate in PEM"),
            (pem("PRIVATE KEY", &[2]), "holds no certificate in PEM"),
            (
                format!("{good}{cut}"),
                "block 2 has no end line: the file may be cut off",
            ),
            (
                format!("{cut}{good}"),
                "block 1 has no end line: the file may be cut off",
            ),
            (format!("{good}{good}{bad}"), "block 3 is not base64"),
            (
                begin,
                "block 1 has a first line that does not end with five dashes",
            ),
        ] {
            assert_eq!(refused(&text), expected);
        }
    }

    #[test]
    fn an_encrypted_key_is_called_so_in_both_of_its_forms() {
        let old = pem("EC PRIVATE KEY", &[1]).replacen(
            "-----\n",
            "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n",
            1,
        );
        for text in [pem("ENCRYPTED PRIVATE KEY", &[1]), old] {
            assert_eq!(
                private_key(text.as_bytes()).unwrap_err(),
                PemError::Encrypted,
                "{text}"
            );
        }
    }
}
