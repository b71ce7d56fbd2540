//! What was verified before: this VM's own memory in front of the host's shared one.

use std::cell::RefCell;

use crate::cache::{BindingCache, KnownBinding, Presentation, SharedBindings, SharedEntry};
use crate::certificate::ClientCertificate;
use crate::config::Config;
use crate::exporter::ExporterValue;
use crate::verify::VerifiedBinding;

use super::connection;
use super::host;
use super::metrics::CacheMetrics;

/// Prefix of the keys of shared memory.
const KEY: &str = "tls_session_binding.bindings";

/// A connection's slot of shared memory, as it was when it was read.
pub(super) struct SharedSlot<'a> {
    key: String,
    cas: Option<u32>,
    entry: SharedEntry<'a>,
}

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

    /// The certificate of a connection on which this VM has verified a proof.
    pub(super) fn certificate(&self, exporter: &ExporterValue) -> Option<ClientCertificate> {
        self.local.borrow().certificate(exporter).cloned()
    }

    /// Reads what the host's shared memory holds for the connection; nothing with the cache off.
    pub(super) fn look_up<'a>(
        &self,
        config: &Config,
        presented: Presentation<'a>,
    ) -> Option<SharedSlot<'a>> {
        let shared = self.shared(config)?;
        let key = key(&shared);
        let (value, cas) = host::shared_data(&key);
        let entry = shared.look_up(value, presented);
        Some(SharedSlot { key, cas, entry })
    }

    /// What is known in the host's shared memory; it is then known in this VM too.
    pub(super) fn find_shared(
        &self,
        slot: &SharedSlot<'_>,
        certificate: &ClientCertificate,
        now: u64,
    ) -> Option<KnownBinding> {
        let known = slot.entry.find(certificate, now)?;
        self.metrics.count_shared_hit();
        let presented = slot.entry.presented();
        self.keep(1, |local| local.restore(presented, certificate, known));
        Some(known)
    }

    /// Counts a proof that nothing is known of.
    pub(super) fn count_miss(&self) {
        self.metrics.count_miss();
    }

    /// Keeps what was verified. Losing a race for the shared value costs a verification later.
    pub(super) fn insert(
        &self,
        slot: Option<SharedSlot<'_>>,
        binding: &VerifiedBinding<'_>,
        now: u64,
    ) {
        let added = usize::from(binding.is_connection_level());
        self.keep(added, |local| local.insert(binding, now));
        let Some(slot) = slot else {
            return;
        };
        if let Some(next) = slot.entry.insert(binding, now) {
            host::swap_shared_data(&slot.key, &next, slot.cas);
        }
    }

    /// Tells the host of all that is not counted there yet.
    pub(super) fn carry_over(&self) {
        self.metrics.carry_over();
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

    /// Adds so many to this VM's cache and counts what that did.
    fn keep(&self, added: usize, add: impl FnOnce(&mut BindingCache)) {
        let mut local = self.local.borrow_mut();
        let before = local.bindings();
        add(&mut local);
        self.metrics.count_kept(before, added, local.bindings());
    }

    fn shared(&self, config: &Config) -> Option<SharedBindings> {
        SharedBindings::new(config.cache, self.generation, host::connection_id().ok()?)
    }
}

fn key(shared: &SharedBindings) -> String {
    format!("{KEY}.{}", shared.slot())
}
