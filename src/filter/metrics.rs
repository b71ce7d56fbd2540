//! Counters: one for every way a request can end.

use crate::error::{ClientFault, HostFault, Refusal};
use crate::policy::Admitted;

use super::host;

/// Prefix of every metric of this filter.
const PREFIX: &str = "session_binding";

/// The defined counters of one plugin.
pub(super) struct Metrics {
    admitted: Vec<(&'static str, Option<u32>)>,
    refused: Vec<(Refusal, Option<u32>)>,
}

impl Metrics {
    /// Defines every counter, so that each is there from the start and reads 0.
    pub(super) fn define() -> Self {
        let clients = ClientFault::ALL.iter().copied().map(Refusal::Client);
        let hosts = HostFault::ALL.iter().copied().map(Refusal::Host);
        let admitted = |verdict| {
            (
                verdict,
                host::define_counter(&format!("{PREFIX}.admitted.{verdict}")),
            )
        };
        let refused = |refusal: Refusal| {
            let blame = match refusal {
                Refusal::Client(_) => "refused",
                Refusal::Host(_) => "failed",
            };
            (
                refusal,
                host::define_counter(&format!("{PREFIX}.{blame}.{}", refusal.reason())),
            )
        };
        Self {
            admitted: Admitted::VERDICTS.into_iter().map(admitted).collect(),
            refused: clients.chain(hosts).map(refused).collect(),
        }
    }

    /// Counts a request that goes on.
    pub(super) fn count_admitted(&self, admitted: &Admitted) {
        let verdict = admitted.verdict();
        let counter = self.admitted.iter().find(|(name, _)| *name == verdict);
        host::increment(counter.and_then(|(_, id)| *id));
    }

    /// Counts a request that ends here.
    pub(super) fn count_refused(&self, refusal: Refusal) {
        let counter = self.refused.iter().find(|(known, _)| *known == refusal);
        host::increment(counter.and_then(|(_, id)| *id));
    }
}
