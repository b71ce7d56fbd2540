//! Key exchange groups and cipher suites of the module's socket, beside those of Envoy's own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedCipherSuite, SupportedProtocolVersion};
use tls_session_binding_client::http::trust_anchors;
use tls_session_binding_client::signer::Signer;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::SERVICE;
use tls_session_binding_e2e::stack::{Files, Stack};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::domains;

/// A client that can do one thing alone.
struct Client<'a> {
    pki: &'a Path,
    provider: CryptoProvider,
    version: &'static SupportedProtocolVersion,
}

impl Client<'_> {
    async fn reaches(self, address: SocketAddr) -> Result<bool> {
        let file = |name| self.pki.join(name);
        let signer = Signer::from_pem_files(&file("leaf.pem"), &file("leaf.key"))?;
        let own: Arc<dyn ResolvesClientCert> =
            Arc::new(SingleCertAndKey::from(Arc::clone(signer.certified_key())));
        let config = ClientConfig::builder_with_provider(Arc::new(self.provider))
            .with_protocol_versions(&[self.version])?
            .with_root_certificates(trust_anchors(&file("ca.pem"))?)
            .with_client_cert_resolver(own);
        let stream = TcpStream::connect(address).await?;
        let connector = TlsConnector::from(Arc::new(config));
        let connected = connector.connect(ServerName::try_from(SERVICE)?, stream);
        Ok(connected.await.is_ok())
    }
}

fn version(suite: SupportedCipherSuite) -> &'static SupportedProtocolVersion {
    match suite {
        SupportedCipherSuite::Tls12(_) => &TLS12,
        SupportedCipherSuite::Tls13(_) => &TLS13,
    }
}

/// Groups that Envoy's own socket has, and those that only the module's has.
const GROUPS: [&str; 3] = ["X25519MLKEM768", "X25519", "secp256r1"];
const GROUPS_OF_THE_MODULE: [&str; 1] = ["secp384r1"];

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_cipher_suites_are_no_fewer_and_no_weaker_than_envoys_own() -> Result<()> {
    let files = Files::make()?;
    let pki = files.pki();
    domains::issue_one(&pki)?;
    let bootstrap =
        domains::both()?.with(r#""versions": ["1.3"]"#, r#""versions": ["1.2", "1.3"]"#);
    let stack = Stack::start_on(files, &bootstrap).await?;
    let (own, envoys) = (stack.address, stack.envoy.listener("stock").await?);
    for group in aws_lc_rs::ALL_KX_GROUPS {
        let client = || Client {
            pki: &pki,
            provider: CryptoProvider {
                kx_groups: vec![*group],
                ..aws_lc_rs::default_provider()
            },
            version: &TLS13,
        };
        let name = format!("{:?}", group.name());
        let of_both = GROUPS.contains(&name.as_str());
        let of_ours = of_both || GROUPS_OF_THE_MODULE.contains(&name.as_str());
        let found = (
            client().reaches(envoys).await?,
            client().reaches(own).await?,
        );
        assert_eq!(found, (of_both, of_ours), "{name}");
    }
    for suite in aws_lc_rs::ALL_CIPHER_SUITES {
        let client = || Client {
            pki: &pki,
            provider: CryptoProvider {
                cipher_suites: vec![*suite],
                ..aws_lc_rs::default_provider()
            },
            version: version(*suite),
        };
        // The server's key is no RSA key.
        let name = format!("{:?}", suite.suite());
        let fits = !name.contains("RSA") || name.contains("ECDSA");
        let found = (
            client().reaches(envoys).await?,
            client().reaches(own).await?,
        );
        assert_eq!(found, (fits, fits), "{name}");
    }
    Ok(())
}
