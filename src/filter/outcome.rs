//! What an admitted request takes along: filter state for access logs and RBAC, and a header for the
//! service if the operator wants one.

use crate::certificate::CertificateThumbprint;
use crate::error::{HostFault, Refusal};
use crate::policy::{Admitted, Verdict};
use crate::proof;
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

/// What was verified of an admitted request.
pub(super) struct Outcome {
    pub(super) verdict: Verdict,
    thumbprint: Option<CertificateThumbprint>,
}

impl Outcome {
    pub(super) fn of(admitted: &Admitted<'_>) -> Self {
        Self {
            verdict: admitted.verdict(),
            thumbprint: admitted.thumbprint().copied(),
        }
    }

    /// Publishes it, and takes the proof and any forged facts out of the request.
    pub(super) fn publish(&self, header: Option<&str>) -> Result<(), HostFault> {
        strip(header)?;
        let verdict = self.verdict.name();
        host::set_filter_state(VERDICT, verdict);
        match (header, &self.thumbprint) {
            // An item of RFC 9651 with a parameter.
            (Some(name), Some(thumbprint)) => {
                let thumbprint = thumbprint.to_base64url();
                host::add_request_header(name, &format!("{verdict};x5t=\"{thumbprint}\""))
            }
            _ => Ok(()),
        }
    }
}

/// Takes out of a request what the service must not take for verified.
pub(super) fn strip(header: Option<&str>) -> Result<(), HostFault> {
    host::remove_request_header(proof::HEADER)?;
    header.map_or(Ok(()), host::remove_request_header)
}

/// Has what is published of a connection last as long as it.
pub(super) fn declare() {
    host::declare_connection_state(THUMBPRINT);
}

/// Publishes which client certificate the connection has.
pub(super) fn publish_certificate(thumbprint: &CertificateThumbprint) {
    host::set_filter_state(THUMBPRINT, &thumbprint.to_base64url());
}

/// Publishes why a request is refused, or would be.
pub(super) fn publish_refusal(verdict: &str, refusal: Refusal) {
    host::set_filter_state(VERDICT, verdict);
    host::set_filter_state(REASON, refusal.reason());
}

/// Publishes which rule decides.
pub(super) fn publish_rule(rule: &Rule) {
    host::set_filter_state(RULE, &rule.name);
}
