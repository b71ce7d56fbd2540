//! The one room with `unsafe`: Envoy's dynamic module ABI, version `v0.2.0`.
//!
//! `socket` and `network` hold the hooks that Envoy calls, `callbacks` what the module may call.
//! Every hook runs in `guard`. Outside this module everything is safe code: hooks turn pointers
//! into references and values, and call it.
#![allow(
    unsafe_code,
    reason = "the foreign interface; the rest of the crate denies it"
)]

mod callbacks;
mod network;
mod socket;
mod types;

use std::ffi::{CStr, c_char};

use types::{Buffer, Log};

const VERSION: &CStr = c"v0.2.0";

/// Called once when the module is loaded: names the version of the ABI that it was written for.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    VERSION.as_ptr()
}

/// Writes an error line to Envoy's log.
pub(crate) fn log_error(message: &str) {
    let message = Buffer::of(message.as_bytes());
    // SAFETY: Envoy copies the message before the call returns.
    unsafe { callbacks::envoy_dynamic_module_callback_log(Log::Error, message) }
}

/// Moves a value to the heap and hands its ownership to Envoy.
fn give<T>(value: T) -> *const T {
    Box::into_raw(Box::new(value))
}

/// Takes back what [`give`] handed out, and drops it.
///
/// # Safety
/// `pointer` comes from `give::<T>`, and Envoy does not use it again.
unsafe fn take_back<T>(pointer: *const T) {
    if !pointer.is_null() {
        // SAFETY: see above; it was a box of the same type.
        drop(unsafe { Box::from_raw(pointer.cast_mut()) });
    }
}
