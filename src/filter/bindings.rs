//! What was verified before: this VM's own memory in front of the host's shared one.

use std::cell::RefCell;

use crate::cache::{BindingCache, KnownBinding, Presentation, SharedBindings};
use crate::certificate::ClientCertificate;
use crate::config::Config;
use crate::verify::VerifiedBinding;

use super::connection;
use super::host;
use super::metrics::CacheMetrics;

/// Prefix of the keys of shared memory.
const KEY: &str = "tls_session_binding.bindings";

/// The bindings that one plugin has verified.
pub(super) struct Bindings {
    local: RefCell<BindingCache>,
    /// Stands for the configuration: what another one has verified is not known under this one.
    generation: u64,
    metrics: CacheMetrics,
}

impl Bindings {
    pub(super) fn new(config: &Config, generation: u64) -> Self {
        let local = RefCell::new(BindingCache::new(config.cache));
        Self {
            local,
            generation,
            metrics: CacheMetrics::define(),
        }
    }

    /// What is known in this VM. This is the path of nearly every request.
    pub(super) fn find(&self, presented: &Presentation<'_>, now: u64) -> Option<KnownBinding> {
        let known = self.local.borrow().find(presented, now);
        if known.is_some() {
            self.metrics.count_hit();
        }
        known
    }

    /// What is known in the host's shared memory; it is then known in this VM too.
    pub(super) fn find_shared(
        &self,
        config: &Config,
        presented: &Presentation<'_>,
        certificate: &ClientCertificate,
        now: u64,
    ) -> Option<KnownBinding> {
        let shared = self.shared(config)?;
        let (value, _) = host::shared_data(&key(&shared));
        let known = shared.find(&value, presented, certificate, now);
        match known {
            Some(known) => {
                self.metrics.count_shared_hit();
                self.keep(|local| local.restore(presented, known));
            }
            None => self.metrics.count_miss(),
        }
        known
    }

    /// Keeps what was verified. Losing a race for the shared value costs a verification later.
    pub(super) fn insert(&self, config: &Config, binding: &VerifiedBinding<'_>, now: u64) {
        if !binding.is_connection_level() || config.cache.connections == 0 {
            return;
        }
        self.keep(|local| local.insert(binding, now));
        let Some(shared) = self.shared(config) else {
            return;
        };
        let key = key(&shared);
        let (value, cas) = host::shared_data(&key);
        if let Some(next) = shared.insert(&value, binding, now) {
            host::swap_shared_data(&key, &next, cas);
        }
    }

    /// Drops what is known of a connection that closes.
    pub(super) fn purge(&self, config: &Config) {
        if let Ok(exporter) = connection::exporter(config) {
            let mut local = self.local.borrow_mut();
            let before = local.bindings();
            local.purge(&exporter);
            self.metrics.count_purged(before, local.bindings());
        }
        let Some(shared) = self.shared(config) else {
            return;
        };
        let key = key(&shared);
        let (value, cas) = host::shared_data(&key);
        if shared.is_held(&value) {
            host::swap_shared_data(&key, &[], cas);
        }
    }

    /// Adds to this VM's cache and counts what that did.
    fn keep(&self, add: impl FnOnce(&mut BindingCache)) {
        let mut local = self.local.borrow_mut();
        let before = local.bindings();
        add(&mut local);
        self.metrics.count_kept(before, local.bindings());
    }

    fn shared(&self, config: &Config) -> Option<SharedBindings> {
        SharedBindings::new(config.cache, self.generation, host::connection_id().ok()?)
    }
}

fn key(shared: &SharedBindings) -> String {
    format!("{KEY}.{}", shared.slot())
}
