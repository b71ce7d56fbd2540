//! A policy that changes while connections are open.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::stack::{Bootstrap, Files, Stack, Verifier};

use crate::VERIFIER;
use crate::counts::settled;
use crate::credentials::Bring::Proof;
use crate::credentials::Client;
use crate::vocabulary::{HTTP2, Passed, refused};

const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);
/// Requests that are enough to see that a policy stands.
const REQUESTS: usize = 20;

/// The filter out of a file that Envoy watches, as Istio brings it (ECDS).
#[tokio::test(flavor = "multi_thread")]
async fn where_the_filter_is_discovered_the_next_request_of_an_open_connection_meets_the_new_policy()
-> Result<()> {
    let files = Files::make()?;
    let file = files.directory().join("filter.yaml");
    let (bootstrap, filter) = discovered(&Bootstrap::shipped(VERIFIER.file())?, &file)?;
    let tight = filter.replace(VERIFIER.filter(), r#"value: '{"algorithms":["ES384"]}'"#);
    std::fs::write(&file, &filter)?;
    let stack = Stack::start_on(files, &bootstrap).await?;
    let client = Client::connect(&stack, HTTP2).await?;
    // Always the same bytes: what is known under one policy counts for nothing under the next.
    let request = client.request(Proof, "GET", "service.demo/")?;
    let passed = Cell::new(0);
    let ask = async || {
        let outcome = stack.outcome(&client.connection, request.clone()).await?;
        passed.set(passed.get() + u64::from(outcome == Passed));
        Result::Ok(outcome)
    };
    for (policy, expected) in [
        (&filter, Passed),
        (&tight, refused("invalid_proof")),
        (&filter, Passed),
    ] {
        let next = file.with_extension("next");
        std::fs::write(&next, policy)?;
        std::fs::rename(&next, &file)?;
        let deadline = Instant::now() + PATIENCE;
        while ask().await? != expected && Instant::now() < deadline {
            tokio::time::sleep(PAUSE).await;
        }
        for _ in 0..REQUESTS {
            assert_eq!(ask().await?, expected);
        }
    }
    // Under the first policy again, the Wasm filter's shared memory still knows it; the module shares nothing, and
    // verified once more. What a policy admitted last is
    // counted although another one has taken its place.
    for (counter, times) in [
        ("http.ingress.downstream_cx_total", 1),
        (
            "session_binding.cache.shared_hit",
            u64::from(VERIFIER == Verifier::Wasm),
        ),
        ("session_binding.admitted.session_bound", passed.get()),
    ] {
        assert_eq!(settled(&stack.envoy, counter).await?, times, "{counter}");
    }
    Ok(())
}

/// The bootstrap without the filter, and the filter as a resource.
fn discovered(bootstrap: &Bootstrap, file: &Path) -> Result<(Bootstrap, String)> {
    let begin =
        "                  - name: tls_session_binding\n                    typed_config:\n";
    let end = "                  - name: envoy.filters.http.router\n";
    let (_, rest) = bootstrap.as_str().split_once(begin).ok_or("no filter")?;
    let (config, _) = rest.split_once(end).ok_or("no router")?;
    let kind = match VERIFIER {
        Verifier::Wasm => "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        Verifier::Native => {
            "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter"
        }
    };
    let discovery = format!(
        "                  - name: tls_session_binding
                    config_discovery:
                      type_urls: [{kind}]
                      config_source: {{ resource_api_version: V3, path_config_source: {{ path: {} }} }}\n",
        file.display()
    );
    let node = "node: { id: sidecar, cluster: service }\nstatic_resources:";
    let bootstrap = bootstrap
        .clone()
        .with(&format!("{begin}{config}"), &discovery)
        .with("static_resources:", node);
    let resource = format!(
        "resources:
  - \"@type\": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig
    name: tls_session_binding
    typed_config:\n{}",
        config.replace("\n                    ", "\n    ").replacen(
            "                    ",
            "    ",
            1
        )
    );
    Ok((bootstrap, resource))
}
