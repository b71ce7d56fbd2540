//! The files of a configuration: read whole, and watched for change.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::config::{Config, Mistakes};

/// What the files hold.
pub struct Contents {
    /// `identity.certificate_chain`.
    pub certificate_chain: Vec<u8>,
    /// `identity.private_key`.
    pub private_key: Vec<u8>,
    /// `peer.ca`.
    pub ca: Vec<u8>,
    /// `peer.crls`.
    pub crls: Vec<Vec<u8>>,
}

impl Contents {
    /// Reads all files.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn read(config: &Config) -> Result<Self, Mistakes> {
        Ok(Self {
            certificate_chain: read(
                "identity.certificate_chain",
                &config.identity.certificate_chain,
            )?,
            private_key: read("identity.private_key", &config.identity.private_key)?,
            ca: read("peer.ca", &config.peer.ca)?,
            crls: config
                .peer
                .crls
                .iter()
                .map(|path| read("peer.crls", path))
                .collect::<Result<_, _>>()?,
        })
    }

    /// A digest that differs when any of the contents does.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let parts = [&self.certificate_chain, &self.private_key, &self.ca];
        let mut hash = Sha256::new();
        for part in parts.into_iter().chain(&self.crls) {
            hash.update(Sha256::digest(part));
        }
        hash.finalize().into()
    }
}

/// What the file system says of the files, links followed: a swapped link is another inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamps(Vec<Option<Stamp>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamps {
    /// Looks at the files; one that is not there has no stamp.
    #[must_use]
    pub fn look(config: &Config) -> Self {
        let files = [
            &config.identity.certificate_chain,
            &config.identity.private_key,
        ];
        let files = files
            .into_iter()
            .chain([&config.peer.ca])
            .chain(&config.peer.crls);
        Self(files.map(|path| stamp(path).ok()).collect())
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    Ok(Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    })
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, Mistakes> {
    fs::read(path).map_err(|error| Mistakes::one(format!("{key}: {}: {error}", path.display())))
}
