//! One reading of the files: what the connections opened since then use.

use std::ops::Range;
use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, Connection, Error, RootCertStore, ServerConfig,
    ServerConnection,
};
use rustls_pki_types::ServerName;
use tls_session_binding_client::CertificateThumbprint;
use tls_session_binding_client::signer::Signer;

use crate::config::{Config, Direction, Mistakes};
use crate::files::{Contents, Unusable};
use crate::log;
use crate::open::Connections;
use crate::verifier::{ClientVerifier, Memo, Recheck, ServerVerifier, Trust, no_name};

mod authorities;
mod material;

pub(crate) use authorities::usable;
use authorities::{Lists, Material};
use material::{certified_key, end_of, mistake, validity};

/// Identity, authorities and lists as they were when the files were read.
///
/// Tickets and stored sessions belong to it: a session of an earlier generation is not resumed.
pub struct Generation {
    role: Role,
    recheck: Arc<dyn Recheck>,
    validity: Range<u64>,
    /// When the lists of each file end.
    crls_end: Vec<u64>,
    warnings: Vec<String>,
    connections: Arc<Connections>,
}

/// Programs renew a certificate at half of its life: a connection that lives longer may outlive it.
fn outlived(config: &Config, validity: &Range<u64>) -> Option<String> {
    let bound = config.max_connection_duration?.as_secs();
    let half = validity.end.saturating_sub(validity.start) / 2;
    (half < bound).then(|| {
        format!("max_connection_duration: {bound}s are longer than half of the certificate's life, {half}s")
    })
}

enum Role {
    Server(Arc<ServerConfig>),
    Client {
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        /// None if no algorithm of proofs fits the key.
        signer: Option<Arc<Signer>>,
        identity: CertificateThumbprint,
    },
}

impl Generation {
    /// Makes what connections need out of the configuration and the contents of its files.
    ///
    /// # Errors
    /// What is wrong with the files; nothing of a private key is in the text.
    pub fn new(
        config: &Config,
        direction: Direction,
        contents: &Contents,
    ) -> Result<Self, Unusable> {
        let provider = Arc::new(config.tls.provider());
        let key = Arc::new(certified_key(contents, &provider)?);
        let validity = validity(&key)?;
        let material = Material::read(config, contents)?;
        let mut warnings = material.warnings.clone();
        warnings.extend(outlived(config, &validity));
        let crls_end = contents.crls.iter().map(|pem| end_of(pem)).collect();
        let (role, recheck) = match direction {
            Direction::Downstream => server(config, provider, key, &material)?,
            Direction::Upstream => client(config, provider, key, &material)?,
        };
        Ok(Self {
            role,
            recheck,
            validity,
            crls_end,
            warnings,
            connections: Arc::default(),
        })
    }

    /// A new connection.
    ///
    /// # Errors
    /// When rustls refuses its own configuration, which loading rules out.
    pub fn open(&self) -> Result<Connection, Error> {
        match &self.role {
            Role::Server(config) => {
                ServerConnection::new(Arc::clone(config)).map(Connection::Server)
            }
            Role::Client { config, name, .. } => {
                ClientConnection::new(Arc::clone(config), name.clone()).map(Connection::Client)
            }
        }
    }

    /// With the connections of earlier generations.
    #[must_use]
    pub fn among(self, connections: &Arc<Connections>) -> Self {
        Self {
            connections: Arc::clone(connections),
            ..self
        }
    }

    /// The connections that trust in the other end may be withdrawn from.
    #[must_use]
    pub fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// What verifies the certificates of resumed sessions and of open connections.
    #[must_use]
    pub fn recheck(&self) -> &Arc<dyn Recheck> {
        &self.recheck
    }

    /// What signs the proofs of connections to a server; none on the other side, or if the key cannot.
    #[must_use]
    pub fn signer(&self) -> Option<&Arc<Signer>> {
        match &self.role {
            Role::Client { signer, .. } => signer.as_ref(),
            Role::Server(_) => None,
        }
    }

    /// The certificate that connections to a server show, whatever its key; none on the other side.
    #[must_use]
    pub fn identity(&self) -> Option<&CertificateThumbprint> {
        match &self.role {
            Role::Client { identity, .. } => Some(identity),
            Role::Server(_) => None,
        }
    }

    /// Which end of its connections this is.
    #[must_use]
    pub fn direction(&self) -> Direction {
        match self.role {
            Role::Server(_) => Direction::Downstream,
            Role::Client { .. } => Direction::Upstream,
        }
    }

    /// What an operator should know of the files, though they are in use.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// When the own certificate is valid, in seconds since the epoch.
    #[must_use]
    pub fn validity(&self) -> &Range<u64> {
        &self.validity
    }

    /// When the revocation lists of each file end, in seconds since the epoch.
    #[must_use]
    pub fn crls_end(&self) -> &[u64] {
        &self.crls_end
    }
}

fn server(
    config: &Config,
    provider: Arc<CryptoProvider>,
    key: Arc<CertifiedKey>,
    material: &Material,
) -> Result<(Role, Arc<dyn Recheck>), Mistakes> {
    let verifier = |roots, lists| {
        let made = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .with_crls(lists)
            .enforce_revocation_expiration()
            .build();
        made.map_err(|error| mistake("peer", error))
    };
    let trust = trust(config, &provider, material, verifier)?;
    let hints = material.roots().flat_map(RootCertStore::subjects).collect();
    let presence = config.peer.certificate;
    let verifier = Arc::new(ClientVerifier::new(trust, presence, hints));
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&config.tls.versions)
        .map_err(|error| mistake("tls", error))?
        .with_client_cert_verifier(Arc::clone(&verifier) as _)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    server.alpn_protocols = alpn(config);
    // The configured order decides, not the client's: see `tls::CIPHER_SUITES`.
    server.ignore_client_order = true;
    // Without the extended master secret an exporter value of TLS 1.2 binds nothing (RFC 9266).
    server.require_ems = true;
    // Sessions live in tickets alone: nothing grows with their number.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    if config.tls.resumption {
        server.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| mistake("tls", error))?;
    } else {
        server.send_tls13_tickets = 0;
    }
    Ok((Role::Server(Arc::new(server)), verifier))
}

fn client(
    config: &Config,
    provider: Arc<CryptoProvider>,
    key: Arc<CertifiedKey>,
    material: &Material,
) -> Result<(Role, Arc<dyn Recheck>), Mistakes> {
    let leaf = key
        .end_entity_cert()
        .map_err(|error| mistake("identity", error))?;
    let identity = CertificateThumbprint::of_der(leaf);
    // A cluster without prover needs none.
    let signer = Signer::new(Arc::clone(&key))
        .inspect_err(|error| {
            log::warn(&format!(
                "identity.private_key: {error}: requests that need a proof are refused"
            ));
        })
        .ok();
    let verifier = |roots, lists| {
        let made = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .with_crls(lists)
            .enforce_revocation_expiration()
            .build();
        made.map_err(|error| mistake("peer", error))
    };
    let trust = trust(config, &provider, material, verifier)?;
    let name = config.peer.server_name.clone();
    let verifier = Arc::new(ServerVerifier::new(trust, name.clone()));
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&config.tls.versions)
        .map_err(|error| mistake("tls", error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    client.alpn_protocols = alpn(config);
    client.require_ems = true;
    if !config.tls.resumption {
        client.resumption = Resumption::disabled();
    }
    let name = config.peer.sni.clone().or(name).unwrap_or_else(no_name);
    let role = Role::Client {
        config: Arc::new(client),
        name,
        signer: signer.map(Arc::new),
        identity,
    };
    Ok((role, verifier))
}

fn trust<V: ?Sized>(
    config: &Config,
    provider: &CryptoProvider,
    material: &Material,
    verifier: impl Fn(Arc<RootCertStore>, Lists) -> Result<Arc<V>, Mistakes>,
) -> Result<Trust<V>, Mistakes> {
    Ok(Trust {
        authorities: material.authorities(verifier)?,
        allow: config.peer.allow.clone(),
        algorithms: provider.signature_verification_algorithms,
        memo: Memo::new(&material.lists),
    })
}

fn alpn(config: &Config) -> Vec<Vec<u8>> {
    config
        .tls
        .alpn
        .iter()
        .map(|name| name.clone().into_bytes())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_on_connections_that_is_longer_than_half_of_the_certificates_life_is_a_warning() {
        let warning = |bound: &str, life: u64| {
            let json = format!(
                r#"{{"identity": {{"certificate_chain": "a", "private_key": "b"}}, "peer": {{"ca": "c"}} {bound}}}"#
            );
            let config = Config::parse(json.as_bytes(), Direction::Downstream).unwrap();
            outlived(&config, &(1_000..1_000 + life))
        };
        let bounded = r#", "max_connection_duration": "600s""#;
        assert_eq!(warning("", 10), None);
        assert_eq!(warning(bounded, 1_200), None);
        assert!(warning(bounded, 1_199).unwrap().contains("599s"));
    }
}
