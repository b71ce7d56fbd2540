//! Both sidecars in a chain.

use std::net::SocketAddr;
use std::time::Duration;

use http::request::Builder;
use http::{Request, Response};
use hyper::body::Bytes;
use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::application::Application;
use tls_session_binding_e2e::ask::{Outcome, Present};
use tls_session_binding_e2e::stack::{Beside, Bootstrap, Stack};

use crate::vocabulary::HTTP2;

const PATIENCE: Duration = Duration::from_secs(30);

/// The application's sidecar in front of the service's.
pub(crate) struct Chain {
    /// The service and its sidecar.
    pub(crate) stack: Stack,
    /// The application's sidecar.
    pub(crate) egress: Beside,
}

/// The shipped sidecar of the application: HTTP/2 to the service.
pub(crate) fn egress() -> Result<Bootstrap> {
    Bootstrap::shipped("egress.yaml")
}

/// The same with HTTP/1.1 to the service.
pub(crate) fn egress_http1() -> Result<Bootstrap> {
    Ok(egress()?
        .with(r#""alpn": ["h2"]"#, r#""alpn": ["http/1.1"]"#)
        .with(
            "{ http2_protocol_options: {} }",
            "{ http_protocol_options: {} }",
        ))
}

impl Chain {
    /// Starts the shipped stack, and this sidecar in front of it.
    pub(crate) async fn start(egress: Bootstrap) -> Result<Self> {
        Self::between(egress, &Bootstrap::shipped("ingress.yaml")?).await
    }

    /// Starts both sidecars.
    pub(crate) async fn between(egress: Bootstrap, ingress: &Bootstrap) -> Result<Self> {
        let stack = Stack::start(ingress).await?;
        let egress = stack.egress(egress).await?;
        Ok(Self { stack, egress })
    }

    /// A token for the certificate of the application's sidecar.
    pub(crate) fn token(&self, subject: &str) -> Result<String> {
        let party = self.stack.party("client", HTTP2)?;
        party.token(&self.stack.authorization_server, subject)
    }

    /// Sends a request as the application does, on a connection of its own.
    pub(crate) async fn send(
        &self,
        version: HttpVersion,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>> {
        send(self.egress.address, version, request).await
    }

    /// What becomes of a request of the application.
    pub(crate) async fn outcome(&self, request: Builder) -> Result<Outcome> {
        let answer = self.send(HttpVersion::Http1, request.empty()).await?;
        Ok(Outcome::of(&answer))
    }
}

/// Sends a request to a sidecar in the clear.
pub(crate) async fn send(
    sidecar: SocketAddr,
    version: HttpVersion,
    request: Request<Bytes>,
) -> Result<Response<Bytes>> {
    let mut application = Application::connect(sidecar, version).await?;
    tokio::time::timeout(PATIENCE, application.send(request)).await?
}
