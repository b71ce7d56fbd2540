//! Connections with tokens, half of them bad, whose verdicts are known beforehand.

use std::sync::Arc;
use std::time::Instant;

use http::Request;
use hyper::body::Bytes;
use tls_session_binding_client::http::{HttpVersion, Session};
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::{Outcome, present};
use tls_session_binding_e2e::party::Party;

use crate::listener::{Policy, Scene};
use crate::tally::Tally;

/// Tokens on one connection.
const TOKENS: usize = 50;

/// Opens connection after connection, each with its tokens.
pub(crate) async fn lane(
    scene: &Scene,
    tally: &Arc<Tally>,
    lane: usize,
    until: Instant,
) -> Result<()> {
    let version = if lane.is_multiple_of(2) {
        HttpVersion::Http1
    } else {
        HttpVersion::Http2
    };
    let cast = Cast {
        agent: scene.party("client", version)?,
        thief: scene.party("thief", version)?,
    };
    while Instant::now() < until {
        let connection = cast.agent.connect().await?;
        tally.note_connection();
        // Every fourth lane is churn: hardly more than handshakes.
        let tokens = if lane % 4 == 3 { 2 } else { TOKENS };
        for number in 0..tokens {
            if Instant::now() >= until {
                break;
            }
            cast.ask(scene, tally, &connection, number).await?;
        }
    }
    Ok(())
}

/// Many connections that are open at the same time, each with its tokens.
pub(crate) async fn burst(scene: &Scene, tally: &Arc<Tally>, connections: usize) -> Result<()> {
    let cast = Cast {
        agent: scene.party("client", HttpVersion::Http2)?,
        thief: scene.party("thief", HttpVersion::Http2)?,
    };
    let mut open = Vec::new();
    for _ in 0..connections {
        let connection = cast.agent.connect().await?;
        tally.note_connection();
        for number in 0..TOKENS {
            cast.ask(scene, tally, &connection, number).await?;
        }
        open.push(connection);
    }
    Ok(())
}

struct Cast {
    agent: Party,
    thief: Party,
}

impl Cast {
    /// One request, good or bad in one of several ways, and once more if it is good: the second time it
    /// is known.
    async fn ask(
        &self,
        scene: &Scene,
        tally: &Tally,
        connection: &Session,
        number: usize,
    ) -> Result<()> {
        let own = connection.exporter();
        let token = self.agent.token(&scene.issuer, &format!("user-{number}"))?;
        let proof = self.agent.proof(&token, own)?;
        let (request, expected) = match number % 8 {
            0 => (present(&token, None), refused("use_session_binding")),
            2 => {
                let other = self.agent.connect().await?;
                let proof = self.agent.proof(&token, other.exporter())?;
                tally.remember_secret(&other.exporter().to_base64url());
                (present(&token, Some(&proof)), refused("invalid_proof"))
            }
            4 => {
                let stolen = self.thief.token(&scene.issuer, "thief")?;
                let proof = self.agent.proof(&stolen, own)?;
                (present(&stolen, Some(&proof)), refused("invalid_token"))
            }
            6 => {
                let forged = self.thief.proof(&token, own)?;
                (present(&token, Some(&forged)), refused("invalid_proof"))
            }
            _ => (present(&token, Some(&proof)), passed_under(scene.policy)),
        };
        for secret in [&token, &proof, &own.to_base64url()] {
            tally.remember_secret(secret);
        }
        let times = if expected == Outcome::Passed { 2 } else { 1 };
        for _ in 0..times {
            judge(tally, connection, request.clone(), &expected).await;
        }
        Ok(())
    }
}

async fn judge(tally: &Tally, connection: &Session, request: Request<Bytes>, expected: &Outcome) {
    match connection.send_as_is(request).await {
        Ok(response) => tally.note_verdict(&Outcome::of(&response), expected),
        Err(error) => tally.note_failure(&error.to_string()),
    }
}

fn passed_under(policy: Policy) -> Outcome {
    match policy {
        Policy::Shipped => Outcome::Passed,
        Policy::Tight => refused("invalid_proof"),
    }
}

fn refused(error: &str) -> Outcome {
    Outcome::refused(error)
}

/// A request that must pass.
pub(crate) async fn genuine(
    scene: &Scene,
    tally: &Tally,
    party: &Party,
    connection: &Session,
) -> Result<()> {
    let token = party.token(&scene.issuer, "alice")?;
    let proof = party.proof(&token, connection.exporter())?;
    judge(
        tally,
        connection,
        present(&token, Some(&proof)),
        &Outcome::Passed,
    )
    .await;
    Ok(())
}

/// What must come of requests while the service is down: bad ones are refused as ever.
pub(crate) async fn while_down(scene: &Scene, tally: &Tally) -> Result<()> {
    let agent = scene.party("client", HttpVersion::Http1)?;
    let connection = agent.connect().await?;
    let token = agent.token(&scene.issuer, "alice")?;
    let proof = agent.proof(&token, connection.exporter())?;
    judge(
        tally,
        &connection,
        present(&token, Some(&proof)),
        &Outcome::Status(503),
    )
    .await;
    judge(
        tally,
        &connection,
        present(&token, None),
        &refused("use_session_binding"),
    )
    .await;
    Ok(())
}
