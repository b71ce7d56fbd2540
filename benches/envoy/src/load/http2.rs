//! As much of HTTP/2 (RFC 9113, header compression by RFC 7541) as the load needs.

use tls_session_binding::proof::HEADER;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::SERVICE;

use super::{PATH, Request};

/// Begins a connection: the preface and empty settings.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Acknowledges settings.
const SETTINGS_ACKNOWLEDGED: &[u8] = &[0, 0, 0, SETTINGS, ACKNOWLEDGE, 0, 0, 0, 0];

const FRAME_HEADER_BYTES: usize = 9;

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

const ACKNOWLEDGE: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `:status: 200` of the static table.
const STATUS_200: u8 = 0x88;

/// The header block of a request. Nothing is indexed, so it is the same on every stream.
#[must_use]
pub fn encode(request: Request<'_>) -> Box<[u8]> {
    const GET: u8 = 0x82;
    const HTTPS: u8 = 0x87;
    let mut block = vec![GET, HTTPS, 0x04];
    push_text(&mut block, PATH);
    // `:authority`
    block.push(0x01);
    push_text(&mut block, SERVICE);
    // `authorization` has number 23 of the static table, 15 more than fit into four bits.
    block.extend([0x0f, 23 - 15]);
    push_text(&mut block, &format!("Bearer {}", request.token));
    if let Some(proof) = request.proof {
        block.push(0x00);
        push_text(&mut block, HEADER);
        push_text(&mut block, proof);
    }
    block.into()
}

/// Appends the frame that makes a request of a header block.
pub fn push_request(output: &mut Vec<u8>, stream: u32, block: &[u8]) {
    let length = u32::try_from(block.len()).unwrap_or(u32::MAX);
    let [_, length @ ..] = length.to_be_bytes();
    output.extend(length);
    output.extend([HEADERS, END_STREAM | END_HEADERS]);
    output.extend(stream.to_be_bytes());
    output.extend_from_slice(block);
}

/// Takes complete frames off the beginning of `input`, and appends what must be answered to `output`.
/// The result is how many responses were complete.
///
/// # Errors
/// Any answer but 200 without body.
pub fn take_responses(input: &mut Vec<u8>, output: &mut Vec<u8>) -> Result<usize> {
    let mut responses = 0;
    let mut rest = input.as_slice();
    while let Some((kind, flags, payload, next)) = split_frame(rest) {
        match kind {
            HEADERS if flags & END_STREAM != 0 && is_200(payload) => responses += 1,
            SETTINGS if flags & ACKNOWLEDGE == 0 => output.extend_from_slice(SETTINGS_ACKNOWLEDGED),
            SETTINGS | WINDOW_UPDATE => {}
            _ => return Err(format!("an unexpected frame of type {kind}: {payload:?}").into()),
        }
        rest = next;
    }
    let taken = input.len() - rest.len();
    input.drain(..taken);
    Ok(responses)
}

fn split_frame(bytes: &[u8]) -> Option<(u8, u8, &[u8], &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>()?;
    let [a, b, c, kind, flags, ..] = *header;
    let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
    let (payload, rest) = rest.split_at_checked(length)?;
    Some((kind, flags, payload, rest))
}

/// The first block of a connection may begin with a new size of the dynamic table.
fn is_200(block: &[u8]) -> bool {
    block.iter().take(4).any(|byte| *byte == STATUS_200)
}

/// Appends a string, not compressed.
fn push_text(block: &mut Vec<u8>, text: &str) {
    const SEVEN_BITS: usize = 0x7f;
    let mut length = text.len();
    if length < SEVEN_BITS {
        block.push(low_byte(length));
    } else {
        block.push(0x7f);
        length -= SEVEN_BITS;
        while length >= 0x80 {
            block.push(low_byte(length) | 0x80);
            length >>= 7;
        }
        block.push(low_byte(length));
    }
    block.extend_from_slice(text.as_bytes());
}

const fn low_byte(number: usize) -> u8 {
    number.to_le_bytes()[0]
}
