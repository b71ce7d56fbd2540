//! What it takes to bring the filter up: a listener with it is added to a running Envoy, with a VM of its
//! own.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tls_session_binding_e2e::Result;

use crate::bootstrap::{OURS, Socket, listener, wasm};
use crate::proxy::{Credentials, Proxy};
use crate::statistics::median;

/// Longest wait for a listener.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often Envoy is asked whether the listener is there.
const PAUSE: Duration = Duration::from_millis(1);

/// Time for Envoy to finish what goes on beside.
const SETTLE: Duration = Duration::from_millis(100);

/// What one VM takes, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The worker's time on its core: a VM is made from compiled code, and the filter configures itself.
    pub configure: f64,
    /// The main thread's: it compiles the code and tries the configuration in VMs of its own.
    pub compile: f64,
    /// From the changed file to a listener that listens.
    pub listen: f64,
}

/// Adds listeners one by one.
///
/// # Errors
/// When Envoy does not take one.
pub fn measure(credentials: &Credentials, rounds: usize) -> Result<Times> {
    let listeners = credentials.directory().join("listeners.json");
    publish(&listeners, &[])?;
    let proxy = Proxy::start_watching(credentials, &listeners)?;
    let mut all = Vec::new();
    let mut times = Vec::new();
    for round in 0..rounds {
        let name = format!("ours-{round}");
        let filter = wasm(&name, OURS, &json!({}));
        let files = credentials.directory();
        all.push(listener(&name, &files, Socket::Module, &[], &[filter]));
        times.push(add(&proxy, &listeners, &all, &name)?);
    }
    let of = |part: fn(&Times) -> f64| median(&times.iter().map(part).collect::<Vec<_>>());
    Ok(Times {
        configure: of(|times| times.configure),
        compile: of(|times| times.compile),
        listen: of(|times| times.listen),
    })
}

fn add(proxy: &Proxy, file: &Path, listeners: &[Value], name: &str) -> Result<Times> {
    let (worker, main) = (proxy.worker.cpu_time()?, proxy.main.cpu_time()?);
    let begin = Instant::now();
    publish(file, listeners)?;
    while proxy.address(name).is_err() {
        if begin.elapsed() > PATIENCE {
            return Err(format!("listener {name} does not come").into());
        }
        sleep(PAUSE);
    }
    let listen = begin.elapsed();
    sleep(SETTLE);
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    Ok(Times {
        configure: millis(proxy.worker.cpu_time()?.saturating_sub(worker)),
        compile: millis(proxy.main.cpu_time()?.saturating_sub(main)),
        listen: millis(listen),
    })
}

/// Envoy sees a file that is moved into place.
fn publish(file: &Path, listeners: &[Value]) -> Result<()> {
    const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
    let resources: Vec<Value> = listeners
        .iter()
        .map(|listener| {
            let mut resource = listener.clone();
            if let Some(members) = resource.as_object_mut() {
                members.insert("@type".to_owned(), json!(LISTENER));
            }
            resource
        })
        .collect();
    let next = file.with_extension("next");
    fs::write(&next, json!({ "resources": resources }).to_string())?;
    fs::rename(next, file)?;
    Ok(())
}
