//! Client certificates that were read before, by the bytes that the host shows: reading one costs more than
//! comparing it, and a client shows the same one on all of its connections.

use std::collections::{HashMap, VecDeque};

use crate::certificate::{CertificateEncoding, ClientCertificate};
use crate::error::Refusal;
use crate::limits::{MAX_KNOWN_CERTIFICATE_BYTES, MAX_KNOWN_CERTIFICATES};

/// The certificates that were read last. The oldest goes when there are too many.
#[derive(Default)]
pub struct Certificates {
    known: HashMap<Box<[u8]>, ClientCertificate>,
    oldest_first: VecDeque<Box<[u8]>>,
    bytes: usize,
}

impl Certificates {
    /// The certificate that a property shows, read if it is not known.
    ///
    /// # Errors
    /// As [`ClientCertificate::parse`].
    pub fn read(
        &mut self,
        property: &[u8],
        encoding: CertificateEncoding,
    ) -> Result<ClientCertificate, Refusal> {
        if let Some(known) = self.known.get(property) {
            return Ok(known.clone());
        }
        let certificate = ClientCertificate::parse(property, encoding)?;
        self.known.insert(property.into(), certificate.clone());
        self.oldest_first.push_back(property.into());
        self.bytes += property.len();
        while self.known.len() > MAX_KNOWN_CERTIFICATES || self.bytes > MAX_KNOWN_CERTIFICATE_BYTES
        {
            let Some(oldest) = self.oldest_first.pop_front() else {
                break;
            };
            self.bytes -= oldest.len();
            self.known.remove(&oldest);
        }
        Ok(certificate)
    }
}
