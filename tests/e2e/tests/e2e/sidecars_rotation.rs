//! The sidecar's certificate changes, again and again, under load that never pauses (E1).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::application::Application;
use tls_session_binding_e2e::ask::{Outcome, present};
use tls_session_binding_e2e::stack::{Bootstrap, Stack};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::brief;
use crate::chain::{Chain, egress, egress_http1};
use crate::counts::{settled, until};
use crate::vocabulary::{Passed, refused};

/// A certificate's life; it is renewed after half of it, as SPIRE does.
const LIFE: Duration = Duration::from_secs(10);
/// Renewals: the load runs past the end of three certificates.
const RENEWALS: u64 = 4;
const CLIENTS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(30);

/// What the application has: a token, and for which certificate. Odd while the next is on its way.
#[derive(Clone, Default)]
struct Held {
    token: String,
    renewal: u64,
}

/// Requests of one client, and how many of them were refused.
#[derive(Default)]
struct Sent {
    passed: u64,
    refused: u64,
}

/// Sends without a pause. A request may be refused only when its token's certificate was being replaced
/// before its answer came.
async fn work(
    chain: Arc<Chain>,
    held: watch::Receiver<Held>,
    begun: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> Result<Sent> {
    let mut application = Application::connect(chain.egress.address, HttpVersion::Http1).await?;
    let mut sent = Sent::default();
    while !stop.load(SeqCst) {
        let mine = held.borrow().clone();
        let answer = application.send(present(&mine.token, None)).await?;
        match Outcome::of(&answer) {
            Passed => sent.passed += 1,
            outcome if outcome == refused("invalid_token") && begun.load(SeqCst) > mine.renewal => {
                sent.refused += 1;
            }
            outcome => {
                return Err(format!("{outcome:?} for renewal {}: {answer:?}", mine.renewal).into());
            }
        }
    }
    Ok(sent)
}

fn held(chain: &Chain, renewal: u64) -> Result<Held> {
    let token = chain.token("alice")?;
    Ok(Held { token, renewal })
}

/// Renews the certificate again and again; the application has its new token as soon as the sidecar uses it.
async fn renew(chain: &Chain, holds: &watch::Sender<Held>, begun: &AtomicU64) -> Result<()> {
    let start = Instant::now();
    for renewal in 1..=RENEWALS {
        sleep_until(start + (LIFE / 2) * u32::try_from(renewal)?).await;
        begun.store(renewal, SeqCst);
        brief::issue(&chain.stack.pki(), "client", LIFE)?;
        until(&chain.egress.envoy, "files.taken", |taken| taken >= renewal).await?;
        holds.send_replace(held(chain, renewal)?);
    }
    // Past the end of the certificate before the last.
    sleep(LIFE / 2 + Duration::from_secs(1)).await;
    Ok(())
}

async fn rotate_under_load(bootstrap: Bootstrap, protocol: &str) -> Result<()> {
    let stack = Stack::ingress().await?;
    brief::issue(&stack.pki(), "client", LIFE)?;
    let egress = stack.egress(bootstrap).await?;
    let chain = Arc::new(Chain { stack, egress });
    let (holds, holding) = watch::channel(held(&chain, 0)?);
    let (begun, stop) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let clients: Vec<JoinHandle<Result<Sent>>> = (0..CLIENTS)
        .map(|_| {
            tokio::spawn(work(
                Arc::clone(&chain),
                holding.clone(),
                Arc::clone(&begun),
                Arc::clone(&stop),
            ))
        })
        .collect();
    let renewed = renew(&chain, &holds, &begun).await;
    stop.store(true, SeqCst);
    let mut all = Sent::default();
    for client in clients {
        let sent = timeout(PATIENCE, client).await???;
        all.passed += sent.passed;
        all.refused += sent.refused;
    }
    renewed?;
    println!("{protocol}: {} passed, {} refused", all.passed, all.refused);
    assert!(
        all.passed > 100 * all.refused.max(1) / 10,
        "{} of {}",
        all.refused,
        all.passed
    );
    let envoy = &chain.egress.envoy;
    // The service's sidecar had to end none: the old ones were closed before.
    let ingress = &chain.stack.envoy;
    assert_eq!(
        settled(ingress, "session_binding.refused.invalid_proof").await?,
        0
    );
    assert_eq!(envoy.stat("waits.expired").await?, 0);
    let opened = envoy.stat("cluster.service.upstream_cx_total").await?;
    assert!(opened > RENEWALS, "{opened}");
    let open = envoy.stat("cluster.service.upstream_cx_active").await?;
    assert!(
        open <= CLIENTS as u64,
        "{open} of {opened} connections are still open"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_used_at_once_and_the_end_of_an_old_one_costs_no_request() -> Result<()>
{
    let (http2, http1) = tokio::join!(
        rotate_under_load(egress()?, "HTTP/2"),
        rotate_under_load(egress_http1()?, "HTTP/1.1"),
    );
    http2.and(http1)
}
