//! Envoy's side of one attempt to send a request, as the prover sees it.

use std::ffi::c_void;

use super::callbacks as envoy;
use super::types::Buffer;
use crate::prover::Exchange;

/// Header maps.
const REQUEST: u32 = 0;
const RESPONSE: u32 = 2;

/// Metadata of the request, which all attempts to send it share.
const DYNAMIC: u32 = 0;
const NAMESPACE: Buffer = Buffer::of(b"tls_session_binding");
const LATEST_ATTEMPT: Buffer = Buffer::of(b"latest_attempt");

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

impl Exchange for EnvoyExchange {
    fn connection_id(&self) -> Option<u64> {
        // SAFETY: the filter is alive during its hooks, and while it waits.
        let id =
            unsafe { envoy::envoy_dynamic_module_callback_http_get_upstream_connection_id(self.0) };
        (id != 0).then_some(id)
    }

    fn latest_attempt(&self) -> Option<u32> {
        let mut number = 0.0;
        // SAFETY: as for `connection_id`; Envoy writes the number.
        let found = unsafe {
            envoy::envoy_dynamic_module_callback_http_get_metadata_number(
                self.0,
                DYNAMIC,
                NAMESPACE,
                LATEST_ATTEMPT,
                &raw mut number,
            )
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "what `set_latest_attempt` wrote; the cast of any other number is defined"
        )]
        found.then_some(number as u32)
    }

    fn set_latest_attempt(&self, attempt: u32) {
        // SAFETY: as for `connection_id`; Envoy copies the names.
        unsafe {
            envoy::envoy_dynamic_module_callback_http_set_dynamic_metadata_number(
                self.0,
                NAMESPACE,
                LATEST_ATTEMPT,
                attempt.into(),
            );
        }
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
        // SAFETY: Envoy copies the texts; there are no headers.
        unsafe {
            envoy::envoy_dynamic_module_callback_http_send_response(
                self.0,
                status,
                std::ptr::null(),
                0,
                Buffer::of(reason.as_bytes()),
                Buffer::of(reason.as_bytes()),
            );
        }
    }
}
