//! The plugin: its configuration, validated once, and what every request of it shares.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};

use crate::config::Config;

use super::host;
use super::http::Http;
use super::metrics::Metrics;
use super::signatures::Signatures;

/// A configured plugin.
pub(super) struct Plugin {
    pub(super) config: Config,
    pub(super) signatures: Signatures,
    pub(super) metrics: Metrics,
}

/// The root context; without a valid configuration it makes no request contexts.
#[derive(Default)]
pub(super) struct Root {
    plugin: Option<Rc<Plugin>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        match Config::parse(&host::plugin_configuration()) {
            Ok(config) => {
                let signatures = Signatures::probe();
                host::log(LogLevel::Info, &format!("session binding: {signatures}"));
                self.plugin = Some(Rc::new(Plugin {
                    config,
                    signatures,
                    metrics: Metrics::define(),
                }));
                true
            }
            Err(mistakes) => {
                host::log_error(&format!("session binding: wrong configuration: {mistakes}"));
                false
            }
        }
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        let plugin = self.plugin.as_ref()?;
        Some(Box::new(Http::new(Rc::clone(plugin))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
