//! Somebody else's plugin beside the verifier; `tests/deployment/istio/neighbours.yaml` says where it stands.
//!
//! It claims the verifier's verdict, and takes the token away or, configured so, puts an unbound one in its place.
#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, reason = "an example")]
#![forbid(unsafe_code)]

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MapType};

/// Unsigned: `{"alg":"none"}` and `{"sub":"a"}`.
const UNBOUND: &[u8] = b"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.x";

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Neighbour::default()));
}}

/// What it does to requests, as configured.
#[derive(Clone, Copy, Default)]
struct Neighbour {
    token: Option<&'static [u8]>,
}

impl Context for Neighbour {}

impl RootContext for Neighbour {
    fn on_configure(&mut self, _size: usize) -> bool {
        let configuration = hostcalls::get_buffer(
            proxy_wasm::types::BufferType::PluginConfiguration,
            0,
            usize::MAX,
        );
        let text = configuration.ok().flatten().unwrap_or_default();
        let unbound = text.windows(7).any(|word| word == b"unbound");
        self.token = unbound.then_some(UNBOUND);
        true
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(*self))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Neighbour {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        let _ = hostcalls::set_property(vec!["session_binding.verdict"], Some(b"session_bound"));
        let headers = MapType::HttpRequestHeaders;
        let _ = hostcalls::set_map_value_bytes(headers, "authorization", self.token);
        Action::Continue
    }
}
