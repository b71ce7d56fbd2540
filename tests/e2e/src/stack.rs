//! Envoy and service together.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::Request;
use hyper::body::Bytes;
use tempfile::TempDir;
use tls_session_binding_client::dev::authorization_server::AuthorizationServerKey;
use tls_session_binding_client::dev::pki;
use tls_session_binding_client::http::{Options, Session};

use crate::ask::Outcome;
use crate::envoy::Envoy;
use crate::party::Party;
use crate::upstream::Upstream;
use crate::{Result, root};

/// The line of `envoy/ingress.yaml` that configures the filter.
pub const FILTER: &str = Verifier::Wasm.filter();

/// Who runs the verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verifier {
    /// The Proxy-Wasm filter.
    Wasm,
    /// The native module.
    Native,
}

impl Verifier {
    /// The shipped bootstrap file of a service's Envoy.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Wasm => "ingress.yaml",
            Self::Native => "ingress-native.yaml",
        }
    }

    /// The line of it that configures the filter.
    #[must_use]
    pub const fn filter(self) -> &'static str {
        match self {
            Self::Wasm => {
                r#"value: '{"confirmation": {"property": ["metadata", "filter_metadata", "envoy.filters.http.jwt_authn", "payload"]}}'"#
            }
            Self::Native => {
                r#"value: '{"confirmation": {"property": ["filter_state", "session_binding.claims"]}}'"#
            }
        }
    }

    /// Where it reads the claims that `jwt_authn` has verified.
    #[must_use]
    pub const fn claims(self) -> &'static str {
        match self {
            Self::Wasm => {
                r#"["metadata", "filter_metadata", "envoy.filters.http.jwt_authn", "payload"]"#
            }
            Self::Native => r#"["filter_state", "session_binding.claims"]"#,
        }
    }
}

/// A shipped bootstrap file, which a test may change by plain substitution.
#[derive(Debug, Clone)]
pub struct Bootstrap(String);

impl Bootstrap {
    /// Reads `envoy/<name>`.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn shipped(name: &str) -> Result<Self> {
        let path = root().join("envoy").join(name);
        Ok(Self(
            std::fs::read_to_string(&path)
                .map_err(|error| format!("{}: {error}", path.display()))?,
        ))
    }

    /// The file's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Replaces `from`, which must be there, by `to`.
    ///
    /// # Panics
    /// When `from` is not there: the test and the file have grown apart.
    #[must_use]
    pub fn with(self, from: &str, to: &str) -> Self {
        assert!(
            self.0.contains(from),
            "the bootstrap file does not contain {from}"
        );
        Self(self.0.replace(from, to))
    }
}

/// A running stack; dropping it stops everything and removes its files.
#[derive(Debug)]
pub struct Stack {
    /// Envoy.
    pub envoy: Envoy,
    /// The service behind it.
    pub upstream: Upstream,
    /// Where clients connect.
    pub address: SocketAddr,
    /// Signs access tokens.
    pub authorization_server: AuthorizationServerKey,
    files: Files,
}

/// Another Envoy on the files of a [`Stack`].
#[derive(Debug)]
pub struct Beside {
    /// Envoy.
    pub envoy: Envoy,
    /// Where clients connect.
    pub address: SocketAddr,
}

/// The files of a stack in a directory of their own, which takes the place of `target/demo`.
#[derive(Debug)]
pub struct Files(TempDir);

impl Files {
    /// Makes certificates and the key of the authorization server.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn make() -> Result<Self> {
        let files = Self(TempDir::new()?);
        pki::ensure(&files.pki(), false)?;
        files.authorization_server()?;
        Ok(files)
    }

    /// Where certificates and keys are.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.0.path().join("pki")
    }

    /// Where Envoy's own files are.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    /// The bootstrap with these files, free ports, and the service at `upstream`.
    #[must_use]
    pub fn place(&self, bootstrap: &Bootstrap, upstream: SocketAddr) -> String {
        let directory = format!("{}/", self.0.path().display());
        let ports = ["8081", "8443", "8444", "9901", "9902"];
        let ports = ports.map(|port| format!("port_value: {port} "));
        let placed = bootstrap.0.replace("target/demo/", &directory);
        ports
            .iter()
            .fold(placed, |text, port| text.replace(port, "port_value: 0 "))
            .replace(
                "port_value: 8080 ",
                &format!("port_value: {} ", upstream.port()),
            )
    }

    /// A directory beside these files, for another Envoy's own.
    fn subdirectory(&self, name: &str) -> Result<PathBuf> {
        let directory = self.0.path().join(name);
        std::fs::create_dir(&directory)?;
        Ok(directory)
    }

    fn authorization_server(&self) -> Result<AuthorizationServerKey> {
        Ok(AuthorizationServerKey::ensure(
            &self.0.path().join("as"),
            false,
        )?)
    }
}

impl Stack {
    /// Starts service and Envoy on free ports.
    ///
    /// # Errors
    /// When one of them does not start; the error carries the end of Envoy's log.
    pub async fn start(bootstrap: &Bootstrap) -> Result<Self> {
        Self::start_on(Files::make()?, bootstrap).await
    }

    /// As [`Stack::start`], on files that are there already.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub async fn start_on(files: Files, bootstrap: &Bootstrap) -> Result<Self> {
        let upstream = Upstream::start(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let placed = files.place(bootstrap, upstream.address);
        let envoy = Envoy::start(&placed, &files.directory()).await?;
        let address = envoy.listener("ingress").await?;
        let authorization_server = files.authorization_server()?;
        Ok(Self {
            envoy,
            upstream,
            address,
            authorization_server,
            files,
        })
    }

    /// Starts the stack of `envoy/ingress.yaml`.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub async fn ingress() -> Result<Self> {
        Self::verified_by(Verifier::Wasm).await
    }

    /// Starts the shipped stack of this verifier.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub async fn verified_by(verifier: Verifier) -> Result<Self> {
        Self::start(&Bootstrap::shipped(verifier.file())?).await
    }

    /// Starts another Envoy, `name`, on the same files, with its `listener` in front of `upstream`.
    ///
    /// # Errors
    /// When it does not start; the error carries the end of its log.
    pub async fn beside(
        &self,
        name: &str,
        listener: &str,
        bootstrap: &Bootstrap,
        upstream: SocketAddr,
    ) -> Result<Beside> {
        let directory = self.files.subdirectory(name)?;
        let placed = self.files.place(bootstrap, upstream);
        let envoy = Envoy::start(&placed, &directory).await?;
        let address = envoy.listener(listener).await?;
        Ok(Beside { envoy, address })
    }

    /// Starts the application's sidecar, with this variant of `envoy/egress.yaml`.
    ///
    /// # Errors
    /// As [`Stack::beside`].
    pub async fn egress(&self, bootstrap: Bootstrap) -> Result<Beside> {
        let service = format!("port_value: {} ", self.address.port());
        let bootstrap = bootstrap.with("port_value: 8443 ", &service);
        self.beside("egress", "egress", &bootstrap, self.address)
            .await
    }

    /// Where certificates and keys are.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.files.pki()
    }

    /// The holder of certificate `name`.
    ///
    /// # Errors
    /// When there is no such certificate.
    pub fn party(&self, name: &str, options: Options) -> Result<Party> {
        Party::new(&self.pki(), name, self.address, options)
    }

    /// Sends a request and tells what became of it.
    ///
    /// # Errors
    /// When there is no answer, or when the service saw a request that did not pass (or saw none
    /// that did): use it where no other request runs at the same time.
    pub async fn outcome(&self, session: &Session, request: Request<Bytes>) -> Result<Outcome> {
        let before = self.upstream.requests();
        let outcome = Outcome::of(&session.send_as_is(request).await?);
        let arrived = self.upstream.requests() - before;
        if arrived != u64::from(outcome == Outcome::Passed) {
            return Err(format!("{outcome:?}, but {arrived} requests at the service").into());
        }
        Ok(outcome)
    }
}
