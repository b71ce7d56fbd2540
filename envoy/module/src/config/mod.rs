//! Configuration of a transport socket: JSON in, validated values out.

pub mod allow;
pub mod peer;
pub mod prover;
mod section;
pub mod tls;

use std::path::PathBuf;
use std::time::Duration;

pub use section::Mistakes;
use section::{Section, read_object};

use peer::Peer;
use tls::Tls;

/// Which end of a connection the socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Accepts connections: a TLS server.
    Downstream,
    /// Makes connections: a TLS client.
    Upstream,
}

/// What one transport socket is configured to do.
#[derive(Debug)]
pub struct Config {
    /// Own certificate and key.
    pub identity: Identity,
    /// Whom the other end must be.
    pub peer: Peer,
    /// TLS itself.
    pub tls: Tls,
    /// Whether files that are not there yet are waited for, with every handshake refused meanwhile.
    pub await_files: bool,
    /// What Envoy bounds the life of connections to, for a warning when a certificate lives shorter.
    pub max_connection_duration: Option<Duration>,
}

/// Files that hold the own certificate and its key.
#[derive(Debug)]
pub struct Identity {
    /// PEM, the leaf first.
    pub certificate_chain: PathBuf,
    /// PEM: PKCS#8, PKCS#1 or SEC1.
    pub private_key: PathBuf,
}

impl Config {
    /// Reads and validates the JSON of `transport_socket_config`.
    ///
    /// # Errors
    /// All mistakes at once, each with the path of its key.
    pub fn parse(json: &[u8], direction: Direction) -> Result<Self, Mistakes> {
        read_object(json, |config| {
            let identity = identity(&mut config.section("identity"));
            let peer = Peer::read(&mut config.section("peer"), direction);
            let tls = Tls::read(&mut config.section("tls"), direction);
            let await_files = config.value("await_files", "true or false");
            let max_connection_duration = prover::seconds(config, "max_connection_duration");
            Some(Self {
                identity: identity?,
                peer,
                tls,
                await_files: await_files.unwrap_or(false),
                max_connection_duration,
            })
        })
    }
}

fn identity(section: &mut Section<'_>) -> Option<Identity> {
    let certificate_chain = section.required("certificate_chain", "the path of a PEM file");
    let private_key = section.required("private_key", "the path of a PEM file");
    Some(Identity {
        certificate_chain: certificate_chain?,
        private_key: private_key?,
    })
}

#[cfg(test)]
mod tests;
