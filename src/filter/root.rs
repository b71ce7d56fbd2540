//! The plugin: its configuration, validated once, and what every request of it shares.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use proxy_wasm::traits::{Context, HttpContext, RootContext, StreamContext};
use proxy_wasm::types::{ContextType, LogLevel};
use sha2::{Digest as _, Sha256};

use crate::config::{Config, Role};

use super::bindings::Bindings;
use super::host;
use super::http::Http;
use super::log::RefusalLog;
use super::metrics::Metrics;
use super::outcome;
use super::purge::Purge;
use super::readiness;
use super::signatures::Signatures;
use super::tally;

/// A configured plugin that verifies.
pub(super) struct Plugin {
    pub(super) config: Config,
    pub(super) bindings: Bindings,
    pub(super) signatures: Signatures,
    pub(super) metrics: Metrics,
    pub(super) log: RefusalLog,
    is_host_checked: Cell<bool>,
}

impl Plugin {
    /// Finds out, once, what the host provides on the present connection.
    pub(super) fn check_host(&self) {
        if !self.is_host_checked.replace(true) {
            readiness::check(&self.config);
        }
    }
}

thread_local! {
    /// The verifying plugins of this VM, for those that purge: HTTP and network filters share the VM
    /// when they have the same `vm_id` and code.
    static PLUGINS: RefCell<Vec<Weak<Plugin>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `act` with every verifying plugin of this VM.
pub(super) fn for_each_plugin(act: impl Fn(&Plugin)) {
    PLUGINS.with_borrow(|plugins| {
        plugins
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|plugin| act(&plugin));
    });
}

/// The root context; without a valid configuration it makes no request contexts.
#[derive(Default)]
pub(super) struct Root {
    role: Option<Role>,
    plugin: Option<Rc<Plugin>>,
}

impl Root {
    fn configure(&mut self, text: &[u8], config: Config) {
        self.role = Some(config.role);
        if config.role == Role::Purge {
            return;
        }
        outcome::declare();
        host::tick_every(tally::PERIOD);
        let signatures = Signatures::probe();
        host::log(LogLevel::Info, &format!("session binding: {signatures}"));
        readiness::report("verify_signature", signatures.are_by_host());
        let plugin = Rc::new(Plugin {
            bindings: Bindings::new(&config, generation(text)),
            metrics: Metrics::define(&config.policy),
            log: RefusalLog::default(),
            is_host_checked: Cell::new(false),
            signatures,
            config,
        });
        PLUGINS.with_borrow_mut(|plugins| {
            plugins.retain(|plugin| plugin.strong_count() > 0);
            plugins.push(Rc::downgrade(&plugin));
        });
        self.plugin = Some(plugin);
    }
}

/// A number for a configuration and the code that applies it.
fn generation(text: &[u8]) -> u64 {
    let digest = Sha256::new()
        .chain_update(env!("CARGO_PKG_VERSION"))
        .chain_update(text)
        .finalize();
    digest
        .first_chunk()
        .map_or(0, |head| u64::from_le_bytes(*head))
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = host::plugin_configuration();
        match Config::parse(&text) {
            Ok(config) => {
                self.configure(&text, config);
                true
            }
            Err(mistakes) => {
                host::log_error(&format!("session binding: wrong configuration: {mistakes}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        if let Some(plugin) = &self.plugin {
            plugin.metrics.carry_over();
            plugin.bindings.carry_over();
        }
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        let plugin = self.plugin.as_ref()?;
        Some(Box::new(Http::new(Rc::clone(plugin))))
    }

    fn create_stream_context(&self, _: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(Purge))
    }

    fn get_type(&self) -> Option<ContextType> {
        match self.role? {
            Role::Verify => Some(ContextType::HttpContext),
            Role::Purge => Some(ContextType::StreamContext),
        }
    }
}
