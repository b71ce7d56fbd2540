//! Whether the other end's certificate is accepted: the authorities, revocation, the allow-list.
//!
//! A resumed handshake shows no certificate, it brings back the one of an earlier handshake; rustls
//! does not verify that again. [`Recheck`] does, against what is asked for now. Authorities, lists and
//! names of a verifier never change, so it remembers for a while what it accepted: see [`Memo`].

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::certificate::Certificate;
use crate::config::allow::AllowList;

mod memo;

pub use memo::Memo;

/// Verifies the certificate chain that a resumed session was established with.
pub trait Recheck: Send + Sync {
    /// Whether a full handshake with this chain would be accepted now.
    ///
    /// # Errors
    /// Why not.
    fn recheck(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error>;
}

/// Verifies clients.
#[derive(Debug)]
pub struct ClientVerifier {
    authorities: Arc<dyn ClientCertVerifier>,
    allow: AllowList,
    memo: Memo,
}

impl ClientVerifier {
    /// Accepts clients that `authorities` accepts and that are on the list.
    #[must_use]
    pub fn new(authorities: Arc<dyn ClientCertVerifier>, allow: AllowList, memo: Memo) -> Self {
        Self {
            authorities,
            allow,
            memo,
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
    fn offer_client_auth(&self) -> bool {
        self.authorities.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.authorities.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authorities.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.memo.verify(leaf, intermediates, now, || {
            self.authorities
                .verify_client_cert(leaf, intermediates, now)?;
            admit(&self.allow, leaf)
        })?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Verifies servers.
#[derive(Debug)]
pub struct ServerVerifier {
    authorities: Arc<WebPkiServerVerifier>,
    name: Option<ServerName<'static>>,
    allow: AllowList,
    memo: Memo,
}

impl ServerVerifier {
    /// Accepts servers that `authorities` accepts, that have `name` if there is one, and that are on
    /// the list.
    #[must_use]
    pub fn new(
        authorities: Arc<WebPkiServerVerifier>,
        name: Option<ServerName<'static>>,
        allow: AllowList,
        memo: Memo,
    ) -> Self {
        Self {
            authorities,
            name,
            allow,
            memo,
        }
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        self.memo.verify(leaf, intermediates, now, || {
            self.verify_chain(leaf, intermediates, now)?;
            admit(&self.allow, leaf)
        })
    }

    /// Chain, revocation and name. The name comes last in rustls: a wrong one means that all else
    /// holds, and where no name is asked for, only the list decides.
    fn verify_chain(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let name = self.name.clone().unwrap_or_else(no_name);
        let verified = self
            .authorities
            .verify_server_cert(leaf, intermediates, &name, &[], now);
        match verified {
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
        self.authorities
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Name for rustls where no name is asked for. An unspecified address: never sent as SNI, and no
/// certificate is for it.
#[must_use]
pub fn no_name() -> ServerName<'static> {
    ServerName::from(std::net::IpAddr::from([0, 0, 0, 0]))
}

fn admit(allow: &AllowList, leaf: &CertificateDer<'_>) -> Result<Certificate, Error> {
    let certificate = Certificate::of_der(leaf)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    if allow.admits(&certificate) {
        return Ok(certificate);
    }
    Err(Error::InvalidCertificate(
        CertificateError::ApplicationVerificationFailure,
    ))
}

#[cfg(test)]
mod tests;
