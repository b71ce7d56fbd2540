//! The one room with `unsafe`: Envoy's dynamic module ABI, version `v0.2.0`.
//!
//! `socket`, `network` and `http` hold the hooks that Envoy calls, `callbacks` what the module may
//! call. Every hook runs in `guard`. Outside this module everything is safe code: hooks turn pointers
//! into references and values, and call it.
#![allow(
    unsafe_code,
    reason = "the foreign interface; the rest of the crate denies it"
)]

mod callbacks;
mod exchange;
mod http;
mod network;
mod parked;
mod socket;
mod socket_host;
mod stats;
mod types;
mod verify;

use std::any::Any;
use std::ffi::{CStr, c_char};
use std::sync::Arc;

use types::Buffer;

use crate::log::{self, Level};
use crate::ticker::Ticker;

const VERSION: &CStr = c"v0.2.0";

/// Called once when the module is loaded: names the version of the ABI that it was written for.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    log::to(write_log);
    VERSION.as_ptr()
}

fn write_log(level: Level, line: &str) {
    let level = match level {
        Level::Info => 2,
        Level::Warning => 3,
        Level::Error => 4,
    };
    // SAFETY: Envoy copies the line before the call returns.
    unsafe { callbacks::envoy_dynamic_module_callback_log(level, Buffer::of(line.as_bytes())) }
}

/// A configuration in Envoy's hands, with what must live as long. Fields drop in this order: no stats
/// are used after their owner has gone, and the thread ends last.
struct Configured<T> {
    value: T,
    _stats: Option<Box<dyn Any>>,
    _ticker: Arc<Ticker>,
}

impl<T> Configured<T> {
    fn new(value: T, stats: Option<Box<dyn Any>>) -> Self {
        Self {
            value,
            _stats: stats,
            _ticker: Ticker::keep(),
        }
    }
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
