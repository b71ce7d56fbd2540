//! A Wasm filter that reads what the session-binding filter reads when it knows the binding, and does
//! nothing with it.
#![cfg(target_arch = "wasm32")]
#![expect(missing_docs, reason = "the entry point that `main!` makes")]
#![forbid(unsafe_code)]

use std::hint::black_box;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MapType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

/// With a configuration, it reads the published claims, too.
#[derive(Default)]
struct Root {
    reads_claims: bool,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, length: usize) -> bool {
        // `{}` is no configuration.
        self.reads_claims = length > 2;
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Reader {
            reads_claims: self.reads_claims,
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Reader {
    reads_claims: bool,
}

impl Context for Reader {}

impl HttpContext for Reader {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let _ = black_box((
            hostcalls::get_map_bytes(MapType::HttpRequestHeaders),
            hostcalls::get_property(vec!["filter_state", "tls_session_binding.exporter"]),
            hostcalls::get_property(vec![
                "filter_state",
                "tls_session_binding.client_certificate",
            ]),
            hostcalls::get_current_time(),
        ));
        if self.reads_claims {
            let _ = black_box(hostcalls::get_property(vec![
                "metadata",
                "filter_metadata",
                "envoy.filters.http.jwt_authn",
                "payload",
            ]));
        }
        Action::Continue
    }
}
