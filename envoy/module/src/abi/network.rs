//! Hooks of the network filter `publish`.

use std::cell::RefCell;
use std::ffi::c_void;

use super::callbacks as envoy;
use super::types::{Buffer, CONTINUE, attempt, guard};
use super::{Configured, give, stats, take_back};
use crate::log;
use crate::metrics::{Counter, count};
use crate::publish::{self, FilterState, Unpublished};
use crate::watched::{self, Bell, Watched};

/// `event` value of a connection whose handshake is done.
const CONNECTED: u32 = 2;
/// `close` value: after what is to be sent.
const FLUSH: u32 = 0;
/// `close` value: at once, without waiting for what is unsent.
const NO_FLUSH: u32 = 1;

/// Envoy's side of the filter on one connection.
struct EnvoyFilter(*mut c_void);

impl FilterState for EnvoyFilter {
    fn connection_id(&self) -> u64 {
        // SAFETY: Envoy keeps the filter alive during its hooks.
        unsafe { envoy::envoy_dynamic_module_callback_network_filter_get_connection_id(self.0) }
    }

    /// Envoy says that it has set a value also where it has not, because another filter has set it for
    /// good, or as something else: so it is read back.
    fn set(&self, key: &str, value: &[u8]) -> bool {
        let (key, mut found) = (Buffer::of(key.as_bytes()), Buffer::EMPTY);
        // SAFETY: as above; Envoy copies key and value, and writes where the value is.
        let is_set = unsafe {
            envoy::envoy_dynamic_module_callback_network_set_filter_state_bytes(
                self.0,
                key,
                Buffer::of(value),
            ) && envoy::envoy_dynamic_module_callback_network_get_filter_state_bytes(
                self.0,
                key,
                &raw mut found,
            )
        };
        // SAFETY: Envoy keeps the value until another one takes its place.
        is_set && unsafe { found.bytes() } == value
    }
}

/// Reads the configuration of the filter; null refuses it.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_network_filter_config_new(
    envoy: *mut c_void,
    name: Buffer,
    config: Buffer,
) -> *const Configured<()> {
    guard(std::ptr::null(), || {
        // SAFETY: Envoy keeps both valid during the call.
        let (name, config) = unsafe { (name.bytes(), config.bytes()) };
        match publish::check_config(name, config) {
            Ok(()) => give(Configured::new(
                (),
                Some(Box::new(stats::of_network_filter(envoy))),
            )),
            Err(mistakes) => {
                log::error(&format!("network filter refused: {mistakes}"));
                std::ptr::null()
            }
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_network_filter_config_destroy(config: *const Configured<()>) {
    // SAFETY: made by `config_new`, and destroyed once.
    guard((), || unsafe { take_back(config) });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_network_filter_new(
    _config: *const Configured<()>,
    _filter: *mut c_void,
) -> *const Own {
    // Null would close the connection.
    give(Own::default())
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_network_filter_destroy(own: *const Own) {
    // SAFETY: made by `filter_new`, and destroyed once.
    guard((), || unsafe { take_back(own) });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_network_filter_new_connection(
    _envoy: *mut c_void,
    _filter: *const c_void,
) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_network_filter_read(
    _envoy: *mut c_void,
    _filter: *const c_void,
    _length: usize,
    _end_of_stream: bool,
) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_network_filter_write(
    _envoy: *mut c_void,
    _filter: *const c_void,
    _length: usize,
    _end_of_stream: bool,
) -> u32 {
    CONTINUE
}

/// Publishes what the finished handshake has shown.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_network_filter_event(
    filter: *mut c_void,
    own: *const Own,
    event: u32,
) {
    // SAFETY: Envoy calls only between `new` and `destroy`; only shared references are made.
    let own = unsafe { &*own };
    if event != CONNECTED {
        return;
    }
    let envoy = EnvoyFilter(filter);
    let watch = || {
        publish::publish(&envoy).inspect_err(|Unpublished(key)| {
            count(Counter::ConnectionsUnpublished);
            log::error(&format!(
                "connection closed: {key} is set by another filter, which must not be"
            ));
        })?;
        let ends_at = publish::ends_at(envoy.connection_id());
        own.0.replace(Some(watched::watch(
            ends_at,
            Box::new(Scheduler::new(filter)),
        )));
        Ok::<_, Unpublished>(())
    };
    if !matches!(attempt(watch), Some(Ok(()))) {
        close(filter, NO_FLUSH);
    }
}

/// The module's thread has called on this connection.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_network_filter_scheduled(
    filter: *mut c_void,
    _own: *const Own,
    _event: u64,
) {
    let id = EnvoyFilter(filter).connection_id();
    if guard(true, || publish::is_over(id)) {
        close(filter, FLUSH);
    }
}

fn close(filter: *mut c_void, how: u32) {
    // SAFETY: Envoy keeps the filter alive during its hooks.
    unsafe { envoy::envoy_dynamic_module_callback_network_filter_close(filter, how) };
}

/// What the filter keeps of one connection: its place among those that the module's thread calls on.
#[derive(Default)]
struct Own(RefCell<Option<Watched>>);

/// Envoy's scheduler of events for one filter.
struct Scheduler(*mut c_void);

// SAFETY: Envoy lets a scheduler be used from any thread, and an event of a filter that has gone is
// dropped. It is deleted once, when its bell leaves `watched` under the lock.
unsafe impl Send for Scheduler {}

impl Scheduler {
    fn new(filter: *mut c_void) -> Self {
        // SAFETY: called from a hook of the filter, which is alive.
        Self(unsafe { envoy::envoy_dynamic_module_callback_network_filter_scheduler_new(filter) })
    }
}

impl Bell for Scheduler {
    fn ring(&self) {
        if !self.0.is_null() {
            // SAFETY: it lives as long as `self`.
            unsafe {
                envoy::envoy_dynamic_module_callback_network_filter_scheduler_commit(self.0, 0);
            }
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        // SAFETY: made in `new`, deleted once; null is ignored.
        unsafe {
            envoy::envoy_dynamic_module_callback_network_filter_scheduler_delete(self.0);
        }
    }
}
