//! Envoy's side of one attempt to send a request, as the prover sees it.

use std::ffi::c_void;

use super::callbacks as envoy;
use super::types::Buffer;
use crate::http_filter::Request;
use crate::prover::Exchange;

/// Header maps.
const REQUEST: u32 = 0;
const RESPONSE: u32 = 2;

/// Attribute `upstream.request_attempt_count`.
const ATTEMPTS: u32 = 53;
/// Reset reason that ends one attempt; `LOCAL_RESET` ends the whole request.
const REFUSED_HERE: u32 = 1;

/// More values of one header than this are not looked at: two are too many already.
const MAX_VALUES: usize = 8;

/// Envoy's side of one attempt to send a request.
pub(super) struct EnvoyExchange(pub(super) *mut c_void);

impl EnvoyExchange {
    fn header(&self, map: u32, name: &str, read: &mut dyn FnMut(&[&[u8]])) {
        let mut values = [[].as_slice(); MAX_VALUES];
        let mut count = 0;
        for (index, slot) in values.iter_mut().enumerate() {
            let mut value = Buffer::EMPTY;
            // SAFETY: the filter is alive; Envoy reads the name, writes value and count.
            let found = unsafe {
                envoy::envoy_dynamic_module_callback_http_get_header(
                    self.0,
                    map,
                    Buffer::of(name.as_bytes()),
                    &raw mut value,
                    index,
                    &raw mut count,
                )
            };
            if !found || index >= count {
                break;
            }
            // SAFETY: valid until the hook ends or a header is set; `read` has no way to set one.
            *slot = unsafe { value.bytes() };
            if index + 1 == count {
                break;
            }
        }
        read(values.get(..count.min(MAX_VALUES)).unwrap_or_default());
    }
}

impl EnvoyExchange {
    fn number(&self, attribute: u32) -> Option<u64> {
        let mut number = 0;
        // SAFETY: the filter is alive during its hooks, and while it waits; Envoy writes the number.
        let known = unsafe {
            envoy::envoy_dynamic_module_callback_http_filter_get_attribute_int(
                self.0,
                attribute,
                &raw mut number,
            )
        };
        known.then_some(number)
    }
}

impl Request for EnvoyExchange {
    fn set_filter_state(&self, key: &str, value: &[u8]) -> bool {
        // SAFETY: the filter is alive during its hooks; Envoy copies key and value.
        unsafe {
            envoy::envoy_dynamic_module_callback_http_set_filter_state_bytes(
                self.0,
                Buffer::of(key.as_bytes()),
                Buffer::of(value),
            )
        }
    }

    fn answer(&self, status: u32, reason: &str) {
        Exchange::answer(self, status, reason);
    }
}

impl Exchange for EnvoyExchange {
    fn connection_id(&self) -> Option<u64> {
        // SAFETY: the filter is alive during its hooks, and while it waits.
        let id =
            unsafe { envoy::envoy_dynamic_module_callback_http_get_upstream_connection_id(self.0) };
        (id != 0).then_some(id)
    }

    fn attempts(&self) -> Option<u64> {
        self.number(ATTEMPTS)
    }

    fn request_header(&self, name: &str, read: &mut dyn FnMut(&[&[u8]])) {
        self.header(REQUEST, name, read);
    }

    fn response_header(&self, name: &str, read: &mut dyn FnMut(&[&[u8]])) {
        self.header(RESPONSE, name, read);
    }

    fn set_request_header(&self, name: &str, value: Option<&[u8]>) {
        // SAFETY: Envoy copies name and value; a null value removes the header.
        unsafe {
            envoy::envoy_dynamic_module_callback_http_set_header(
                self.0,
                REQUEST,
                Buffer::of(name.as_bytes()),
                value.map_or(Buffer::EMPTY, Buffer::of),
            );
        }
    }

    fn answer(&self, status: u32, reason: &str) {
        super::verify::answer(self.0, status, None, reason, reason);
    }

    fn give_up(&self, reason: &str) {
        // SAFETY: Envoy copies the text.
        unsafe {
            envoy::envoy_dynamic_module_callback_http_filter_reset_stream(
                self.0,
                REFUSED_HERE,
                Buffer::of(reason.as_bytes()),
            );
        }
    }
}
