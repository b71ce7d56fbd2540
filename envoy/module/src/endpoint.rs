//! What one listener or cluster uses for its connections, kept up to date with its files.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls_pki_types::UnixTime;

use crate::config::{Config, Direction, Mistakes};
use crate::files::{Contents, Digests, Stamps, Unusable};
use crate::generation::{self, Generation};
use crate::metrics::{Counter, count};
use crate::open::Connections;
use crate::{log, rotation};

/// A loaded configuration, shared by its connections on all workers.
pub struct Endpoint {
    config: Config,
    direction: Direction,
    /// None as long as files are awaited.
    current: RwLock<Option<Arc<Generation>>>,
    watch: Mutex<Watch>,
    connections: Arc<Connections>,
}

/// What was last seen of the files.
struct Watch {
    stamps: Stamps,
    /// Of what is in use.
    digests: Option<Digests>,
    /// What could not be loaded, so that it is reported once.
    refused: Option<Refused>,
    /// The bundles of trust domains in use, in the order of the configuration.
    bundles: Vec<Option<Vec<u8>>>,
}

/// A reading of the files that gave no usable generation.
#[derive(PartialEq, Eq)]
enum Refused {
    Unreadable(String),
    Contents(Digests),
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
        let connections = Arc::<Connections>::default();
        // Looked at before they are read: what changes in between is seen next time.
        let stamps = Stamps::look(&config);
        let mut watch = Watch {
            stamps,
            digests: None,
            refused: None,
            bundles: Vec::new(),
        };
        let read = Contents::read(&config).and_then(|mut contents| {
            watch.keep(&config, &mut contents);
            let generation = Generation::new(&config, direction, &contents)?;
            Ok((generation, contents.digests()))
        });
        let (current, digests) = match read {
            Ok((generation, digests)) => {
                warn(&generation);
                if let Some(mistakes) = outdated(&generation, &digests, None) {
                    tell_outdated(&mistakes);
                }
                let generation = generation.among(&connections);
                (Some(Arc::new(generation)), Some(digests))
            }
            Err(Unusable::NotYet(mistakes)) if config.await_files => {
                log::info(&format!(
                    "files are awaited, and no handshake is done: {mistakes}"
                ));
                (None, None)
            }
            Err(unusable) => return Err(unusable.mistakes().clone()),
        };
        watch.digests = digests;
        Ok(Self {
            config,
            direction,
            current: RwLock::new(current),
            watch: Mutex::new(watch),
            connections,
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
        if stamps == watch.stamps && watch.refused.is_none() && watch.digests.is_some() {
            return Change::None;
        }
        watch.stamps = stamps;
        match Contents::read(&self.config) {
            Err(unusable) => watch.refuse(
                Refused::Unreadable(unusable.mistakes().to_string()),
                &unusable,
            ),
            Ok(mut contents) => {
                let kept = watch.keep(&self.config, &mut contents);
                self.take(&mut watch, &contents, kept)
            }
        }
    }

    /// New connections are judged by the new generation already.
    fn judge(&self, generation: &Generation) {
        let closed = self.connections.judge(generation.recheck());
        for _ in 0..closed {
            count(Counter::ConnectionsWithdrawn);
        }
        if closed > 0 {
            log::info(&format!(
                "{closed} open connections are not accepted any more, and are closed"
            ));
        }
    }

    /// `kept` says why a bundle is still the old one.
    fn take(&self, watch: &mut Watch, contents: &Contents, kept: Option<Mistakes>) -> Change {
        let digests = contents.digests();
        if watch.digests.as_ref() == Some(&digests) {
            let Some(mistakes) = kept else {
                watch.refused = None;
                return Change::None;
            };
            let refused = Refused::Unreadable(mistakes.to_string());
            return watch.refuse(refused, &mistakes.into());
        }
        let generation = Generation::new(&self.config, self.direction, contents);
        let generation = generation.and_then(|generation| {
            let in_use = watch.digests.as_ref();
            match (outdated(&generation, &digests, in_use), in_use) {
                (Some(mistakes), Some(_)) => return Err(mistakes.into()),
                (Some(mistakes), None) => tell_outdated(&mistakes),
                (None, _) => {}
            }
            Ok(generation)
        });
        match generation {
            Err(unusable) => watch.refuse(Refused::Contents(digests), &unusable),
            Ok(generation) => {
                warn(&generation);
                let generation = Arc::new(generation.among(&self.connections));
                self.replace(Arc::clone(&generation));
                watch.refused = kept.map(|mistakes| {
                    log::warn(&format!("{mistakes}: its last good content stays in use"));
                    Refused::Unreadable(mistakes.to_string())
                });
                let before = watch.digests.as_ref();
                if before.is_some_and(|before| !before.trust_alike(&digests)) {
                    self.judge(&generation);
                }
                match watch.digests.replace(digests) {
                    Some(_) => Change::Taken,
                    None => Change::Arrived,
                }
            }
        }
    }

    fn replace(&self, next: Arc<Generation>) {
        let new = next.identity().copied();
        let old = self
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(next);
        // Requests that see the new number find the new certificate in use.
        if old.is_some_and(|old| old.identity().copied() != new) {
            rotation::advance();
        }
    }
}

fn warn(generation: &Generation) {
    for warning in generation.warnings() {
        log::warn(warning);
    }
}

impl Watch {
    /// Puts the last good content in place of a trust domain's bundle that is there and cannot be used, and says what
    /// is wrong with it: a bundle is written in place, and a domain must not close for that moment. One that is
    /// missing is withdrawn.
    fn keep(&mut self, config: &Config, contents: &mut Contents) -> Option<Mistakes> {
        self.bundles.resize(contents.bundles.len(), None);
        let mut wrong = None;
        let all = config.peer.bundles.iter().zip(&mut contents.bundles);
        for ((bundle, content), good) in all.zip(&mut self.bundles) {
            if bundle.domain.is_none() {
                continue;
            }
            match content
                .clone()
                .and_then(|pem| generation::usable(bundle, &pem).map(|()| pem))
            {
                Ok(pem) => *good = Some(pem),
                Err(mistakes) if bundle.path.exists() => {
                    if let Some(pem) = good {
                        *content = Ok(pem.clone());
                        wrong.get_or_insert(mistakes);
                    }
                }
                Err(_) => *good = None,
            }
        }
        wrong
    }

    fn refuse(&mut self, refused: Refused, unusable: &Unusable) -> Change {
        let awaited = self.digests.is_none() && unusable.may_pass();
        if awaited || self.refused.as_ref() == Some(&refused) {
            return Change::None;
        }
        self.refused = Some(refused);
        Change::Refused(unusable.mistakes().clone())
    }
}

/// There is nothing better: others will refuse it until a better one comes.
fn tell_outdated(mistakes: &Mistakes) {
    log::warn(&format!("files in use are out of date: {mistakes}"));
}

/// What is not valid now among what differs from that in use.
fn outdated(generation: &Generation, new: &Digests, in_use: Option<&Digests>) -> Option<Mistakes> {
    let now = UnixTime::now().as_secs();
    let mistake = |text: String| Some(Mistakes::one(text));
    let same = in_use.is_some_and(|old| old.certificate_chain == new.certificate_chain);
    let validity = generation.validity();
    if !same && now >= validity.end {
        return mistake("identity.certificate_chain: has expired".to_owned());
    }
    if !same && now < validity.start {
        return mistake("identity.certificate_chain: is not valid yet".to_owned());
    }
    let known = |index: usize| in_use.is_some_and(|old| old.crls.get(index) == new.crls.get(index));
    let ends = generation.crls_end().iter().enumerate();
    ends.filter(|(index, end)| !known(*index) && **end <= now)
        .find_map(|(index, _)| mistake(format!("peer.crls[{index}]: has expired")))
}

#[cfg(test)]
mod tests;
