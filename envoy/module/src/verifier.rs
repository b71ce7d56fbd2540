//! Whether the other end's certificate is accepted: the authorities, revocation, the allow-list.
//!
//! A resumed handshake shows no certificate, it brings back the one of an earlier handshake; rustls
//! does not verify that again. [`Recheck`] does, against what is asked for now. Authorities, lists and
//! names of a verifier never change, so it remembers for a while what it accepted: see [`Memo`].

use std::fmt;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::certificate::Certificate;
use crate::config::allow::AllowList;
use crate::config::peer::Presence;

mod authorities;
mod memo;

pub use authorities::{Authorities, Judges, NotOfADomain};
pub use memo::Memo;

/// Verifies the certificate chain that a resumed session was established with.
pub trait Recheck: Send + Sync {
    /// Whether a full handshake with this chain would be accepted now.
    ///
    /// # Errors
    /// Why not.
    fn recheck(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error>;
}

/// What the verification of both ends has in common.
pub struct Trust<V: ?Sized> {
    /// Who vouches for the other end.
    pub authorities: Authorities<V>,
    /// Who it may be.
    pub allow: AllowList,
    /// Signatures that count in a handshake.
    pub algorithms: WebPkiSupportedAlgorithms,
    /// What was accepted a moment ago.
    pub memo: Memo,
}

impl<V: ?Sized> Trust<V> {
    /// Accepts a chain of an accepted name that one of the judges accepts: those of the leaf's own trust
    /// domain, if authorities go by domain.
    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        judge: impl Fn(&V) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.memo.verify(leaf, intermediates, now, || {
            let certificate = Certificate::of_der(leaf)
                .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
            self.authorities.of(&certificate)?.verdict(judge)?;
            if self.allow.admits(&certificate) {
                return Ok(certificate);
            }
            Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))
        })
    }
}

impl<V: ?Sized> fmt::Debug for Trust<V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Trust").finish_non_exhaustive()
    }
}

/// Verifies clients.
#[derive(Debug)]
pub struct ClientVerifier {
    trust: Trust<dyn ClientCertVerifier>,
    presence: Presence,
    hints: Vec<DistinguishedName>,
}

impl ClientVerifier {
    /// Accepts clients that `trust` accepts; `hints` name the authorities to those who ask.
    #[must_use]
    pub fn new(
        trust: Trust<dyn ClientCertVerifier>,
        presence: Presence,
        hints: Vec<DistinguishedName>,
    ) -> Self {
        Self {
            trust,
            presence,
            hints,
        }
    }
}

impl Recheck for ClientVerifier {
    fn recheck(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Ok(());
        };
        self.verify_client_cert(leaf, intermediates, now).map(drop)
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.presence == Presence::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.trust.verify(leaf, intermediates, now, |judge| {
            judge.verify_client_cert(leaf, intermediates, now).map(drop)
        })?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.trust.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.trust.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}

/// Verifies servers.
#[derive(Debug)]
pub struct ServerVerifier {
    trust: Trust<WebPkiServerVerifier>,
    name: Option<ServerName<'static>>,
}

impl ServerVerifier {
    /// Accepts servers that `trust` accepts and that have `name` if there is one.
    #[must_use]
    pub fn new(trust: Trust<WebPkiServerVerifier>, name: Option<ServerName<'static>>) -> Self {
        Self { trust, name }
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        self.trust.verify(leaf, intermediates, now, |judge| {
            self.verify_chain(judge, leaf, intermediates, now)
        })
    }

    /// Chain, revocation and name. The name comes last in rustls: a wrong one means that all else
    /// holds, and where no name is asked for, only the list decides.
    fn verify_chain(
        &self,
        judge: &WebPkiServerVerifier,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let name = self.name.clone().unwrap_or_else(no_name);
        match judge.verify_server_cert(leaf, intermediates, &name, &[], now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.name.is_none() => Ok(()),
            other => other.map(drop),
        }
    }
}

impl Recheck for ServerVerifier {
    fn recheck(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        let (leaf, intermediates) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        self.verify(leaf, intermediates, now)
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        // The verifier's own: every connection of a generation is opened for it.
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(leaf, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.trust.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.trust.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}

/// Name for rustls where no name is asked for. An unspecified address: never sent as SNI, and no
/// certificate is for it.
#[must_use]
pub fn no_name() -> ServerName<'static> {
    ServerName::from(std::net::IpAddr::from([0, 0, 0, 0]))
}

#[cfg(test)]
mod tests;
