//! Development credentials: a CA with certificates, and an authorization server's key that signs
//! access tokens.
//!
//! For demonstrations and tests only: the keys lie unencrypted in files, and nothing is revoked.

pub mod authorization_server;
mod files;
pub mod pki;

use std::path::PathBuf;

use thiserror::Error;

/// Why development credentials could not be made or read.
#[derive(Debug, Error)]
pub enum DevError {
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {problem}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A directory holds files that this crate did not make.
    #[error("{} holds another CA: choose another directory, or --force to replace it", .0.display())]
    ForeignPki(PathBuf),
    /// A key or certificate could not be made.
    #[error("cannot make a key or certificate")]
    Generation(#[from] rcgen::Error),
    /// A key is not what it should be.
    #[error("the key of the authorization server must be EC P-256 in PKCS#8 PEM, unencrypted")]
    Key,
    /// The claims cannot be written as JSON.
    #[error("the claims cannot be written as JSON")]
    Claims(#[from] serde_json::Error),
}
