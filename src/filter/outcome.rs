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

/// Filter state: `x5t#S256` of the client certificate that the token is bound to.
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
        let Some(thumbprint) = &self.thumbprint else {
            return Ok(());
        };
        let thumbprint = thumbprint.to_base64url();
        host::set_filter_state(THUMBPRINT, &thumbprint);
        match header {
            // An item of RFC 9651 with a parameter.
            Some(name) => {
                host::add_request_header(name, &format!("{verdict};x5t=\"{thumbprint}\""))
            }
            None => Ok(()),
        }
    }
}

/// Takes out of a request what the service must not take for verified.
pub(super) fn strip(header: Option<&str>) -> Result<(), HostFault> {
    host::remove_request_header(proof::HEADER)?;
    header.map_or(Ok(()), host::remove_request_header)
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
