//! `soak [MINUTES]`: load and faults on a real Envoy; at the end every counter of wrongs must be zero.
//!
//! | module | what it does |
//! |---|---|
//! | [`listener`] | Envoy with its listener in a file of its own, so that its policy can change |
//! | [`load`] | connections with tokens, half of them bad, whose verdicts are known beforehand |
//! | [`faults`] | peers that are slow, silent or gone; a service that is down |
//! | [`tally`] | what was counted, and the secrets that no log may hold |
#![forbid(unsafe_code)]

mod faults;
mod listener;
mod load;
mod tally;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tls_session_binding_e2e::Result;
use tokio::task::JoinSet;

use listener::{Policy, Scene};
use tally::Tally;

/// Connections that carry requests at the same time.
const LANES: usize = 16;
/// Time between two changes of the policy.
const POLICY_STANDS: Duration = Duration::from_secs(7);
/// Connections that are open at once, for memory to be warm.
const BURST_FIRST: usize = 50;
/// Connections that are open at once after that: as many for each minute, and no more than the last.
const BURST_PER_MINUTE: f64 = 100.0;
const BURST_LAST: f64 = 2_000.0;
/// How much Envoy may grow after it is warm: the full binding caches of its workers, twice.
const MAX_GROWTH_KIB: u64 = 128 * 1024;

#[tokio::main]
async fn main() -> ExitCode {
    match soak().await {
        Ok(tally) if tally.is_clean() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn soak() -> Result<Arc<Tally>> {
    let minutes: f64 = std::env::args()
        .nth(1)
        .map_or(Ok(1.0), |text| text.parse())?;
    let mut scene = Scene::start().await?;
    let tally = Arc::new(Tally::default());
    let deadline = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    load::burst(&scene, &tally, BURST_FIRST).await?;
    let warm = scene.memory_kib()?;
    load::burst(&scene, &tally, burst_size(minutes)).await?;
    while Instant::now() < deadline {
        for policy in [Policy::Shipped, Policy::Tight] {
            scene.apply(policy).await?;
            round(&scene, &tally, deadline.min(Instant::now() + POLICY_STANDS)).await?;
        }
    }
    scene.apply(Policy::Shipped).await?;
    faults::service_down(&mut scene, &tally).await?;
    faults::rotation(&scene, &tally).await?;
    finish(&scene, &tally, warm).await?;
    Ok(tally)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 2,000"
)]
fn burst_size(minutes: f64) -> usize {
    (minutes * BURST_PER_MINUTE).clamp(0.0, BURST_LAST) as usize
}

/// Load and faults at the same time, under one policy.
async fn round(scene: &Scene, tally: &Arc<Tally>, until: Instant) -> Result<()> {
    let mut faults = JoinSet::new();
    faults::spawn_all(&mut faults, scene.address, until);
    let lanes = (0..LANES).map(|lane| load::lane(scene, tally, lane, until));
    futures_util::future::try_join_all(lanes).await?;
    faults.abort_all();
    Ok(())
}

async fn finish(scene: &Scene, tally: &Tally, warm: u64) -> Result<()> {
    // Longer than the interval in which Envoy writes its access log.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let end = scene.memory_kib()?;
    tally.note_host_faults(scene.envoy.stat("session_binding.failed.").await?);
    tally.note_host_faults(scene.envoy.stat("vm_reload").await?);
    tally.note_secrets(&[scene.envoy.log(), scene.envoy.admin_get("/stats").await?]);
    tally.note_growth(end.saturating_sub(warm).saturating_sub(MAX_GROWTH_KIB));
    println!("memory: {warm} KiB when warm, {end} KiB at the end");
    println!("{tally}");
    Ok(())
}
