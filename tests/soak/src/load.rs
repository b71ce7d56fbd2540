//! Load that goes on while things happen to Envoy.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::Result;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cast::Cast;
use crate::faults;
use crate::stage::{Judged, Stage};

/// Tokens on one connection, half of them bad.
pub(crate) const TOKENS: usize = 50;
/// Connections that carry requests with all of their tokens.
const LANES: usize = 8;
/// Lanes that hardly do more than handshakes.
const CHURN: usize = 8;
/// Tokens on a connection of these: one bad, one good.
const CHURN_TOKENS: usize = 2;
/// Connections of one cast: the first handshake is full, the others are resumed.
const CONNECTIONS: usize = 8;
const PAUSE: Duration = Duration::from_millis(50);
/// Time for every lane to finish what it is at.
const END_LIMIT: Duration = Duration::from_mins(1);

/// Lanes and faults, until they are told to end.
pub(crate) struct Load {
    tasks: JoinSet<Result<()>>,
    end: watch::Sender<bool>,
}

impl Load {
    pub(crate) fn start(stage: &Arc<Stage>) -> Self {
        let (end, is_over) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for lane in 0..LANES + CHURN {
            let tokens = if lane < LANES { TOKENS } else { CHURN_TOKENS };
            let lane = run(Arc::clone(stage), version(lane), tokens, is_over.clone());
            tasks.spawn(lane);
        }
        faults::spawn_all(&mut tasks, stage, &is_over);
        Self { tasks, end }
    }

    /// Ends it.
    pub(crate) async fn end(self) -> Result<()> {
        self.end.send_replace(true);
        self.finish().await
    }

    /// Waits until every lane has found the door closed.
    pub(crate) async fn finish(mut self) -> Result<()> {
        let all = async {
            while let Some(task) = self.tasks.join_next().await {
                task??;
            }
            Ok(())
        };
        tokio::time::timeout(END_LIMIT, all)
            .await
            .map_err(|_| "the load does not end")?
    }
}

/// HTTP/1.1 and HTTP/2 in turn.
fn version(lane: usize) -> HttpVersion {
    if lane.is_multiple_of(2) {
        HttpVersion::Http1
    } else {
        HttpVersion::Http2
    }
}

/// Opens connection after connection, each with its tokens.
async fn run(
    stage: Arc<Stage>,
    version: HttpVersion,
    tokens: usize,
    is_over: watch::Receiver<bool>,
) -> Result<()> {
    while !*is_over.borrow() {
        let certificates = stage.certificates();
        let turn = turn(&stage, version, tokens, &is_over).await;
        let has_failed = turn.is_err();
        tolerate(&stage, certificates, turn).await?;
        if has_failed && stage.leaves() {
            break;
        }
    }
    Ok(())
}

/// Connections may fail that were tried with certificates which are no more, and while Envoy leaves.
pub(crate) async fn tolerate(stage: &Stage, certificates: u64, turn: Result<()>) -> Result<()> {
    let are_changed = certificates % 2 == 1 || certificates != stage.certificates();
    if turn.is_err() && (are_changed || stage.leaves()) {
        tokio::time::sleep(PAUSE).await;
        return Ok(());
    }
    turn
}

async fn turn(
    stage: &Stage,
    version: HttpVersion,
    tokens: usize,
    is_over: &watch::Receiver<bool>,
) -> Result<()> {
    let cast = Cast::new(stage, version, tokens).await?;
    for _ in 0..CONNECTIONS {
        let connection = stage.open(&cast.client).await?;
        cast.ask(stage, &connection).await?;
        if *is_over.borrow() {
            break;
        }
    }
    Ok(())
}

/// Connections that are open at the same time.
pub(crate) struct Held {
    cast: Arc<Cast>,
    connections: Vec<Judged>,
}

impl Held {
    /// Opens them, and asks on each with all of its tokens.
    pub(crate) async fn open(stage: &Arc<Stage>, connections: usize) -> Result<Self> {
        let cast = Arc::new(Cast::new(stage, HttpVersion::Http2, TOKENS).await?);
        let mut lanes = JoinSet::new();
        for lane in 0..LANES {
            let (stage, cast) = (Arc::clone(stage), Arc::clone(&cast));
            let share = (lane..connections).step_by(LANES).len();
            lanes.spawn(async move {
                let mut open = Vec::new();
                for _ in 0..share {
                    let connection = stage.open(&cast.client).await?;
                    cast.ask(&stage, &connection).await?;
                    open.push(connection);
                }
                Ok::<_, tls_session_binding_e2e::Error>(open)
            });
        }
        let mut connections = Vec::new();
        while let Some(lane) = lanes.join_next().await {
            connections.extend(lane??);
        }
        Ok(Self { cast, connections })
    }

    /// Asks once more on each; how many are open after that.
    pub(crate) async fn ask(&self, stage: &Stage) -> Result<usize> {
        let connections = self.connections.iter();
        let asked = connections.map(|connection| self.cast.ask(stage, connection));
        let is_open = stream::iter(asked).buffer_unordered(LANES);
        let is_open: Vec<bool> = is_open.try_collect().await?;
        Ok(is_open.into_iter().filter(|is_open| *is_open).count())
    }

    /// How many Envoy has not closed.
    pub(crate) fn open_ones(&self) -> usize {
        let is_open = |connection: &&Judged| !connection.session.is_closed();
        self.connections.iter().filter(is_open).count()
    }
}
