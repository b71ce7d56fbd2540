//! The Proxy-Wasm glue: gather what the host knows, let the core decide, act on it.
//!
//! Every host call is in [`host`]; nothing here judges a token, a proof or a time.

mod host;
mod http;
mod known_answers;
mod log;
mod metrics;
mod outcome;
mod plugin;
mod protobuf;
mod purge;
mod readiness;
mod root;
mod seam;
mod signatures;
mod tally;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(root::Root::default()));
}}
