//! One downstream connection, for the filter in the network chain: when it closes, so do its bindings.

use proxy_wasm::traits::{Context, StreamContext};
use proxy_wasm::types::{Action, PeerType};

use super::root::{Plugin, for_each_plugin};

/// The context of one connection.
pub(super) struct Purge;

impl Context for Purge {}

impl StreamContext for Purge {
    /// The handshake is over, and no request was read yet.
    fn on_downstream_data(&mut self, _: usize, _: bool) -> Action {
        for_each_plugin(Plugin::check_host);
        Action::Continue
    }

    fn on_downstream_close(&mut self, _: PeerType) {
        for_each_plugin(|plugin| plugin.bindings.purge(&plugin.config));
    }
}
