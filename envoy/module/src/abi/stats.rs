//! Envoy's stats, as the configurations of network and HTTP filters offer them.

use std::ffi::c_void;
use std::ptr;

use super::callbacks as envoy;
use super::types::Buffer;
use crate::metrics::{self, Exporter, Registration, Scope};
use crate::verify::{self, Counts, Verify};

/// Defines the module's counters and gauges on the configuration of a network filter.
pub(super) fn of_network_filter(config: *mut c_void) -> Registration {
    metrics::register(
        Box::new(Stats::of_module(config, Kind::Network)),
        Scope::Process,
    )
}

/// Defines the module's counters and gauges on the configuration of an HTTP filter.
pub(super) fn of_http_filter(config: *mut c_void) -> Registration {
    metrics::register(
        Box::new(Stats::of_module(config, Kind::Http)),
        Scope::Cluster,
    )
}

/// Defines what a filter `verify` counts.
pub(super) fn of_verify(config: *mut c_void, verify: &Verify) -> verify::Registration {
    let counts = verify.counts();
    let gauges = Counts::gauge_names();
    let stats = Stats::define(config, Kind::Http, counts.counter_names(), &gauges);
    counts.set_verification(stats.histogram(verify::VERIFICATION));
    verify::register(counts, Box::new(stats))
}

#[derive(Clone, Copy)]
enum Kind {
    Network,
    Http,
}

/// Stats defined on one configuration, by Envoy's ids.
struct Stats {
    config: *mut c_void,
    kind: Kind,
    counters: Vec<usize>,
    gauges: Vec<usize>,
}

// SAFETY: Envoy's counters and gauges are atomic, and the tables that the ids point into do not change
// after the configuration has been made. It outlives its `Registration`, which `metrics` locks.
unsafe impl Send for Stats {}

impl Stats {
    fn of_module(config: *mut c_void, kind: Kind) -> Self {
        let (counters, gauges) = (metrics::counter_names(), metrics::gauge_names());
        Self::define(config, kind, &counters, &gauges)
    }

    fn define(config: *mut c_void, kind: Kind, counters: &[String], gauges: &[String]) -> Self {
        let stats = Self {
            config,
            kind,
            counters: Vec::new(),
            gauges: Vec::new(),
        };
        let counters = counters.iter().map(|name| stats.counter(name)).collect();
        let gauges = gauges.iter().map(|name| stats.gauge(name)).collect();
        Self {
            counters,
            gauges,
            ..stats
        }
    }

    fn counter(&self, name: &str) -> usize {
        let (mut id, name) = (0, Buffer::of(name.as_bytes()));
        // SAFETY: the configuration is alive; Envoy copies the name and writes the id.
        unsafe {
            match self.kind {
                Kind::Network => {
                    envoy::envoy_dynamic_module_callback_network_filter_config_define_counter(
                        self.config,
                        name,
                        &raw mut id,
                    )
                }
                Kind::Http => {
                    envoy::envoy_dynamic_module_callback_http_filter_config_define_counter(
                        self.config,
                        name,
                        ptr::null(),
                        0,
                        &raw mut id,
                    )
                }
            }
        };
        id
    }

    /// Of an HTTP filter.
    fn histogram(&self, name: &str) -> usize {
        let (mut id, name) = (0, Buffer::of(name.as_bytes()));
        // SAFETY: as in `counter`.
        unsafe {
            envoy::envoy_dynamic_module_callback_http_filter_config_define_histogram(
                self.config,
                name,
                ptr::null(),
                0,
                &raw mut id,
            )
        };
        id
    }

    fn gauge(&self, name: &str) -> usize {
        let (mut id, name) = (0, Buffer::of(name.as_bytes()));
        // SAFETY: as in `counter`.
        unsafe {
            match self.kind {
                Kind::Network => {
                    envoy::envoy_dynamic_module_callback_network_filter_config_define_gauge(
                        self.config,
                        name,
                        &raw mut id,
                    )
                }
                Kind::Http => envoy::envoy_dynamic_module_callback_http_filter_config_define_gauge(
                    self.config,
                    name,
                    ptr::null(),
                    0,
                    &raw mut id,
                ),
            }
        };
        id
    }
}

impl Exporter for Stats {
    fn add(&self, counter: usize, value: u64) {
        let Some(&id) = self.counters.get(counter) else {
            return;
        };
        // SAFETY: the configuration is alive, and the id is its own.
        unsafe {
            match self.kind {
                Kind::Network => {
                    envoy::envoy_dynamic_module_callback_network_filter_config_increment_counter(
                        self.config,
                        id,
                        value,
                    )
                }
                Kind::Http => {
                    envoy::envoy_dynamic_module_callback_http_filter_config_increment_counter(
                        self.config,
                        id,
                        ptr::null(),
                        0,
                        value,
                    )
                }
            }
        };
    }

    fn set(&self, gauge: usize, value: u64) {
        let Some(&id) = self.gauges.get(gauge) else {
            return;
        };
        // SAFETY: as in `add`.
        unsafe {
            match self.kind {
                Kind::Network => {
                    envoy::envoy_dynamic_module_callback_network_filter_config_set_gauge(
                        self.config,
                        id,
                        value,
                    )
                }
                Kind::Http => envoy::envoy_dynamic_module_callback_http_filter_config_set_gauge(
                    self.config,
                    id,
                    ptr::null(),
                    0,
                    value,
                ),
            }
        };
    }
}
