//! What an admitted request takes along: filter state for access logs and RBAC, and a header for the
//! service if the operator wants one.

use crate::decide::Admitted;
use crate::digest::CertificateThumbprint;
use crate::error::{HostFault, Refusal};
use crate::request::own_names;
use crate::rule::Rule;

use super::host;

/// Filter state: how the request is bound, or `refused`, or `observed`.
const VERDICT: &str = "session_binding.verdict";

/// Filter state: why it is refused, or would be.
const REASON: &str = "session_binding.reason";

/// Filter state: the rule that decided, where there are rules.
const RULE: &str = "session_binding.rule";

/// Filter state of the connection: `x5t#S256` of its client certificate. It is there from the first request
/// with a bound token on, whatever becomes of that and of later ones.
const THUMBPRINT: &str = "session_binding.thumbprint";

/// The lines of a request's headers or trailers that the service must not take for verified.
#[derive(Default)]
pub(super) struct Present<'a>(Vec<&'a str>);

impl<'a> Present<'a> {
    /// Looks for the proof, and for the header that tells the service what was verified, in every spelling
    /// that a service may take for it.
    pub(super) fn among(
        lines: impl Iterator<Item = (&'a str, &'a [u8])>,
        verified_header: Option<&str>,
    ) -> Self {
        Self(own_names(lines.map(|(name, _)| name), verified_header))
    }

    /// Takes them out. What is not there is not removed: a removal makes Envoy select the route again.
    pub(super) fn remove(&self, block: host::Block) -> Result<(), HostFault> {
        self.0
            .iter()
            .try_for_each(|name| host::remove_request_line(block, name))
    }
}

/// Publishes what an admitted request is.
pub(super) fn publish(admitted: &Admitted, header: Option<&str>) -> Result<(), HostFault> {
    host::set_filter_state(VERDICT, admitted.verdict().name().as_bytes());
    match header.zip(admitted.header_value()) {
        Some((name, value)) => host::add_request_header(name, &value),
        None => Ok(()),
    }
}

/// Has what is published of a connection last as long as it.
pub(super) fn declare() {
    host::declare_state(THUMBPRINT, host::LifeSpan::Connection);
}

/// Publishes which client certificate the connection has.
pub(super) fn publish_certificate(thumbprint: &CertificateThumbprint) {
    host::set_filter_state(THUMBPRINT, thumbprint.to_base64url().as_bytes());
}

/// Publishes why a request is refused, or would be.
pub(super) fn publish_refusal(verdict: &str, refusal: Refusal) {
    host::set_filter_state(VERDICT, verdict.as_bytes());
    host::set_filter_state(REASON, refusal.reason().as_bytes());
}

/// Publishes which rule decides.
pub(super) fn publish_rule(rule: &Rule) {
    host::set_filter_state(RULE, rule.name.as_bytes());
}
