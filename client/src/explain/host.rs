//! The host of one decision, in memory.

use std::cell::RefCell;
use std::collections::HashMap;

use tls_session_binding::decide::Host;
use tls_session_binding::error::HostFault;
use tls_session_binding::host_map::Property;

use super::{Asked, host_map};

/// What the decision about `asked` asks for.
pub(super) struct InMemory<'a> {
    asked: &'a Asked,
    memory: RefCell<HashMap<String, Vec<u8>>>,
}

impl<'a> InMemory<'a> {
    pub(super) fn new(asked: &'a Asked) -> Self {
        Self {
            asked,
            memory: RefCell::default(),
        }
    }
}

impl Host for InMemory<'_> {
    fn now(&self) -> Result<u64, HostFault> {
        Ok(self.asked.now.saturating_mul(1_000_000_000))
    }

    fn exporter(&self) -> Option<Vec<u8>> {
        Some(self.asked.exporter.clone()).filter(|value| !value.is_empty())
    }

    fn certificate(&self) -> Option<Vec<u8>> {
        Some(self.asked.certificate.clone()).filter(|value| !value.is_empty())
    }

    fn claims(&self, member: Option<&str>) -> Property {
        let claims = self.asked.claims.as_ref();
        let claims = match member {
            None => claims,
            Some(member) => claims.and_then(|claims| claims.get(member)),
        };
        claims.map_or(Property::Absent, host_map::write)
    }

    fn connection_id(&self) -> Result<u64, HostFault> {
        Ok(1)
    }

    fn shares_bindings(&self) -> bool {
        false
    }

    fn shared(&self, key: &str) -> (Vec<u8>, Option<u32>) {
        let memory = self.memory.borrow();
        let value = memory.get(key).cloned();
        let number = value.is_some().then_some(1);
        (value.unwrap_or_default(), number)
    }

    /// Nobody else writes.
    fn swap_shared(&self, key: &str, value: &[u8], _: Option<u32>) -> bool {
        let mut memory = self.memory.borrow_mut();
        memory.insert(key.to_owned(), value.to_vec());
        true
    }

    /// No host redirects here.
    fn carried(&self) -> Option<u64> {
        None
    }

    fn carry(&self, _: u64) {}
}
