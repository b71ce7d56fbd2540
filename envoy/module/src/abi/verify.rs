//! Envoy's side of a request on a listener, as the filter `verify` sees it.

use std::ffi::c_void;
use std::ptr;

use tls_session_binding::challenge::Challenge;

use super::callbacks as envoy;
use super::types::{Buffer, Header};
use crate::http_filter::grpc_status;
use crate::verify::{Block, LifeSpan, Lines, Request};

/// Attribute `connection.id`.
const CONNECTION_ID: u32 = 28;

/// A request. Each method is called from a hook of its filter, which Envoy keeps alive during its hooks.
pub(super) struct EnvoyRequest(pub(super) *mut c_void);

const fn map(block: Block) -> u32 {
    match block {
        Block::Headers => 0,
        Block::Trailers => 1,
    }
}

impl Request for EnvoyRequest {
    fn connection_id(&self) -> Option<u64> {
        let mut id = 0;
        // SAFETY: the filter is alive; Envoy writes the number.
        let known = unsafe {
            envoy::envoy_dynamic_module_callback_http_filter_get_attribute_int(
                self.0,
                CONNECTION_ID,
                &raw mut id,
            )
        };
        known.then_some(id)
    }

    fn lines(&self, block: Block) -> Option<Lines<'_>> {
        let map = map(block);
        // SAFETY: the filter is alive.
        let count =
            unsafe { envoy::envoy_dynamic_module_callback_http_get_headers_size(self.0, map) };
        let empty = Header {
            name: Buffer::EMPTY,
            value: Buffer::EMPTY,
        };
        let mut headers = vec![empty; count];
        // SAFETY: there is room for as many lines as Envoy has just said there are.
        let is_read = unsafe {
            envoy::envoy_dynamic_module_callback_http_get_headers(self.0, map, headers.as_mut_ptr())
        };
        if !is_read {
            return None;
        }
        let line = |header: Header| {
            // SAFETY: Envoy keeps names and values until a header is changed, for which `self` must be mutable.
            let (name, value) = unsafe { (header.name.bytes(), header.value.bytes()) };
            Some((std::str::from_utf8(name).ok()?, value))
        };
        headers.into_iter().map(line).collect()
    }

    fn remove(&mut self, block: Block, name: &str) -> bool {
        let name = Buffer::of(name.as_bytes());
        // SAFETY: the filter is alive; a null value removes the header.
        unsafe {
            envoy::envoy_dynamic_module_callback_http_set_header(
                self.0,
                map(block),
                name,
                Buffer::EMPTY,
            )
        }
    }

    fn set_header(&mut self, name: &str, value: &str) -> bool {
        let (name, value) = (Buffer::of(name.as_bytes()), Buffer::of(value.as_bytes()));
        // SAFETY: the filter is alive; Envoy copies name and value.
        unsafe {
            envoy::envoy_dynamic_module_callback_http_set_header(
                self.0,
                map(Block::Headers),
                name,
                value,
            )
        }
    }

    fn filter_state(&self, key: &str) -> Option<Vec<u8>> {
        let (key, mut value) = (Buffer::of(key.as_bytes()), Buffer::EMPTY);
        // SAFETY: the filter is alive; Envoy writes where the value is.
        let found = unsafe {
            envoy::envoy_dynamic_module_callback_http_get_filter_state_bytes(
                self.0,
                key,
                &raw mut value,
            )
        };
        // SAFETY: Envoy keeps the value until another one takes its place.
        found.then(|| unsafe { value.bytes() }.to_vec())
    }

    fn set_filter_state(&self, key: &str, value: &[u8], span: LifeSpan) {
        const NOT_SHARED: u32 = 0;
        let span = match span {
            LifeSpan::Pass => 0,
            LifeSpan::Request => 1,
            LifeSpan::Connection => 2,
        };
        let (key, value) = (Buffer::of(key.as_bytes()), Buffer::of(value));
        // SAFETY: the filter is alive; Envoy copies key and value. Access logs and redirects go without what it
        // does not take; decisions stand.
        unsafe {
            envoy::envoy_dynamic_module_callback_http_set_filter_state_value(
                self.0, key, value, span, NOT_SHARED,
            );
        }
    }

    fn record(&self, histogram: usize, value: u64) {
        // SAFETY: the filter is alive; its configuration has defined the histogram.
        unsafe {
            envoy::envoy_dynamic_module_callback_http_filter_record_histogram_value(
                self.0,
                histogram,
                ptr::null(),
                0,
                value,
            );
        }
    }

    fn answer(&mut self, challenge: &Challenge, reason: &str) {
        let authenticate = challenge.www_authenticate.as_deref();
        answer(
            self.0,
            challenge.status,
            authenticate,
            challenge.body,
            reason,
        );
    }
}

/// Ends a request with a response of the module's. Envoy answers gRPC with the status 0, which is success, unless
/// told otherwise.
pub(super) fn answer(
    filter: *mut c_void,
    status: u32,
    authenticate: Option<&str>,
    body: &str,
    details: &str,
) {
    let request = EnvoyRequest(filter);
    let lines = request.lines(Block::Headers).unwrap_or_default();
    let grpc_status = grpc_status(&lines, status);
    let line = |name: &'static str, value: &str| Header {
        name: Buffer::of(name.as_bytes()),
        value: Buffer::of(value.as_bytes()),
    };
    let headers: Vec<Header> = authenticate
        .map(|value| line("www-authenticate", value))
        .into_iter()
        .chain(grpc_status.map(|value| line("grpc-status", value)))
        .collect();
    // SAFETY: the filter is alive; Envoy copies the texts.
    unsafe {
        envoy::envoy_dynamic_module_callback_http_send_response(
            filter,
            status,
            headers.as_ptr(),
            headers.len(),
            Buffer::of(body.as_bytes()),
            Buffer::of(details.as_bytes()),
        );
    }
}
