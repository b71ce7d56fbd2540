//! Many clients of a sidecar at once, and what the other sidecar saw of them.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::application::Application;
use tls_session_binding_e2e::ask::{Outcome, present};
use tls_session_binding_e2e::envoy::Envoy;
use tls_session_binding_e2e::stack::Bootstrap;
use tokio::task::JoinHandle;

use crate::chain::Chain;
use crate::vocabulary::Passed;

const PATIENCE: Duration = Duration::from_mins(4);

/// Clients at work, each on a connection of its own, each request with the next of all tokens.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Result<u64>>>,
}

impl Load {
    /// Starts `clients`, which send `each` requests.
    pub(crate) fn start(sidecar: SocketAddr, tokens: &[String], clients: usize, each: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..clients)
            .map(|client| {
                // Another client begins with another token.
                let mut tokens = tokens.to_vec();
                let first = client % tokens.len();
                tokens.rotate_left(first);
                tokio::spawn(work(sidecar, tokens, each, Arc::clone(&stop)))
            })
            .collect();
        Self { stop, clients }
    }

    /// Waits until all is sent and answered with 200. The result is how many requests that were.
    pub(crate) async fn finish(self) -> Result<u64> {
        let mut requests = 0;
        for client in self.clients {
            requests += tokio::time::timeout(PATIENCE, client).await???;
        }
        Ok(requests)
    }

    /// As [`Self::finish`], but no further request is begun.
    pub(crate) async fn stop(self) -> Result<u64> {
        self.stop.store(true, SeqCst);
        self.finish().await
    }
}

async fn work(
    sidecar: SocketAddr,
    tokens: Vec<String>,
    each: u64,
    stop: Arc<AtomicBool>,
) -> Result<u64> {
    let mut application = Application::connect(sidecar, HttpVersion::Http1).await?;
    let mut tokens = tokens.iter().cycle();
    for sent in 0..each {
        if stop.load(SeqCst) {
            return Ok(sent);
        }
        let token = tokens.next().ok_or("no tokens")?;
        let answer = application.send(present(token, None)).await?;
        if Outcome::of(&answer) != Passed {
            return Err(format!("request {sent} of a client: {answer:?}").into());
        }
    }
    Ok(each)
}

/// The service's sidecar, which logs whose token came on which connection.
pub(crate) fn ingress_with_subjects() -> Result<Bootstrap> {
    Ok(Bootstrap::shipped("ingress.yaml")?.with(
        "connection=%CONNECTION_ID%\n",
        "pair=%CONNECTION_ID%/%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:sub)%\n",
    ))
}

/// The pairs of connection and token that a sidecar with [`ingress_with_subjects`] has logged.
pub(crate) fn pairs(ingress: &Envoy) -> HashSet<String> {
    let log = ingress.log();
    let words = log.split_whitespace();
    words
        .filter_map(|word| word.strip_prefix("pair="))
        .map(str::to_owned)
        .collect()
}

/// Tokens of so many subjects.
pub(crate) fn tokens(chain: &Chain, count: u64) -> Result<Vec<String>> {
    (0..count)
        .map(|user| chain.token(&format!("user-{user}")))
        .collect()
}
