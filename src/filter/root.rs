//! The root context: configures plugins, and makes the contexts of requests and connections.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext, StreamContext};
use proxy_wasm::types::{ContextType, LogLevel};

use crate::config::{Config, Role};
use crate::state::generation;

use super::host;
use super::http::Http;
use super::outcome;
use super::plugin::Plugin;
use super::purge::Purge;
use super::readiness;
use super::seam;
use super::signatures::Signatures;
use super::tally;

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
        seam::declare();
        host::tick_every(tally::PERIOD);
        let signatures = Signatures::probe();
        host::log(LogLevel::Info, &format!("session binding: {signatures}"));
        readiness::report("verify_signature", signatures.are_by_host());
        let capacity = config.capacity();
        host::log(LogLevel::Info, &format!("session binding: {capacity}"));
        let generation = generation(env!("SESSION_BINDING_BUILD"), text);
        let plugin = Plugin::start(config, generation, signatures);
        self.plugin = Some(plugin);
    }
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
            plugin.carry_over();
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
