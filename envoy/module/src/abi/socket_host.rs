//! Envoy's side of a transport socket, as the state machine sees it.

use std::ffi::c_void;
use std::io::IoSlice;

use super::callbacks as envoy;
use super::types::Buffer;
use crate::open::Wake;
use crate::rotation::Alarm;
use crate::socket::{Host, Io};

/// Most slices of Envoy's write buffer that one round encrypts.
const MAX_SLICES: usize = 16;
/// `raise_event` value of a finished handshake.
const CONNECTED: u32 = 2;

/// Envoy's side of one socket.
pub(super) struct EnvoySocket(pub(super) *mut c_void);

impl Host for EnvoySocket {
    fn connection_id(&self) -> Option<u64> {
        let mut id = 0;
        // SAFETY: Envoy keeps the socket alive until `destroy`; `id` outlives the call.
        let known = unsafe {
            envoy::envoy_dynamic_module_callback_transport_socket_get_connection_id(
                self.0,
                &raw mut id,
            )
        };
        known.then_some(id)
    }

    fn read(&self, into: &mut [u8]) -> Io {
        let mut count = 0;
        // SAFETY: the pointer and the length describe `into`, which nothing else borrows.
        let status = unsafe {
            envoy::envoy_dynamic_module_callback_transport_socket_io_read(
                self.0,
                into.as_mut_ptr(),
                into.len(),
                &raw mut count,
            )
        };
        io(status, count.min(into.len()))
    }

    fn write(&self, bytes: &[u8]) -> Io {
        let mut count = 0;
        // SAFETY: the pointer and the length describe `bytes`.
        let status = unsafe {
            envoy::envoy_dynamic_module_callback_transport_socket_io_write(
                self.0,
                bytes.as_ptr(),
                bytes.len(),
                &raw mut count,
            )
        };
        io(status, count.min(bytes.len()))
    }

    fn deliver(&self, plaintext: &[u8]) {
        // SAFETY: Envoy copies the bytes before the call returns.
        unsafe {
            envoy::envoy_dynamic_module_callback_transport_socket_read_buffer_add(
                self.0,
                plaintext.as_ptr(),
                plaintext.len(),
            );
        }
    }

    fn pending(&self, encrypt: &mut dyn FnMut(&[IoSlice<'_>]) -> usize) -> usize {
        let mut buffers = [Buffer::EMPTY; MAX_SLICES];
        let mut count = MAX_SLICES;
        // SAFETY: Envoy writes at most `count` elements and says how many.
        unsafe {
            envoy::envoy_dynamic_module_callback_transport_socket_write_buffer_get_slices(
                self.0,
                buffers.as_mut_ptr(),
                &raw mut count,
            );
        }
        // SAFETY: the slices stay valid until the write buffer is drained; `encrypt` has no way
        // to drain it, and they do not outlive this call.
        let slices = buffers.map(|buffer| IoSlice::new(unsafe { buffer.bytes() }));
        slices.get(..count).map_or(0, encrypt)
    }

    fn drain(&self, length: usize) {
        // SAFETY: the socket is alive; Envoy bounds nothing, and `length` was counted from `pending`.
        unsafe {
            envoy::envoy_dynamic_module_callback_transport_socket_write_buffer_drain(
                self.0, length,
            );
        }
    }

    fn wants_a_pause(&self) -> bool {
        // SAFETY: the socket is alive.
        unsafe {
            envoy::envoy_dynamic_module_callback_transport_socket_should_drain_read_buffer(self.0)
        }
    }

    fn read_again(&self) {
        // SAFETY: the socket is alive; this only schedules an event.
        unsafe { envoy::envoy_dynamic_module_callback_transport_socket_set_is_readable(self.0) }
    }

    fn alarm(&self) -> Alarm {
        let socket = Self(self.0);
        // Called on the socket's worker, and only until the socket is closed.
        Box::new(move || socket.read_again())
    }

    fn waker(&self) -> Box<dyn Wake> {
        // SAFETY: the socket is alive.
        let descriptor =
            unsafe { envoy::envoy_dynamic_module_callback_transport_socket_get_fd(self.0) };
        Box::new(Descriptor(descriptor))
    }

    fn connected(&self) {
        // SAFETY: the socket is alive. The call may re-enter the module: `Socket` borrows nothing
        // across it.
        unsafe {
            envoy::envoy_dynamic_module_callback_transport_socket_raise_event(self.0, CONNECTED);
        }
    }
}

/// The kernel's name of a connection, which Envoy closes after the hook `close`.
struct Descriptor(i32);

impl Wake for Descriptor {
    /// Nothing can be read from then on, which the worker is told at once.
    fn wake(&self) {
        // SAFETY: takes two numbers, and touches no memory of this process. The descriptor is still the
        // connection's: see `Wake`.
        unsafe { shutdown(self.0, SHUT_RD) };
    }
}

const SHUT_RD: i32 = 0;

unsafe extern "C" {
    fn shutdown(descriptor: i32, how: i32) -> i32;
}

fn io(status: u32, count: usize) -> Io {
    match status {
        0 => Io::Done(count),
        1 => Io::Again,
        _ => Io::Failed,
    }
}
