//! Hooks of the transport socket.

use std::cell::Cell;
use std::ffi::c_void;
use std::sync::Arc;

use super::socket_host::EnvoySocket;
use super::types::{Buffer, IoResult, attempt, guard};
use super::{Configured, give, take_back};
use crate::config::Direction;
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::metrics::{Handshake, count_handshake};
use crate::socket::{Close, Outcome, Socket};
use crate::{log, rotation, ticker};

/// `close` value of a connection that the other side has closed, or whose hook asked for its end.
const REMOTE_CLOSE: u32 = 0;

/// What is told of a connection that came before the files.
const AWAITED: &str = "certificate, key or authorities are not there yet";

/// One connection: the safe state machine, and whether a panic has ended it.
struct Slot {
    /// None if the files are awaited: then Envoy is told to close the connection.
    socket: Option<Socket>,
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
        let socket = self.socket.as_ref()?;
        let result = attempt(|| hook(socket));
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
        let endpoint = &unsafe { &*factory }.value;
        let identity = rotation::generation();
        let open = |generation| Socket::open_as(generation, identity);
        let socket = endpoint.current().map(open).transpose();
        if let Ok(None) = socket {
            let failed = Handshake::Failed(Failure::FilesAwaited);
            count_handshake(endpoint.direction(), failed);
        }
        match socket {
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
    let close = match event {
        REMOTE_CLOSE => Close::ByPeer,
        _ if abort => Close::Abrupt,
        _ => Close::Orderly,
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
    let otherwise = match slot.socket {
        Some(_) => "internal error",
        None => AWAITED,
    };
    let reason = slot.attempt(Socket::failure).unwrap_or(otherwise);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Ends;

    #[test]
    fn a_panic_in_a_hook_closes_that_connection_for_good() {
        let socket = Socket::open(Ends::new().server.current().unwrap()).unwrap();
        let slot = Slot {
            socket: Some(socket),
            panicked: Cell::new(false),
        };
        assert_eq!(slot.run(|_| Outcome::default()).close, 0);
        assert_eq!(slot.run(|_| panic!("as a test")).close, 1);
        assert_eq!(slot.run(|_| Outcome::default()).close, 1);
    }
}
