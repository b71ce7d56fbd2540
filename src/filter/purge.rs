//! One downstream connection, for the filter in the network chain: when it closes, so do its bindings.

use proxy_wasm::traits::{Context, StreamContext};
use proxy_wasm::types::PeerType;

use super::plugin::Plugin;

/// The context of one connection.
pub(super) struct Purge;

impl Context for Purge {}

impl StreamContext for Purge {
    fn on_downstream_close(&mut self, _: PeerType) {
        Plugin::purge_all();
    }
}
