//! Values that cross the boundary, with the layout that Envoy's ABI gives them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::metrics::{Counter, count};

/// Bytes that one side owns and the other side reads during the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Buffer {
    pub(super) pointer: *const u8,
    pub(super) length: usize,
}

impl Buffer {
    pub(super) const EMPTY: Self = Self {
        pointer: std::ptr::null(),
        length: 0,
    };

    pub(super) const fn of(bytes: &[u8]) -> Self {
        Self {
            pointer: bytes.as_ptr(),
            length: bytes.len(),
        }
    }

    /// The bytes behind the pointer.
    ///
    /// # Safety
    /// They must stay valid and unchanged for `'a`.
    pub(super) const unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.pointer.is_null() || self.length == 0 {
            return &[];
        }
        // SAFETY: not null; the caller vouches for validity and lifetime.
        unsafe { std::slice::from_raw_parts(self.pointer, self.length) }
    }
}

/// One line of a block of headers.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Header {
    pub(super) name: Buffer,
    pub(super) value: Buffer,
}

/// What a read or a write of the transport socket tells Envoy.
#[repr(C)]
pub(super) struct IoResult {
    pub(super) close: u32,
    pub(super) bytes: u64,
    pub(super) end_of_stream: bool,
}

/// Data status of a filter: go on with the next one.
pub(super) const CONTINUE: u32 = 0;

/// Runs a hook; a panic inside it ends here, is counted, and gives `None`.
pub(super) fn attempt<R>(hook: impl FnOnce() -> R) -> Option<R> {
    // Unwind safety: callers end the connection or the request, and do not use it again.
    let result = catch_unwind(AssertUnwindSafe(hook)).ok();
    if result.is_none() {
        count(Counter::Panics);
    }
    result
}

/// Runs a hook; a panic inside it ends here and becomes `otherwise`.
pub(super) fn guard<R>(otherwise: R, hook: impl FnOnce() -> R) -> R {
    attempt(hook).unwrap_or(otherwise)
}
