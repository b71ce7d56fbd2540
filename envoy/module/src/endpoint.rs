//! What one listener or cluster uses for its connections, kept up to date with its files.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::config::{Config, Direction, Mistakes};
use crate::files::{Contents, Stamps};
use crate::generation::Generation;

/// A loaded configuration, shared by its connections on all workers.
pub struct Endpoint {
    config: Config,
    direction: Direction,
    current: RwLock<Arc<Generation>>,
    watch: Mutex<Watch>,
}

/// What was last seen of the files.
struct Watch {
    stamps: Stamps,
    digest: [u8; 32],
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
    /// They are not usable: everything stays as it was.
    Refused(Mistakes),
}

impl Endpoint {
    /// Reads the configuration and the files that it names.
    ///
    /// # Errors
    /// All mistakes of the configuration, or what is wrong with the files.
    pub fn load(name: &[u8], config: &[u8], direction: Direction) -> Result<Self, Mistakes> {
        if name != b"tls" {
            return Err(Mistakes::one(
                "transport_socket_name: the socket is `tls`".to_owned(),
            ));
        }
        let config = Config::parse(config, direction)?;
        // Looked at before they are read: what changes in between is seen next time.
        let stamps = Stamps::look(&config);
        let contents = Contents::read(&config)?;
        let generation = Generation::new(&config, direction, &contents)?;
        let watch = Watch {
            stamps,
            digest: contents.digest(),
            refused: None,
        };
        Ok(Self {
            config,
            direction,
            current: RwLock::new(Arc::new(generation)),
            watch: Mutex::new(watch),
        })
    }

    /// What a new connection uses.
    #[must_use]
    pub fn current(&self) -> Arc<Generation> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes up changed files. What is broken changes nothing.
    pub fn refresh(&self) -> Change {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = Stamps::look(&self.config);
        if stamps == watch.stamps && watch.refused.is_none() {
            return Change::None;
        }
        watch.stamps = stamps;
        match Contents::read(&self.config) {
            Err(mistakes) => watch.refuse(Refused::Unreadable(mistakes.to_string()), mistakes),
            Ok(contents) => self.take(&mut watch, &contents),
        }
    }

    fn take(&self, watch: &mut Watch, contents: &Contents) -> Change {
        let digest = contents.digest();
        if digest == watch.digest {
            watch.refused = None;
            return Change::None;
        }
        match Generation::new(&self.config, self.direction, contents) {
            Err(mistakes) => watch.refuse(Refused::Contents(digest), mistakes),
            Ok(generation) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) =
                    Arc::new(generation);
                watch.digest = digest;
                watch.refused = None;
                Change::Taken
            }
        }
    }
}

impl Watch {
    fn refuse(&mut self, refused: Refused, mistakes: Mistakes) -> Change {
        if self.refused.as_ref() == Some(&refused) {
            return Change::None;
        }
        self.refused = Some(refused);
        Change::Refused(mistakes)
    }
}

#[cfg(test)]
mod tests;
