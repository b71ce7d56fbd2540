//! What a decision asks of the module: values that no client can write (EKM-5).

use std::rc::Rc;

use tls_session_binding::config::{Config, ConfirmationSource, PropertyPath};
use tls_session_binding::decide::Host;
use tls_session_binding::error::HostFault;
use tls_session_binding::host_map::Property;

use super::{LifeSpan, Request, filter_state_key, keep, nanos};
use crate::downstream::{CONNECTIONS, Downstream};
use crate::publish;

/// Filter state of the request: the number under which its proof is kept.
const CARRIED: &str = "wasm.session_binding.carried";

/// A connection, and the request on it that is judged; none when it ends.
pub(super) struct Connection<'a> {
    config: &'a Config,
    id: Option<u64>,
    facts: Option<Rc<Downstream>>,
    request: Option<&'a dyn Request>,
}

impl<'a> Connection<'a> {
    /// The connection of a request.
    pub(super) fn of(config: &'a Config, request: &'a dyn Request) -> Self {
        let id = request.connection_id();
        Self {
            config,
            id,
            facts: id.and_then(|id| CONNECTIONS.recall(id)),
            request: Some(request),
        }
    }

    /// A connection that ends.
    pub(super) const fn ending(config: &'a Config, id: u64, facts: Rc<Downstream>) -> Self {
        Self {
            config,
            id: Some(id),
            facts: Some(facts),
            request: None,
        }
    }

    /// What the module itself publishes comes from its memory alone, whatever filter state says; other keys
    /// are other carriers'.
    fn read(
        &self,
        path: &PropertyPath,
        own: &str,
        recall: impl FnOnce(&Downstream) -> Vec<u8>,
    ) -> Option<Vec<u8>> {
        let key = filter_state_key(path)?;
        if key == own {
            return self.facts.as_deref().map(recall);
        }
        self.request?.filter_state(key)
    }
}

impl Host for Connection<'_> {
    fn now(&self) -> Result<u64, HostFault> {
        nanos().ok_or(HostFault::RequestUnreadable)
    }

    fn exporter(&self) -> Option<Vec<u8>> {
        self.read(&self.config.exporter.property, publish::EXPORTER, |facts| {
            facts.exporter.to_base64url().into_bytes()
        })
    }

    fn certificate(&self) -> Option<Vec<u8>> {
        let property = &self.config.client_certificate.property;
        self.read(property, publish::CLIENT_CERTIFICATE, |facts| {
            facts.published_certificate.clone().into_bytes()
        })
    }

    /// One text holds all members.
    fn claims(&self, member: Option<&str>) -> Property {
        let (ConfirmationSource::Property(path), None) = (&self.config.confirmation, member) else {
            return Property::Absent;
        };
        let key = filter_state_key(path);
        let claims = key.and_then(|key| self.request?.filter_state(key));
        match claims {
            Some(claims) if !claims.is_empty() => Property::Bytes(claims),
            _ => Property::Absent,
        }
    }

    fn connection_id(&self) -> Result<u64, HostFault> {
        self.id.ok_or(HostFault::RequestUnreadable)
    }

    /// No other worker sees the connection, and nothing outlives this one's memory but the process.
    fn shares_bindings(&self) -> bool {
        false
    }

    fn shared(&self, key: &str) -> (Vec<u8>, Option<u32>) {
        (keep::recall(key), None)
    }

    fn swap_shared(&self, key: &str, value: &[u8], _cas: Option<u32>) -> bool {
        keep::remember(key, value);
        true
    }

    fn carried(&self) -> Option<u64> {
        let number = self.request?.filter_state(CARRIED)?;
        Some(u64::from_le_bytes(number.try_into().ok()?))
    }

    fn carry(&self, number: u64) {
        if let Some(request) = self.request {
            request.set_filter_state(CARRIED, &number.to_le_bytes(), LifeSpan::Request);
        }
    }
}
