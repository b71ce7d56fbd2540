//! Verifier of TLS-session-bound access tokens.
#![forbid(unsafe_code)]
