//! A request that waits for its connection, as `waiting` sees it.

use std::ffi::c_void;

use super::callbacks as envoy;
use crate::waiting::Parked;

/// What Envoy holds of a request that can wait.
pub(super) trait Resume {
    /// Whether the request of `filter` waits for nothing any more.
    fn is_ready(&self, filter: *mut c_void) -> bool;

    /// It has waited: for what it has now, or too long.
    fn resume(&self, filter: *mut c_void);
}

/// Envoy's side of a waiting request.
pub(super) struct Waiter<S> {
    filter: *mut c_void,
    slot: *const S,
    scheduler: *mut c_void,
}

// SAFETY: only `alarm` runs on other threads than the request's worker, and Envoy lets a scheduler be
// used from any. It is deleted when the waiter is dropped, which `waiting` does under its lock or
// after having taken the waiter out.
unsafe impl<S> Send for Waiter<S> {}

impl<S> Waiter<S> {
    /// A waiter for the request of `filter` and `slot`, which must leave the queue before either goes.
    pub(super) fn new(filter: *mut c_void, slot: *const S) -> Self {
        // SAFETY: called from a hook of the filter, which is alive.
        let scheduler =
            unsafe { envoy::envoy_dynamic_module_callback_http_filter_scheduler_new(filter) };
        Self {
            filter,
            slot,
            scheduler,
        }
    }
}

impl<S: Resume> Parked for Waiter<S> {
    fn is_ready(&self) -> bool {
        // SAFETY: the slot leaves the queue when Envoy destroys the filter, so both are alive.
        unsafe { &*self.slot }.is_ready(self.filter)
    }

    fn alarm(&self) {
        // SAFETY: the scheduler lives as long as the waiter; Envoy posts the event to the worker.
        unsafe {
            envoy::envoy_dynamic_module_callback_http_filter_scheduler_commit(self.scheduler, 0);
        }
    }

    fn resume(&self) {
        // SAFETY: as for `is_ready`; `resume` runs on the worker, before anything else could
        // have destroyed the filter. What it calls may destroy it: it uses nothing of the slot afterwards, so
        // that it does not depend on Envoy 1.40's deferring that until the hook has returned.
        unsafe { &*self.slot }.resume(self.filter);
    }
}

impl<S> Drop for Waiter<S> {
    fn drop(&mut self) {
        // SAFETY: made in `new`, deleted once.
        unsafe {
            envoy::envoy_dynamic_module_callback_http_filter_scheduler_delete(self.scheduler);
        }
    }
}
