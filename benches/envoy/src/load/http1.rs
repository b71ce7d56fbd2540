//! As much of HTTP/1.1 as the load needs.

use tls_session_binding::proof::HEADER;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::SERVICE;

use super::{PATH, Request};

/// The bytes of a request.
#[must_use]
pub fn encode(request: Request<'_>) -> Box<[u8]> {
    let Request { token, proof } = request;
    let proof = proof.map_or_else(String::new, |proof| format!("{HEADER}: {proof}\r\n"));
    format!(
        "GET {PATH} HTTP/1.1\r\nhost: {SERVICE}\r\nauthorization: Bearer {token}\r\n{proof}\r\n"
    )
    .into_bytes()
    .into()
}

/// Takes one complete response off the beginning of `input`; whether there was one.
///
/// # Errors
/// Any answer but 200 without body.
pub fn take_response(input: &mut Vec<u8>) -> Result<bool> {
    let Some(end) = find(input, b"\r\n\r\n") else {
        return Ok(false);
    };
    let head = input.drain(..end + 4);
    let head = String::from_utf8_lossy(head.as_slice());
    if head.starts_with("HTTP/1.1 200 ") && head.contains("content-length: 0\r\n") {
        return Ok(true);
    }
    Err(format!("not the answer of the benchmark's listeners: {head}").into())
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
