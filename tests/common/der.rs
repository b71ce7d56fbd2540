//! Just enough DER to put another key into a certificate, however malformed the key is.

/// The tag-length-value elements that stand one after the other in `bytes`.
pub(crate) fn elements(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut elements = Vec::new();
    while !bytes.is_empty() {
        let (header, length) = header_and_length(bytes);
        let (element, rest) = bytes.split_at(header + length);
        elements.push(element);
        bytes = rest;
    }
    elements
}

/// What stands inside an element.
pub(crate) fn content(element: &[u8]) -> &[u8] {
    &element[header_and_length(element).0..]
}

fn header_and_length(bytes: &[u8]) -> (usize, usize) {
    match bytes[1] {
        short @ ..0x80 => (2, usize::from(short)),
        long => {
            let digits = usize::from(long & 0x7f);
            let length = bytes[2..2 + digits]
                .iter()
                .fold(0, |sum, &digit| sum << 8 | usize::from(digit));
            (2 + digits, length)
        }
    }
}

pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits: Vec<u8> = length.into_iter().skip_while(|&digit| digit == 0).collect();
    let mut element = vec![tag];
    match content.len() {
        0 => element.push(0),
        1..0x80 => element.extend(digits),
        _ => {
            element.push(0x80 | u8::try_from(digits.len()).unwrap());
            element.extend(digits);
        }
    }
    [element, content.to_vec()].concat()
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// Place of `subjectPublicKeyInfo` in a `TBSCertificate`, of which the version may be missing.
fn place_of_spki(fields: &[&[u8]]) -> usize {
    if fields[0][0] == VERSION { 6 } else { 5 }
}

pub(crate) fn spki_of(certificate: &[u8]) -> Vec<u8> {
    let to_be_signed = elements(content(certificate))[0];
    let fields = elements(content(to_be_signed));
    fields[place_of_spki(&fields)].to_vec()
}

/// The certificate with other bytes in its key's place; its signature no longer fits, which binding
/// does not look at.
pub(crate) fn with_spki(certificate: &[u8], spki: &[u8]) -> Vec<u8> {
    let mut parts = elements(content(certificate));
    let mut fields = elements(content(parts[0]));
    let place = place_of_spki(&fields);
    fields[place] = spki;
    let to_be_signed = element(SEQUENCE, &fields.concat());
    parts[0] = &to_be_signed;
    element(SEQUENCE, &parts.concat())
}

/// The certificate, made as long as `length` by its signature, which binding does not look at.
pub(crate) fn with_length(certificate: &[u8], length: usize) -> Vec<u8> {
    const BIT_STRING: u8 = 0x03;
    let parts = elements(content(certificate));
    let mut signature = content(parts[2]).to_vec();
    // The headers of what grows take up to some bytes more.
    signature.resize(signature.len() + length - certificate.len(), 0);
    loop {
        let grown = element(BIT_STRING, &signature);
        let certificate = element(SEQUENCE, &[parts[0], parts[1], &grown].concat());
        if certificate.len() <= length {
            return certificate;
        }
        signature.pop();
    }
}
