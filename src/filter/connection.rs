//! What the host knows of the connection and of the token: values that no client can write (EKM-5).

use std::cell::OnceCell;

use crate::access_token::TokenClaims;
use crate::certificate::ClientCertificate;
use crate::config::{Config, ConfirmationSource, PropertyPath};
use crate::confirmation::{Confirmation, UNSUPPORTED_MEMBERS};
use crate::error::{HostFault, Refusal};
use crate::exporter::ExporterValue;
use crate::policy::Presented;
use crate::verify::Connection;

use super::host;
use super::outcome;
use super::root::Plugin;

/// The connection of one request: what the host knows of it is read when it is needed, and once.
pub(super) struct Downstream<'p> {
    plugin: &'p Plugin,
    exporter: OnceCell<Result<ExporterValue, HostFault>>,
}

impl<'p> Downstream<'p> {
    pub(super) const fn new(plugin: &'p Plugin) -> Self {
        Self {
            plugin,
            exporter: OnceCell::new(),
        }
    }

    /// Its exporter value.
    pub(super) fn exporter(&self) -> Result<&ExporterValue, HostFault> {
        let read = || exporter(&self.plugin.config);
        self.exporter
            .get_or_init(read)
            .as_ref()
            .map_err(|&fault| fault)
    }

    /// All of it. Neither of both ever changes, so a certificate that something was verified with on this
    /// connection is not read again.
    pub(super) fn read(&self) -> Result<Connection, Refusal> {
        let exporter = *self.exporter()?;
        let known = self.plugin.bindings.certificate(&exporter);
        let certificate = known.map_or_else(|| certificate(&self.plugin.config), Ok)?;
        Ok(Connection {
            exporter,
            certificate,
        })
    }
}

/// Reads the client certificate, and publishes which one it is.
fn certificate(config: &Config) -> Result<ClientCertificate, Refusal> {
    let source = &config.client_certificate;
    let property = read_property(&source.property).ok_or(HostFault::CertificateMissing)?;
    let certificate = ClientCertificate::parse(&property, source.encoding)?;
    outcome::publish_certificate(certificate.thumbprint());
    Ok(certificate)
}

/// Reads the connection's exporter value.
pub(super) fn exporter(config: &Config) -> Result<ExporterValue, HostFault> {
    let text = read_property(&config.exporter.property).ok_or(HostFault::ExporterMissing)?;
    ExporterValue::parse(&text, config.exporter.encoding)
}

/// Whether the host says which certificate the client has.
pub(super) fn has_certificate(config: &Config) -> bool {
    read_property(&config.client_certificate.property).is_some()
}

/// Reads what binding needs of the presented token's claims, from where the configuration says.
pub(super) fn claims(
    presented: &Presented<'_>,
    source: &ConfirmationSource,
) -> Result<TokenClaims, Refusal> {
    match source {
        ConfirmationSource::Token => Ok(presented.token.claims()?),
        ConfirmationSource::Property(path) => claims_at(path),
    }
}

/// Reads claims that another filter verified and published as a map: `cnf` member by member, since the
/// host gives no map as a whole. `exp` is that filter's to judge.
fn claims_at(path: &PropertyPath) -> Result<TokenClaims, Refusal> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    if !host::has_property(&path) {
        return Err(HostFault::ConfirmationSourceMissing.into());
    }
    let member_path = |member| [&path[..], &["cnf", member]].concat();
    let text = |member| {
        let path = member_path(member);
        host::has_property(&path).then(|| host::property(&path).unwrap_or_default())
    };
    let unsupported = UNSUPPORTED_MEMBERS
        .iter()
        .any(|member| host::has_property(&member_path(member)));
    let confirmation = Confirmation::from_members(
        text("x5t#S256").as_deref(),
        text("tls_exp").as_deref(),
        unsupported,
    )?;
    Ok(TokenClaims {
        expires: None,
        confirmation,
    })
}

fn read_property(path: &PropertyPath) -> Option<Vec<u8>> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    host::property(&path)
}
