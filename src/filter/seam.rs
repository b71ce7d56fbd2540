//! What a decision asks of Envoy: values that no client can write (EKM-5).

use crate::config::{Config, ConfirmationSource, PropertyPath};
use crate::decide::Host;
use crate::error::HostFault;
use crate::host_map::Property;

use super::host;

/// Filter state of the request: the number under which its proof is kept.
const CARRIED: &str = "session_binding.carried";

/// Envoy, for the request or connection whose hook is being called.
pub(super) struct Envoy<'c>(pub(super) &'c Config);

impl Host for Envoy<'_> {
    fn now(&self) -> Result<u64, HostFault> {
        let now = host::now().ok_or(HostFault::RequestUnreadable)?;
        u64::try_from(now.as_nanos()).map_err(|_| HostFault::RequestUnreadable)
    }

    fn exporter(&self) -> Option<Vec<u8>> {
        bytes(&self.0.exporter.property)
    }

    fn certificate(&self) -> Option<Vec<u8>> {
        bytes(&self.0.client_certificate.property)
    }

    fn claims(&self, member: Option<&str>) -> Property {
        match &self.0.confirmation {
            ConfirmationSource::Token => Property::Absent,
            ConfirmationSource::Property(path) => {
                let path = path.iter().map(String::as_str).chain(member);
                host::property(path.collect())
            }
        }
    }

    fn connection_id(&self) -> Result<u64, HostFault> {
        host::connection_id()
    }

    /// What is shared outlives this VM.
    fn shares_bindings(&self) -> bool {
        true
    }

    fn shared(&self, key: &str) -> (Vec<u8>, Option<u32>) {
        host::shared_data(key)
    }

    fn swap_shared(&self, key: &str, value: &[u8], cas: Option<u32>) -> bool {
        host::swap_shared_data(key, value, cas)
    }

    fn carried(&self) -> Option<u64> {
        match host::property(vec![CARRIED]) {
            Property::Bytes(bytes) => Some(u64::from_le_bytes(bytes.try_into().ok()?)),
            Property::Absent | Property::Unreadable => None,
        }
    }

    fn carry(&self, number: u64) {
        host::set_filter_state(CARRIED, &number.to_le_bytes());
    }
}

/// Has what is carried last as long as the request, so that a redirect finds it.
pub(super) fn declare() {
    host::declare_state(CARRIED, host::LifeSpan::Request);
}

fn bytes(path: &PropertyPath) -> Option<Vec<u8>> {
    match host::property(path.iter().map(String::as_str).collect()) {
        Property::Bytes(bytes) => Some(bytes),
        Property::Absent | Property::Unreadable => None,
    }
}
