//! Requests, and what became of them.

use http::request::Builder;
use http::{HeaderName, Method, Request, Response, StatusCode};
use hyper::body::Bytes;
use tls_session_binding::proof::HEADER;
use tls_session_binding_client::http::BearerChallenge;

/// The name of the service in URLs and in its certificate.
pub const SERVICE: &str = "service.demo";

/// A `GET` of `path` at the service, without token and proof.
#[must_use]
pub fn get(path: &str) -> Builder {
    Request::builder()
        .method(Method::GET)
        .uri(format!("https://{SERVICE}{path}"))
}

/// A `GET` with a token, and a proof if there is one.
#[must_use]
pub fn present(token: &str, proof: Option<&str>) -> Request<Bytes> {
    let request = get("/orders").token(token);
    proof.into_iter().fold(request, Present::proof).empty()
}

/// Builds requests in the words of the protocol.
pub trait Present {
    /// Adds `Authorization: Bearer <token>`.
    #[must_use]
    fn token(self, token: &str) -> Self;
    /// Adds `Session-Binding-Proof: <proof>`.
    #[must_use]
    fn proof(self, proof: &str) -> Self;
    /// The request, without body.
    fn empty(self) -> Request<Bytes>;
}

impl Present for Builder {
    fn token(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    fn proof(self, proof: &str) -> Self {
        self.header(HeaderName::from_static(HEADER), proof)
    }

    #[expect(clippy::expect_used, reason = "a mistake of the test itself")]
    fn empty(self) -> Request<Bytes> {
        self.body(Bytes::new()).expect("a request that can be sent")
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// 200: the service answered.
    Passed,
    /// 401 with this Bearer error code; none when the challenge names no error.
    Refused(Option<String>),
    /// Any other status.
    Status(u16),
}

impl Outcome {
    /// 401 with an error code.
    #[must_use]
    pub fn refused(error: &str) -> Self {
        Self::Refused(Some(error.to_owned()))
    }

    /// Reads the outcome off a response.
    pub fn of<B>(response: &Response<B>) -> Self {
        match response.status() {
            StatusCode::OK => Self::Passed,
            StatusCode::UNAUTHORIZED => {
                let challenge = BearerChallenge::from_headers(response.headers());
                Self::Refused(challenge.and_then(|challenge| challenge.error))
            }
            other => Self::Status(other.as_u16()),
        }
    }
}
