//! Every token, proof and exporter value that was used, to be found in logs.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Read};

use tls_session_binding_e2e::Result;

/// Characters of a secret that are enough to know it: 96 bits.
const WINDOW: usize = 16;

/// Remembers the beginning of each part of each secret as a hash, so that millions fit.
#[derive(Default)]
pub(crate) struct Secrets {
    seen: HashSet<u64>,
    hasher: RandomState,
    count: u64,
}

impl Secrets {
    /// Takes a JWT or another text in base64url.
    pub(crate) fn remember(&mut self, secret: &str) {
        self.count += 1;
        for part in secret.split('.') {
            if let Some(beginning) = part.as_bytes().get(..WINDOW) {
                self.seen.insert(self.hasher.hash_one(beginning));
            }
        }
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// How many lines of a text hold one, anywhere.
    pub(crate) fn lines_with_secrets(&self, text: impl Read) -> Result<u64> {
        let mut lines = 0;
        for line in BufReader::new(text).split(b'\n') {
            lines += u64::from(self.is_in(&line?));
        }
        Ok(lines)
    }

    fn is_in(&self, line: &[u8]) -> bool {
        let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        line.split(|byte| !is_inside(byte))
            .flat_map(|word| word.windows(WINDOW))
            .any(|window| self.seen.contains(&self.hasher.hash_one(window)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_or_a_part_of_it_is_found_wherever_it_stands() {
        let mut secrets = Secrets::default();
        secrets.remember("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLWl0");
        let found = |text: &str| secrets.lines_with_secrets(text.as_bytes()).unwrap();
        assert_eq!(
            found("connection=7 verdict=refused reason=proof_missing\n"),
            0
        );
        assert_eq!(found("a\nproof c2lnbmF0dXJlLW9mLWl0 refused\nb"), 1);
        assert_eq!(found("\"xc2lnbmF0dXJlLW9m\""), 1);
        assert_eq!(
            found("alg=eyJhbGciOiJFUzI1NiJ9\nsub=eyJzdWIiOiJhbGljZSJ9"),
            2
        );
    }
}
