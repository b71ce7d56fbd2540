//! The lines of a request's headers or trailers that the service must not take for verified.

use tls_session_binding::error::HostFault;
use tls_session_binding::request::own_names;

use super::{Block, Lines, Request};

/// Their names.
pub(super) struct Present(Vec<String>);

impl Present {
    /// Looks for the proof, and for the header that tells the service what was verified, in every spelling
    /// that a service may take for it.
    pub(super) fn among(lines: &Lines<'_>, verified_header: Option<&str>) -> Self {
        let names = own_names(lines.iter().map(|(name, _)| *name), verified_header);
        Self(names.into_iter().map(str::to_owned).collect())
    }

    /// Takes them out.
    pub(super) fn remove(&self, request: &mut dyn Request, block: Block) -> Result<(), HostFault> {
        let mut names = self.0.iter();
        if names.all(|name| request.remove(block, name)) {
            Ok(())
        } else {
            Err(HostFault::RequestUnreadable)
        }
    }
}
