//! Hooks of the transport socket.

use std::cell::Cell;
use std::ffi::c_void;
use std::io::IoSlice;
use std::sync::Arc;

use super::callbacks as envoy;
use super::types::{Buffer, IoResult, attempt, guard};
use super::{Configured, give, take_back};
use crate::config::Direction;
use crate::endpoint::Endpoint;
use crate::socket::{Close, Host, Io, Outcome, Socket};
use crate::{log, ticker};

/// Most slices of Envoy's write buffer that one round encrypts.
const MAX_SLICES: usize = 16;
/// `raise_event` value of a finished handshake.
const CONNECTED: u32 = 2;
/// `close` value of a connection that this side closes.
const LOCAL_CLOSE: u32 = 1;

/// Envoy's side of one socket.
struct EnvoySocket(*mut c_void);

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

    fn connected(&self) {
        // SAFETY: the socket is alive. The call may re-enter the module: `Socket` borrows nothing
        // across it.
        unsafe {
            envoy::envoy_dynamic_module_callback_transport_socket_raise_event(self.0, CONNECTED);
        }
    }
}

fn io(status: u32, count: usize) -> Io {
    match status {
        0 => Io::Done(count),
        1 => Io::Again,
        _ => Io::Failed,
    }
}

/// One connection: the safe state machine, and whether a panic has ended it.
struct Slot {
    socket: Socket,
    panicked: Cell<bool>,
}

impl Slot {
    /// Runs `hook` unless an earlier one panicked; a panic closes the connection.
    fn run<'a>(&'a self, hook: impl FnOnce(&'a Socket) -> Outcome) -> IoResult {
        let outcome = if self.panicked.get() {
            None
        } else {
            self.attempt(hook)
        };
        outcome.map_or(
            IoResult {
                close: 1,
                bytes: 0,
                end_of_stream: false,
            },
            |outcome| IoResult {
                close: u32::from(outcome.close),
                bytes: outcome.bytes as u64,
                end_of_stream: outcome.end_of_stream,
            },
        )
    }

    fn attempt<'a, R>(&'a self, hook: impl FnOnce(&'a Socket) -> R) -> Option<R> {
        let result = attempt(|| hook(&self.socket));
        self.panicked.set(self.panicked.get() || result.is_none());
        result
    }
}

/// A listener's or a cluster's configuration, in Envoy's hands.
type Factory = Configured<Arc<Endpoint>>;

/// Reads the configuration of a listener or a cluster; null refuses it.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_transport_socket_factory_config_new(
    _config: *mut c_void,
    name: Buffer,
    config: Buffer,
    is_upstream: bool,
) -> *const Factory {
    guard(std::ptr::null(), || {
        // SAFETY: Envoy keeps both valid during the call, and nothing keeps them after it.
        let (name, config) = unsafe { (name.bytes(), config.bytes()) };
        let direction = if is_upstream {
            Direction::Upstream
        } else {
            Direction::Downstream
        };
        match Endpoint::load(name, config, direction) {
            Ok(endpoint) => {
                let endpoint = Arc::new(endpoint);
                ticker::watch(&endpoint);
                give(Configured::new(endpoint, None))
            }
            Err(mistakes) => {
                log::error(&format!("transport socket refused: {mistakes}"));
                std::ptr::null()
            }
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_transport_socket_factory_config_destroy(
    factory: *const Factory,
) {
    // SAFETY: made by `factory_config_new`, and destroyed once.
    guard((), || unsafe { take_back(factory) });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_transport_socket_new(
    factory: *const Factory,
    _socket: *mut c_void,
) -> *const Slot {
    guard(std::ptr::null(), || {
        // SAFETY: Envoy destroys the configuration after its sockets.
        let factory = unsafe { &*factory };
        match Socket::open(factory.value.current()) {
            Ok(socket) => give(Slot {
                socket,
                panicked: Cell::new(false),
            }),
            Err(error) => {
                log::error(&format!("cannot open a connection: {error}"));
                std::ptr::null()
            }
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_transport_socket_destroy(slot: *const Slot) {
    // SAFETY: made by `transport_socket_new`, and destroyed once.
    guard((), || unsafe { take_back(slot) });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_transport_socket_set_callbacks(
    _socket: *mut c_void,
    _slot: *const Slot,
) {
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_transport_socket_on_connected(
    socket: *mut c_void,
    slot: *const Slot,
) {
    // SAFETY: Envoy calls only between `new` and `destroy`; only shared references are made.
    let slot = unsafe { &*slot };
    slot.attempt(|tls| tls.start(&EnvoySocket(socket)));
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_transport_socket_do_read(
    socket: *mut c_void,
    slot: *const Slot,
) -> IoResult {
    // SAFETY: as for `on_connected`.
    let slot = unsafe { &*slot };
    slot.run(|tls| tls.read(&EnvoySocket(socket)))
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_transport_socket_do_write(
    socket: *mut c_void,
    slot: *const Slot,
    end_of_stream: bool,
) -> IoResult {
    // SAFETY: as for `on_connected`.
    let slot = unsafe { &*slot };
    slot.run(|tls| tls.write(&EnvoySocket(socket), end_of_stream))
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_transport_socket_close(
    socket: *mut c_void,
    slot: *const Slot,
    event: u32,
    abort: bool,
) {
    // SAFETY: as for `on_connected`.
    let slot = unsafe { &*slot };
    let close = if event == LOCAL_CLOSE && !abort {
        Close::Orderly
    } else {
        Close::Abrupt
    };
    slot.attempt(|tls| tls.close(&EnvoySocket(socket), close));
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_transport_socket_get_protocol(
    _socket: *mut c_void,
    slot: *const Slot,
    result: *mut Buffer,
) {
    // SAFETY: as for `on_connected`; Envoy copies the text, which lives as long as the slot.
    let slot = unsafe { &*slot };
    let protocol = slot.attempt(Socket::protocol).unwrap_or_default();
    // SAFETY: `result` is Envoy's, valid during the call.
    unsafe { result.write(Buffer::of(protocol)) };
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_transport_socket_get_failure_reason(
    _socket: *mut c_void,
    slot: *const Slot,
    result: *mut Buffer,
) {
    // SAFETY: as for `get_protocol`.
    let slot = unsafe { &*slot };
    let reason = slot.attempt(Socket::failure).unwrap_or("internal error");
    // SAFETY: `result` is Envoy's, valid during the call.
    unsafe { result.write(Buffer::of(reason.as_bytes())) };
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_transport_socket_can_flush_close(
    _socket: *mut c_void,
    slot: *const Slot,
) -> bool {
    // SAFETY: as for `on_connected`.
    let slot = unsafe { &*slot };
    slot.attempt(Socket::is_established).unwrap_or(false)
}

/// No upgrade of a plaintext connection: the socket is TLS from the first byte.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_transport_socket_start_secure_transport(
    _socket: *mut c_void,
    _slot: *const Slot,
) -> bool {
    false
}
