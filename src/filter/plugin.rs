//! A configured plugin that verifies: its configuration, validated once, and what its requests share.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use crate::config::Config;
use crate::decide;
use crate::request::Request;
use crate::state::State;

use super::log::RefusalLog;
use super::metrics::{CacheMetrics, Metrics};
use super::readiness;
use super::seam::Envoy;
use super::signatures::Signatures;

/// A configured plugin that verifies.
pub(super) struct Plugin {
    pub(super) config: Config,
    pub(super) state: RefCell<State>,
    pub(super) signatures: Signatures,
    pub(super) metrics: Metrics,
    pub(super) cache: CacheMetrics,
    pub(super) log: RefusalLog,
    is_host_checked: Cell<bool>,
    is_host_ready: Cell<bool>,
}

thread_local! {
    /// The verifying plugins of this VM, for those that purge: HTTP and network filters share the VM
    /// when they have the same `vm_id` and code.
    static PLUGINS: RefCell<Vec<Weak<Plugin>>> = const { RefCell::new(Vec::new()) };
}

impl Plugin {
    /// Starts a plugin. `generation` is a number for its configuration and code.
    pub(super) fn start(config: Config, generation: u64, signatures: Signatures) -> Rc<Self> {
        let plugin = Rc::new(Self {
            state: RefCell::new(State::new(config.cache, generation)),
            metrics: Metrics::define(&config.policy),
            cache: CacheMetrics::define(),
            log: RefusalLog::default(),
            is_host_checked: Cell::new(false),
            is_host_ready: Cell::new(false),
            signatures,
            config,
        });
        PLUGINS.with_borrow_mut(|plugins| {
            plugins.retain(|plugin| plugin.strong_count() > 0);
            plugins.push(Rc::downgrade(&plugin));
        });
        plugin
    }

    /// Finds out what the host provides, until it provides everything. Requests without token, such as
    /// a load balancer's, say nothing of the connections that count.
    pub(super) fn check_host(&self, request: &Request<'_>) {
        if !self.is_host_ready.get() && request.presents_token() {
            let is_told = !self.is_host_checked.replace(true);
            let is_ready = readiness::check(&Envoy(&self.config), is_told);
            self.is_host_ready.set(is_ready);
        }
    }

    /// Drops what every plugin of this VM knows of the present connection.
    pub(super) fn purge_all() {
        PLUGINS.with_borrow(|plugins| {
            for plugin in plugins.iter().filter_map(Weak::upgrade) {
                plugin.purge();
            }
        });
    }

    fn purge(&self) {
        let mut state = self.state.borrow_mut();
        let before = state.bindings();
        decide::purge(&self.config, &mut state, &Envoy(&self.config));
        self.cache.count_purged(before, state.bindings());
    }

    /// Tells the host of all that is not counted there yet.
    pub(super) fn carry_over(&self) {
        self.metrics.carry_over();
        self.cache.carry_over();
    }
}

/// What a plugin held that another configuration replaces is held no more.
impl Drop for Plugin {
    fn drop(&mut self) {
        self.cache.count_gone(self.state.borrow().bindings());
    }
}
