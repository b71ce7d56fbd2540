//! What the proxy itself answers. Never 401: clients take that for the service's word.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;
use tls_session_binding_client::http::{Body, HttpError, whole};

/// Why a request was not answered by the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    OriginRefused,
    HostRefused,
    PathNotAllowed,
    AuthorizationRepeated,
    MethodRefused,
    BodyUnreadable,
    TokenUnavailable,
    ProofUnavailable,
    TooManyRequests,
    ConnectionFailed,
    ConnectionTimedOut,
    ExchangeFailed,
    ResponseTimedOut,
}

impl Fault {
    pub(super) const ALL: [Self; 13] = [
        Self::OriginRefused,
        Self::HostRefused,
        Self::PathNotAllowed,
        Self::AuthorizationRepeated,
        Self::MethodRefused,
        Self::BodyUnreadable,
        Self::TokenUnavailable,
        Self::ProofUnavailable,
        Self::TooManyRequests,
        Self::ConnectionFailed,
        Self::ConnectionTimedOut,
        Self::ExchangeFailed,
        Self::ResponseTimedOut,
    ];

    /// Its code and status, and what it says.
    const fn words(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::OriginRefused => (
                "origin_refused",
                StatusCode::FORBIDDEN,
                "requests of web pages are refused where the proxy brings the token",
            ),
            Self::HostRefused => (
                "host_refused",
                StatusCode::FORBIDDEN,
                "the host must be the address that the proxy listens on",
            ),
            Self::PathNotAllowed => (
                "path_not_allowed",
                StatusCode::FORBIDDEN,
                "the path is not among those allowed, or not in normal form",
            ),
            Self::AuthorizationRepeated => (
                "authorization_repeated",
                StatusCode::BAD_REQUEST,
                "there must be one Authorization field at most",
            ),
            Self::MethodRefused => (
                "method_refused",
                StatusCode::NOT_IMPLEMENTED,
                "CONNECT is not served",
            ),
            Self::BodyUnreadable => (
                "body_unreadable",
                StatusCode::BAD_REQUEST,
                "the request's body broke off",
            ),
            Self::TokenUnavailable => (
                "token_unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "the token file holds no access token",
            ),
            Self::ProofUnavailable => (
                "proof_unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "the proof could not be signed",
            ),
            Self::TooManyRequests => (
                "too_many_requests",
                StatusCode::SERVICE_UNAVAILABLE,
                "every connection to the service is in use",
            ),
            Self::ConnectionFailed => (
                "connection_failed",
                StatusCode::BAD_GATEWAY,
                "there is no connection to the service",
            ),
            Self::ConnectionTimedOut => (
                "connection_timed_out",
                StatusCode::GATEWAY_TIMEOUT,
                "the service took no connection in time",
            ),
            Self::ExchangeFailed => (
                "exchange_failed",
                StatusCode::BAD_GATEWAY,
                "the connection to the service failed; it may have seen the request",
            ),
            Self::ResponseTimedOut => (
                "response_timed_out",
                StatusCode::GATEWAY_TIMEOUT,
                "the service did not answer in time",
            ),
        }
    }

    pub(super) const fn code(self) -> &'static str {
        self.words().0
    }

    /// The answer in JSON.
    pub(super) fn response(self) -> Response<Body> {
        let (code, status, description) = self.words();
        let body = json!({ "error": code, "error_description": description, "by": "session-binding proxy" });
        let mut response = Response::new(whole(Bytes::from(body.to_string())));
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(CACHE_CONTROL, no_store);
        response
    }
}

impl From<&HttpError> for Fault {
    fn from(error: &HttpError) -> Self {
        match error {
            HttpError::Signing(_) | HttpError::AccessToken | HttpError::Exporter(_) => {
                Self::ProofUnavailable
            }
            HttpError::Exchange(_) | HttpError::Closed(_) | HttpError::Body(_) => {
                Self::ExchangeFailed
            }
            HttpError::TimedOut(_) => Self::ConnectionTimedOut,
            HttpError::Url
            | HttpError::Configuration(_)
            | HttpError::Certificates(_)
            | HttpError::Connect(_)
            | HttpError::Alpn => Self::ConnectionFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_fault_of_the_proxy_looks_like_the_services_refusal_of_a_token() {
        for fault in Fault::ALL {
            assert_ne!(fault.response().status(), StatusCode::UNAUTHORIZED);
        }
    }
}
