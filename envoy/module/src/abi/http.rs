//! Hooks of the HTTP filters.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::c_void;
use std::mem::take;

use super::callbacks as envoy;
use super::exchange::EnvoyExchange;
use super::parked::{Resume, Waiter};
use super::types::{Buffer, CONTINUE, attempt, guard};
use super::verify::EnvoyRequest;
use super::{Configured, give, stats, take_back};
use crate::config::prover::Claims;
use crate::http_filter::{HttpFilter, tell_generation};
use crate::prover::{Attempt, Exchange as _, Prover, Step};
use crate::waiting::{self, Place};
use crate::{log, upstream};

/// Headers status: stop here, an answer has been given.
const STOP: u32 = 1;
/// Headers status: stop here with all that follows, and let the sender feel it.
const STOP_ALL: u32 = 4;
/// Reset reason: by this side.
const LOCAL_RESET: u32 = 0;

/// One attempt, as Envoy holds it.
pub(super) struct Slot {
    config: *const Configured<HttpFilter>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    attempt: Attempt,
    place: Option<Place>,
}

impl Slot {
    fn filter(&self) -> &HttpFilter {
        // SAFETY: Envoy destroys a configuration after its filters.
        &unsafe { &*self.config }.value
    }

    fn prover(&self) -> Option<&Prover> {
        match self.filter() {
            HttpFilter::Prover(prover) => Some(prover),
            HttpFilter::Generation | HttpFilter::Verify(_) => None,
        }
    }

    /// The headers are there: Envoy's status for them.
    fn request(&self, filter: *mut c_void, claims: Option<Claims>) -> u32 {
        let request = EnvoyExchange(filter);
        match self.filter() {
            HttpFilter::Prover(prover) => self.prove(prover, filter, claims),
            HttpFilter::Generation if !tell_generation(&request) => STOP,
            HttpFilter::Verify(verify) if !verify.headers(&mut EnvoyRequest(filter)) => STOP,
            HttpFilter::Generation | HttpFilter::Verify(_) => CONTINUE,
        }
    }

    fn prove(&self, prover: &Prover, filter: *mut c_void, claims: Option<Claims>) -> u32 {
        let exchange = EnvoyExchange(filter);
        let mut attempt = take(&mut self.state.borrow_mut().attempt);
        let step = prover.request(&exchange, &mut attempt, claims);
        if step == Step::Answered {
            // An answer may have destroyed the filter: nothing of the slot is used after it. Envoy 1.40 defers
            // that until the hook has returned, and does not promise it.
            return STOP;
        }
        let mut state = self.state.borrow_mut();
        state.attempt = attempt;
        match step {
            Step::Wait { until } => {
                let waiter = Box::new(Waiter::new(filter, self));
                state.place = Some(waiting::park(prover.cluster, waiter, until));
                STOP_ALL
            }
            Step::Continue | Step::Answered => CONTINUE,
        }
    }
}

impl Resume for Slot {
    fn is_ready(&self, filter: *mut c_void) -> bool {
        let attempt = &self.state.borrow().attempt;
        attempt.is_ready(&EnvoyExchange(filter))
    }

    fn resume(&self, filter: *mut c_void) {
        let exchange = EnvoyExchange(filter);
        let Some(prover) = self.prover() else { return };
        let step = attempt(|| {
            let mut attempt = take(&mut self.state.borrow_mut().attempt);
            let step = prover.resume(&exchange, &mut attempt);
            // After an answer the slot may be gone, as in `prove`.
            if step != Step::Answered {
                self.state.borrow_mut().attempt = attempt;
            }
            step
        });
        match step {
            Some(Step::Continue) => {
                // SAFETY: the filter is alive. The call may destroy it: nothing of it is used after.
                unsafe {
                    envoy::envoy_dynamic_module_callback_http_filter_continue_decoding(filter);
                }
            }
            Some(_) => {}
            None => exchange.answer(500, "internal_error"),
        }
    }
}

/// Reads the configuration of the filter; null refuses it.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    envoy: *mut c_void,
    name: Buffer,
    config: Buffer,
) -> *const Configured<HttpFilter> {
    guard(std::ptr::null(), || {
        // SAFETY: Envoy keeps both valid during the call.
        let (name, config) = unsafe { (name.bytes(), config.bytes()) };
        match HttpFilter::load(name, config) {
            Ok(filter) => {
                let stats: Option<Box<dyn Any>> = match &filter {
                    HttpFilter::Prover(_) => Some(Box::new(stats::of_http_filter(envoy))),
                    HttpFilter::Verify(verify) => Some(Box::new(stats::of_verify(envoy, verify))),
                    HttpFilter::Generation => None,
                };
                give(Configured::new(filter, stats))
            }
            Err(mistakes) => {
                log::error(&format!("HTTP filter refused: {mistakes}"));
                std::ptr::null()
            }
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(
    config: *const Configured<HttpFilter>,
) {
    // SAFETY: made by `config_new`, and destroyed once.
    guard((), || unsafe { take_back(config) });
}

/// Reads what a route configures for itself; null refuses it.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_per_route_config_new(
    name: Buffer,
    config: Buffer,
) -> *const Claims {
    guard(std::ptr::null(), || {
        // SAFETY: Envoy keeps both valid during the call.
        let (name, config) = unsafe { (name.bytes(), config.bytes()) };
        if name == b"verify" {
            // Whoever owns a route must not be able to switch binding off.
            log::error(
                "HTTP filter of a route refused: `verify` takes the listener's configuration alone",
            );
            return std::ptr::null();
        }
        match Claims::parse(config) {
            Ok(claims) => give(claims),
            Err(mistakes) => {
                log::error(&format!("HTTP filter of a route refused: {mistakes}"));
                std::ptr::null()
            }
        }
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_per_route_config_destroy(claims: *const Claims) {
    // SAFETY: made by `per_route_config_new`, and destroyed once.
    guard((), || unsafe { take_back(claims) });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_new(
    config: *const Configured<HttpFilter>,
    _filter: *mut c_void,
) -> *const Slot {
    give(Slot {
        config,
        state: RefCell::default(),
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_destroy(slot: *const Slot) {
    guard((), || {
        // SAFETY: alive until it is taken back.
        let cluster = unsafe { &*slot }.prover().map(|prover| prover.cluster);
        // SAFETY: made by `filter_new`, and destroyed once.
        unsafe { take_back(slot) };
        if let Some(cluster) = cluster {
            // The connection that it leaves may be another's now.
            waiting::wake(cluster);
            upstream::end_what_is_over();
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
    filter: *mut c_void,
    slot: *const Slot,
    _end_of_stream: bool,
) -> u32 {
    // SAFETY: Envoy calls only between `new` and `destroy`; only shared references are made. The
    // route's configuration was made by `per_route_config_new`, and outlives the request.
    let (slot, claims) = unsafe {
        let claims = envoy::envoy_dynamic_module_callback_get_most_specific_route_config(filter);
        (&*slot, claims.cast::<Claims>().as_ref())
    };
    attempt(|| slot.request(filter, claims.copied())).unwrap_or_else(|| {
        EnvoyExchange(filter).answer(500, "internal_error");
        STOP
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_trailers(
    filter: *mut c_void,
    slot: *const Slot,
) -> u32 {
    // SAFETY: as for `request_headers`.
    let HttpFilter::Verify(verify) = unsafe { &*slot }.filter() else {
        return CONTINUE;
    };
    match attempt(|| verify.trailers(&mut EnvoyRequest(filter))) {
        Some(true) => CONTINUE,
        Some(false) => STOP,
        None => {
            EnvoyExchange(filter).answer(500, "internal_error");
            STOP
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_response_headers(
    filter: *mut c_void,
    slot: *const Slot,
    end_of_stream: bool,
) -> u32 {
    // SAFETY: as for `request_headers`.
    let slot = unsafe { &*slot };
    guard((), || {
        if let Some(prover) = slot.prover() {
            let attempt = &mut slot.state.borrow_mut().attempt;
            prover.response(&EnvoyExchange(filter), attempt);
        }
    });
    received(slot, filter, end_of_stream)
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_response_body(
    filter: *mut c_void,
    slot: *const Slot,
    end_of_stream: bool,
) -> u32 {
    // SAFETY: as for `request_headers`.
    received(unsafe { &*slot }, filter, end_of_stream)
}

/// Lets a part of the response pass, unless it only seems to be the last one.
fn received(slot: &Slot, filter: *mut c_void, end_of_stream: bool) -> u32 {
    let truncated = end_of_stream
        && guard(true, || {
            slot.prover().is_some_and(|prover| {
                let attempt = &slot.state.borrow().attempt;
                prover.response_is_truncated(&EnvoyExchange(filter), attempt)
            })
        });
    if !truncated {
        return CONTINUE;
    }
    let details = Buffer::of(b"response_truncated");
    // SAFETY: the filter is alive; Envoy copies the text.
    unsafe {
        envoy::envoy_dynamic_module_callback_http_filter_reset_stream(filter, LOCAL_RESET, details);
    }
    STOP
}

/// An event that `waiting` scheduled.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_scheduled(
    _filter: *mut c_void,
    slot: *const Slot,
    _event: u64,
) {
    // SAFETY: as for `request_headers`. A resumed request may end this one: only its number is kept.
    let cluster = unsafe { &*slot }.prover().map(|prover| prover.cluster);
    guard((), || {
        if let Some(cluster) = cluster {
            waiting::sweep(cluster);
        }
    });
}

mod unused;
