//! What the filter that is shipped offers to the host: entry points that do nothing would cost each request.

use tls_session_binding_e2e::root;
use tls_session_binding_wasm_tests::Result;
use tls_session_binding_wasm_tests::module::Module;

#[test]
fn the_filter_exports_no_entry_point_for_responses_bodies_and_logs() -> Result<()> {
    let path = root().join("target/wasm32-wasip1/release/tls_session_binding.wasm");
    let filter = std::fs::read(path).map_err(|error| format!("{error}: run make wasm"))?;
    let module = Module::read(&filter)?;
    let exports = |name: &str| module.exports.contains_key(name);
    assert!(exports("proxy_on_request_headers"));
    for unused in [
        "proxy_on_request_body",
        "proxy_on_response_headers",
        "proxy_on_upstream_data",
        "proxy_on_log",
    ] {
        assert!(!exports(unused), "{unused}: run make wasm");
    }
    Ok(())
}
