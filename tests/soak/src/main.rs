//! `soak [MINUTES]`: load and faults on a real Envoy; at the end every counter of wrongs must be zero.
//!
//! | module | what it does |
//! |---|---|
//! | [`scene`] | Envoy, its listener in a file, its successor after a hot restart |
//! | [`stage`] | what everybody who asks shares |
//! | [`cast`] | requests whose verdicts are known beforehand, half of them bad |
//! | [`load`] | lanes of connections; connections that are held open |
//! | [`faults`] | peers that are slow, silent, half closed or gone |
//! | [`outages`] | a service that is down; certificates that are replaced |
//! | [`tally`] [`secrets`] | what was counted; what no log may hold |
#![forbid(unsafe_code)]

mod cast;
mod faults;
mod load;
mod outages;
mod scene;
mod secrets;
mod stage;
mod tally;

use std::fs::File;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tls_session_binding_e2e::Result;

use load::{Held, Load};
use scene::{DRAIN, Scene};
use stage::Policy;

/// Time until no connection of an earlier policy is open, and under the new one alone.
const DRAINED: Duration = DRAIN.saturating_add(Duration::from_secs(3));
const STANDS: Duration = Duration::from_secs(5);
/// Time for Envoy to write its access log, and to see that connections have closed.
const SETTLE: Duration = Duration::from_secs(2);
/// Connections that are open at once, for memory to be warm.
const WARM: usize = 50;
/// Connections that are held: as many for each minute, and no more than the last.
const HELD_PER_MINUTE: f64 = 100.0;
const HELD_LAST: f64 = 2_000.0;
/// Connections in all, for each minute: 100,000 in 20.
const CONNECTIONS_PER_MINUTE: f64 = 5_000.0;
/// How much Envoy may grow: the full binding caches of its workers, twice.
const MAX_GROWTH_KIB: u64 = 128 * 1024;
/// And for each held connection, while it is held.
const MAX_HELD_KIB: u64 = 128;

#[tokio::main]
async fn main() -> ExitCode {
    match soak().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing went wrong.
async fn soak() -> Result<bool> {
    let minutes: f64 = std::env::args()
        .nth(1)
        .map_or(Ok(1.0), |text| text.parse())?;
    let mut scene = Scene::start().await?;
    let stage = Arc::clone(&scene.stage);
    if let Err(error) = course(&mut scene, minutes).await {
        stage.tally.note_failure(&error.to_string());
    }
    for log in scene.logs() {
        stage.tally.search(File::open(log)?)?;
    }
    let connections = whole(minutes * CONNECTIONS_PER_MINUTE, f64::MAX);
    stage.tally.require_connections(connections as u64);
    println!("{}", stage.tally);
    Ok(stage.tally.is_clean())
}

async fn course(scene: &mut Scene, minutes: f64) -> Result<()> {
    let begin = Instant::now();
    let at = |part: f64| begin + Duration::from_secs_f64(minutes * 60.0 * part);
    let stage = Arc::clone(&scene.stage);

    held_connections(scene, whole(minutes * HELD_PER_MINUTE, HELD_LAST)).await?;
    let load = Load::start(&stage);
    changing_policy(scene, at(0.4)).await?;
    println!("the service is down; certificates are replaced");
    outages::service_down(scene).await?;
    outages::rotation(scene).await?;
    println!("hot restart");
    scene.restart().await?;
    let warm = scene.memory_kib()?;
    changing_policy(scene, at(1.0)).await?;
    load.end().await?;
    stage.set_drains(false);
    bounded("after the hot restart", scene, warm, MAX_GROWTH_KIB)?;
    nothing_is_kept(scene).await?;
    leave(scene).await
}

/// Opens many connections with many tokens. They are judged by the policy that they were opened under,
/// and none of them outlives the drain when the policy changes.
async fn held_connections(scene: &Scene, connections: usize) -> Result<()> {
    let stage = &scene.stage;
    println!("connections are held");
    drop(Held::open(stage, WARM).await?);
    let warm = scene.memory_kib()?;
    let held = Held::open(stage, connections).await?;
    if held.ask(stage).await? < connections {
        stage
            .tally
            .note_failure("Envoy has closed held connections");
    }
    let bound = MAX_GROWTH_KIB + MAX_HELD_KIB * connections as u64;
    bounded("with held connections", scene, warm, bound)?;
    scene.apply(Policy::Tight).await?;
    tokio::time::sleep(DRAINED).await;
    let left = held.open_ones();
    if left > 0 {
        let wrong = format!("{left} connections outlive the policy they were opened under");
        stage.tally.note_failure(&wrong);
    }
    drop(held);
    scene.apply(Policy::Shipped).await
}

/// Changes the policy under load.
async fn changing_policy(scene: &Scene, until: Instant) -> Result<()> {
    println!("the policy changes under load");
    for policy in [Policy::Tight, Policy::Shipped].into_iter().cycle() {
        if Instant::now() >= until && policy == Policy::Tight {
            break;
        }
        scene.apply(policy).await?;
        tokio::time::sleep(DRAINED).await;
        scene.stage.set_drains(false);
        tokio::time::sleep(STANDS).await;
    }
    Ok(())
}

/// When all connections are closed, no verified binding is held.
async fn nothing_is_kept(scene: &Scene) -> Result<()> {
    tokio::time::sleep(SETTLE).await;
    let bindings = scene.envoy.stat("session_binding.cache.bindings").await?;
    if bindings > 0 {
        let wrong = format!("{bindings} bindings are held without a connection");
        scene.stage.tally.note_failure(&wrong);
    }
    Ok(())
}

/// Drains the listener under load and ends Envoy while connections are open.
async fn leave(scene: &mut Scene) -> Result<()> {
    println!("Envoy drains and gets SIGTERM");
    let stage = Arc::clone(&scene.stage);
    let load = Load::start(&stage);
    let held = Held::open(&stage, WARM).await?;
    stage.set_drains(true);
    stage.set_leaves();
    scene.envoy.admin_post("/drain_listeners?graceful").await?;
    load.finish().await?;
    tokio::time::sleep(SETTLE).await;
    stage
        .tally
        .note_host_faults(scene.envoy.stat("session_binding.failed.").await?);
    stage
        .tally
        .note_host_faults(scene.envoy.stat("vm_reload").await?);
    let statistics = scene.envoy.admin_get("/stats").await?;
    stage.tally.search(statistics.as_bytes())?;
    match scene.envoy.terminate() {
        Some(status) if status.success() => {}
        status => stage
            .tally
            .note_failure(&format!("Envoy ended with {status:?}")),
    }
    drop(held);
    Ok(())
}

fn bounded(when: &str, scene: &Scene, warm: u64, bound: u64) -> Result<()> {
    let now = scene.memory_kib()?;
    let growth = now.saturating_sub(warm);
    println!("memory {when}: {warm} KiB, then {now} KiB; may grow by {bound} KiB");
    scene.stage.tally.note_growth(growth.saturating_sub(bound));
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and rounded down"
)]
fn whole(number: f64, most: f64) -> usize {
    number.clamp(0.0, most) as usize
}
