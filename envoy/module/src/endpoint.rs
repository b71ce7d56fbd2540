//! What one listener or cluster uses for its connections, kept up to date with its files.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::config::{Config, Direction, Mistakes};
use crate::files::{Contents, Stamps, Unusable};
use crate::generation::Generation;
use crate::log;

/// A loaded configuration, shared by its connections on all workers.
pub struct Endpoint {
    config: Config,
    direction: Direction,
    /// None as long as files are awaited.
    current: RwLock<Option<Arc<Generation>>>,
    watch: Mutex<Watch>,
}

/// What was last seen of the files.
struct Watch {
    stamps: Stamps,
    /// Of what is in use.
    digest: Option<[u8; 32]>,
    /// What could not be loaded, so that it is reported once.
    refused: Option<Refused>,
}

/// A reading of the files that gave no usable generation.
#[derive(PartialEq, Eq)]
enum Refused {
    Unreadable(String),
    Contents([u8; 32]),
}

/// What became of a look at the files.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// They are as they were.
    None,
    /// New connections use what they hold now.
    Taken,
    /// They were awaited, have come, and are in use.
    Arrived,
    /// They are not usable: everything stays as it was.
    Refused(Mistakes),
}

impl Endpoint {
    /// Reads the configuration and the files that it names.
    ///
    /// # Errors
    /// All mistakes of the configuration, or what is wrong with the files, unless they are awaited.
    pub fn load(name: &[u8], config: &[u8], direction: Direction) -> Result<Self, Mistakes> {
        if name != b"tls" {
            return Err(Mistakes::one(
                "transport_socket_name: the socket is `tls`".to_owned(),
            ));
        }
        let config = Config::parse(config, direction)?;
        // Looked at before they are read: what changes in between is seen next time.
        let stamps = Stamps::look(&config);
        let read = Contents::read(&config).and_then(|contents| {
            let generation = Generation::new(&config, direction, &contents)?;
            Ok((generation, contents.digest()))
        });
        let (current, digest) = match read {
            Ok((generation, digest)) => {
                warn(&generation);
                (Some(Arc::new(generation)), Some(digest))
            }
            Err(Unusable::NotYet(mistakes)) if config.await_files => {
                log::info(&format!(
                    "files are awaited, and no handshake is done: {mistakes}"
                ));
                (None, None)
            }
            Err(unusable) => return Err(unusable.mistakes().clone()),
        };
        Ok(Self {
            config,
            direction,
            current: RwLock::new(current),
            watch: Mutex::new(Watch {
                stamps,
                digest,
                refused: None,
            }),
        })
    }

    /// What a new connection uses; none as long as files are awaited.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Generation>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(Arc::clone)
    }

    /// Which end of its connections this is.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Takes up changed files. What is broken changes nothing.
    pub fn refresh(&self) -> Change {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = Stamps::look(&self.config);
        if stamps == watch.stamps && watch.refused.is_none() && watch.digest.is_some() {
            return Change::None;
        }
        watch.stamps = stamps;
        match Contents::read(&self.config) {
            Err(unusable) => watch.refuse(
                Refused::Unreadable(unusable.mistakes().to_string()),
                &unusable,
            ),
            Ok(contents) => self.take(&mut watch, &contents),
        }
    }

    fn take(&self, watch: &mut Watch, contents: &Contents) -> Change {
        let digest = contents.digest();
        if watch.digest == Some(digest) {
            watch.refused = None;
            return Change::None;
        }
        match Generation::new(&self.config, self.direction, contents) {
            Err(unusable) => watch.refuse(Refused::Contents(digest), &unusable),
            Ok(generation) => {
                warn(&generation);
                *self.current.write().unwrap_or_else(PoisonError::into_inner) =
                    Some(Arc::new(generation));
                watch.refused = None;
                match watch.digest.replace(digest) {
                    Some(_) => Change::Taken,
                    None => Change::Arrived,
                }
            }
        }
    }
}

fn warn(generation: &Generation) {
    for warning in generation.warnings() {
        log::warn(warning);
    }
}

impl Watch {
    fn refuse(&mut self, refused: Refused, unusable: &Unusable) -> Change {
        let awaited = self.digest.is_none() && unusable.may_pass();
        if awaited || self.refused.as_ref() == Some(&refused) {
            return Change::None;
        }
        self.refused = Some(refused);
        Change::Refused(unusable.mistakes().clone())
    }
}

#[cfg(test)]
mod tests;
