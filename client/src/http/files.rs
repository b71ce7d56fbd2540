//! Certificate, key and authorities in files that change.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::connector::{Connector, trust_anchors};
use super::error::HttpError;
use super::options::Options;
use super::session::Session;
use super::validity::is_valid;
use crate::signer::{Signer, SignerError};

/// Where certificate, key and authorities are read from (PEM).
#[derive(Debug, Clone)]
pub struct IdentityFiles {
    /// The client certificate, leaf first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The CA certificates that servers are trusted by.
    pub authorities: PathBuf,
}

/// Opens connections with the certificate, key and authorities that stand in files now.
///
/// The files are looked at for every connection and read again when one has changed. What cannot be used is not taken
/// up: a file that is absent, cut or not PEM, a key of another certificate (as between the replacement of one file and
/// that of the other), a certificate that is not valid now. The old ones stay in use then, and [`Self::problem`] tells
/// why.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tls_session_binding_client::http::{Client, FileConnector, IdentityFiles, Options, Proving};
///
/// let files = IdentityFiles {
///     certificate: "client.pem".into(),
///     key: "client.key".into(),
///     authorities: "ca.pem".into(),
/// };
/// let connector = Arc::new(FileConnector::open(files, Options::default())?);
/// let client = Client::new(connector, "https://localhost:8443/".parse()?);
/// let request = http::Request::get("https://localhost:8443/orders").body(Default::default())?;
/// let answer = client.send(request, "example-token", Proving::Connection).await?;
/// # Ok(()) }
/// # use std::sync::Arc;
/// ```
pub struct FileConnector {
    files: IdentityFiles,
    options: Options,
    state: Mutex<State>,
}

struct State {
    seen: [Option<Stamp>; 3],
    content: [u8; 32],
    connector: Connector,
    problem: Option<String>,
}

/// What changes when a file is written or another takes its place, behind a symbolic link too.
type Stamp = (u64, u64, u64, i64, i64, i64, i64);

impl FileConnector {
    /// Reads the files.
    ///
    /// # Errors
    /// As [`Signer::from_pem_files`], [`trust_anchors`] and [`Connector::new`].
    pub fn open(files: IdentityFiles, options: Options) -> Result<Self, HttpError> {
        let (seen, content) = (files.stamps(), files.content());
        let connector = files.connector(options.clone())?;
        let state = State {
            seen,
            content,
            connector,
            problem: None,
        };
        Ok(Self {
            files,
            options,
            state: Mutex::new(state),
        })
    }

    /// The connector with what stands in the files now, or stood there last and could be used.
    #[must_use]
    pub fn current(&self) -> Connector {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at before they are read: what is written meanwhile is seen next time.
        let seen = self.files.stamps();
        if seen != state.seen {
            state.seen = seen;
            let content = self.files.content();
            let renewed = if content == state.content {
                Ok(state.connector.clone())
            } else {
                self.renewed()
            };
            state.problem = renewed.as_ref().err().map(with_cause);
            if let Ok(connector) = renewed {
                state.connector = connector;
                state.content = content;
            }
        }
        state.connector.clone()
    }

    /// Why what stands in the files is not used; none if it is.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let _ = self.current();
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.problem.clone()
    }

    /// Whether a connection was opened with what a new one would be opened with, and its certificate is still valid.
    #[must_use]
    pub fn is_current(&self, session: &Session) -> bool {
        Arc::ptr_eq(self.current().signer(), session.signer()) && is_valid(session.signer())
    }

    fn renewed(&self) -> Result<Connector, HttpError> {
        let connector = self.files.connector(self.options.clone())?;
        if is_valid(connector.signer()) {
            Ok(connector)
        } else {
            Err(SignerError::NotValidNow.into())
        }
    }
}

impl IdentityFiles {
    fn connector(&self, options: Options) -> Result<Connector, HttpError> {
        let signer = Signer::from_pem_files(&self.certificate, &self.key)?;
        Connector::new(Arc::new(signer), trust_anchors(&self.authorities)?, options)
    }

    /// A digest of all three files. A file that is touched, or comes back as it was, changes nothing.
    fn content(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for path in [&self.certificate, &self.key, &self.authorities] {
            digest.update(Sha256::digest(fs::read(path).unwrap_or_default()));
        }
        digest.finalize().into()
    }

    fn stamps(&self) -> [Option<Stamp>; 3] {
        [&self.certificate, &self.key, &self.authorities].map(|path| stamp(path))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = fs::metadata(path).ok()?;
    Some((
        file.dev(),
        file.ino(),
        file.size(),
        file.mtime(),
        file.mtime_nsec(),
        file.ctime(),
        file.ctime_nsec(),
    ))
}

fn with_cause(error: &HttpError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
