//! The load: requests whose bytes were made before, over connections that were opened before.
//!
//! | module | what it does |
//! |---|---|
//! | [`connection`] | TLS over a socket that never blocks |
//! | [`http1`], [`http2`] | bytes of requests, and when a response is complete |
//! | [`lanes`] | sends requests over many connections, as fast as they are answered or at a fixed rate |
//! | [`handshakes`] | opens connections and closes them |

pub mod connection;
pub mod handshakes;
pub mod http1;
pub mod http2;
pub mod lanes;

use tls_session_binding_e2e::ask::SERVICE;

/// What a request carries.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The access token.
    pub token: &'a str,
    /// The session-binding proof, unless a sidecar adds it.
    pub proof: Option<&'a str>,
}

/// Path of every request.
pub const PATH: &str = "/orders";

/// What a per-request proof names as its target.
#[must_use]
pub fn target_uri() -> String {
    format!("https://{SERVICE}{PATH}")
}

/// How requests and responses are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Protocol {
    /// Its name in ALPN.
    #[must_use]
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }

    /// The bytes of a request; of HTTP/2 only the header block, which is the same on every stream.
    #[must_use]
    pub fn encode(self, request: Request<'_>) -> Box<[u8]> {
        match self {
            Self::Http1 => http1::encode(request),
            Self::Http2 => http2::encode(request),
        }
    }
}
