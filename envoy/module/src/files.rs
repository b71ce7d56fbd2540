//! The files of a configuration: read whole, and watched for change.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::config::peer::Bundle;
use crate::config::{Config, Mistakes};

/// What the files hold.
pub struct Contents {
    /// `identity.certificate_chain`.
    pub certificate_chain: Vec<u8>,
    /// `identity.private_key`.
    pub private_key: Vec<u8>,
    /// `peer.ca`, or `peer.trust_domains` in the order of the configuration, or why one of these cannot be read.
    pub bundles: Vec<Result<Vec<u8>, Mistakes>>,
    /// `peer.crls`.
    pub crls: Vec<Vec<u8>>,
}

impl Contents {
    /// Reads all files.
    ///
    /// # Errors
    /// What is wrong with the first that is unusable: one that time may mend only if no other is.
    pub fn read(config: &Config) -> Result<Self, Unusable> {
        let identity = &config.identity;
        let certificate_chain = read("identity.certificate_chain", &identity.certificate_chain);
        let private_key = read("identity.private_key", &identity.private_key);
        let bundles: Vec<_> = config.peer.bundles.iter().map(read_bundle).collect();
        let crls: Vec<_> = config
            .peer
            .crls
            .iter()
            .map(|path| read("peer.crls", path))
            .collect();
        let all = [&certificate_chain, &private_key].into_iter().chain(&crls);
        let unusable = all.filter_map(|file| file.as_ref().err());
        let wrong = unusable.chain(bundles.iter().filter_map(|file| file.as_ref().err()));
        if let Some(wrong) = wrong.into_iter().find(|one| !one.may_pass()) {
            return Err(wrong.clone());
        }
        Ok(Self {
            certificate_chain: certificate_chain?,
            private_key: private_key?,
            bundles: bundles.into_iter().collect::<Result<_, _>>()?,
            crls: crls.into_iter().collect::<Result<_, _>>()?,
        })
    }

    /// Digests of the contents, each of which differs when its file does.
    #[must_use]
    pub fn digests(&self) -> Digests {
        let digest = |part: &Vec<u8>| Sha256::digest(part).into();
        let bundles = self.bundles.iter().map(|bundle| bundle.as_ref().ok());
        Digests {
            certificate_chain: digest(&self.certificate_chain),
            private_key: digest(&self.private_key),
            bundles: bundles.map(|bundle| bundle.map(digest)).collect(),
            crls: self.crls.iter().map(digest).collect(),
        }
    }
}

/// A digest of each file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// Of `identity.certificate_chain`.
    pub certificate_chain: [u8; 32],
    private_key: [u8; 32],
    bundles: Vec<Option<[u8; 32]>>,
    /// Of `peer.crls`.
    pub crls: Vec<[u8; 32]>,
}

impl Digests {
    /// Whether what the other end is judged by is the same.
    #[must_use]
    pub fn trust_alike(&self, other: &Self) -> bool {
        self.bundles == other.bundles && self.crls == other.crls
    }
}

/// Why files give nothing to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// They are being written, it seems: absent, empty, cut, or a certificate and a key of which only one
    /// is new.
    NotYet(Mistakes),
    /// Somebody has to mend them.
    Wrong(Mistakes),
}

impl Unusable {
    /// Whether time alone may mend it.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::NotYet(_))
    }

    /// What is wrong.
    #[must_use]
    pub fn mistakes(&self) -> &Mistakes {
        match self {
            Self::NotYet(mistakes) | Self::Wrong(mistakes) => mistakes,
        }
    }
}

impl From<Mistakes> for Unusable {
    fn from(mistakes: Mistakes) -> Self {
        Self::Wrong(mistakes)
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
            .chain(config.peer.bundles.iter().map(|bundle| &bundle.path))
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

/// What is wrong with the file of one trust domain must not hold back the others.
fn read_bundle(bundle: &Bundle) -> Result<Result<Vec<u8>, Mistakes>, Unusable> {
    match read(&bundle.key(), &bundle.path) {
        Err(unusable) if bundle.domain.is_some() => Ok(Err(unusable.mistakes().clone())),
        other => other.map(Ok),
    }
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, Unusable> {
    let mistake =
        |what: &dyn std::fmt::Display| Mistakes::one(format!("{key}: {}: {what}", path.display()));
    match fs::read(path) {
        Ok(pem) if pem.trim_ascii().is_empty() => Err(Unusable::NotYet(mistake(&"is empty"))),
        Ok(pem) if is_cut(&pem) => Err(Unusable::NotYet(mistake(&"is cut off"))),
        Ok(pem) => Ok(pem),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Unusable::NotYet(mistake(&error)))
        }
        Err(error) => Err(Unusable::Wrong(mistake(&error))),
    }
}

/// Whether more of a PEM file has to come: a section without end, or a line that begins a marker.
fn is_cut(pem: &[u8]) -> bool {
    let mut open = false;
    for line in pem.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii) {
        match line.strip_prefix(b"-----") {
            Some(marker) if marker.starts_with(b"BEGIN ") && marker.ends_with(b"-----") => {
                open = true;
            }
            Some(marker) if marker.starts_with(b"END ") && marker.ends_with(b"-----") => {
                open = false;
            }
            _ => {}
        }
    }
    let last = pem.rsplit(|&byte| byte == b'\n').next();
    let last = last.unwrap_or_default().trim_ascii();
    let marker = last.starts_with(b"-") && !(last.len() > 10 && last.ends_with(b"-----"));
    open || marker
}

#[cfg(test)]
mod tests;
