//! What the host knows, read when it is needed, and once.

use std::cell::OnceCell;

use super::host::Host;
use crate::claims::TokenClaims;
use crate::config::{Config, ConfirmationSource};
use crate::error::{HostFault, Refusal};
use crate::exporter::ExporterValue;
use crate::host_map::{HostMap, Property};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The facts of one request.
pub(super) struct Facts<'a, H> {
    host: &'a H,
    config: &'a Config,
    nanos: OnceCell<Result<u64, HostFault>>,
    exporter: OnceCell<Result<ExporterValue, HostFault>>,
    certificate: OnceCell<Option<Vec<u8>>>,
    claims: OnceCell<Result<Option<TokenClaims>, Refusal>>,
}

impl<'a, H: Host> Facts<'a, H> {
    pub(super) const fn new(host: &'a H, config: &'a Config) -> Self {
        Self {
            host,
            config,
            nanos: OnceCell::new(),
            exporter: OnceCell::new(),
            certificate: OnceCell::new(),
            claims: OnceCell::new(),
        }
    }

    /// The wall clock when the request was judged, in nanoseconds since 1970.
    pub(super) fn nanos(&self) -> Result<u64, HostFault> {
        *self.nanos.get_or_init(|| self.host.now())
    }

    /// The same in seconds.
    pub(super) fn now(&self) -> Result<u64, HostFault> {
        Ok(self.nanos()? / NANOS_PER_SECOND)
    }

    /// The connection's exporter value.
    pub(super) fn exporter(&self) -> Result<&ExporterValue, HostFault> {
        let read = || {
            let text = self.host.exporter().ok_or(HostFault::ExporterMissing)?;
            ExporterValue::parse(&text, self.config.exporter.encoding)
        };
        let exporter = self.exporter.get_or_init(read);
        exporter.as_ref().map_err(|&fault| fault)
    }

    /// The connection's client certificate, as the host shows it.
    pub(super) fn shown_certificate(&self) -> Option<&[u8]> {
        let certificate = self.certificate.get_or_init(|| self.host.certificate());
        certificate.as_deref()
    }

    /// Whether another filter says the token's claims.
    pub(super) fn are_claims_by_host(&self) -> bool {
        self.config.confirmation != ConfirmationSource::Token
    }

    /// The claims that another filter verified; `None` if there are none.
    pub(super) fn claims(&self) -> Result<Option<&TokenClaims>, Refusal> {
        let claims = self.claims.get_or_init(|| self.read_claims());
        claims.as_ref().map(Option::as_ref).map_err(|&fault| fault)
    }

    /// All in one call. Where the host cannot write the whole, because some other claim in it has no value,
    /// it can still write the members that count.
    fn read_claims(&self) -> Result<Option<TokenClaims>, Refusal> {
        match self.host.claims(None) {
            Property::Absent => Ok(None),
            Property::Bytes(bytes) => {
                // A map that begins as JSON does would be longer than any property.
                let Some(map) = HostMap::parse(&bytes) else {
                    return Ok(Some(TokenClaims::from_json(&bytes)?));
                };
                let member = |name: &str| match map.get(name) {
                    None => Property::Absent,
                    Some(bytes) => Property::Bytes(bytes.to_vec()),
                };
                TokenClaims::from_host(member).map(Some)
            }
            Property::Unreadable => {
                TokenClaims::from_host(|name| self.host.claims(Some(name))).map(Some)
            }
        }
    }
}
