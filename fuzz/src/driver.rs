//! A driver without libFuzzer: every seed once, then mutations of the seeds until the time is over.
//!
//! It knows nothing of coverage. It is for machines that cannot build libFuzzer, so that the laws are
//! tried there too.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::seeds;

/// Longest input that mutation makes.
const MAX_BYTES: usize = 16 * 1024;

/// Drives `run` for the seconds in the program's first argument, 60 without.
pub fn drive(name: &str, run: fn(&[u8])) {
    let seconds = std::env::args()
        .nth(1)
        .map_or(60, |text| text.parse().expect("seconds"));
    let seeds = seeds::of(name);
    let dictionary = seeds::dictionary();
    let begin = Instant::now();
    let mut random = Random::from_clock();
    let mut runs = seeds.len();
    seeds.iter().for_each(|seed| tell_of_panic(run, seed));
    while begin.elapsed() < Duration::from_secs(seconds) {
        tell_of_panic(run, &random.mutate(&seeds, &dictionary));
        runs += 1;
    }
    println!(
        "{name}: {runs} runs of {} seeds, no law broken",
        seeds.len()
    );
}

fn tell_of_panic(run: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        eprintln!("this input broke a law: {}", input.escape_ascii());
        resume_unwind(panic);
    }
}

/// A xorshift generator.
pub(crate) struct Random(u64);

impl Random {
    fn from_clock() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock after 1970");
        Self(since.as_micros() as u64 | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn mutate(&mut self, seeds: &[Vec<u8>], dictionary: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds
            .get(self.below(seeds.len()))
            .cloned()
            .unwrap_or_default();
        for _ in 0..=self.below(4) {
            self.mutate_once(&mut input, seeds, dictionary);
        }
        input.truncate(MAX_BYTES);
        input
    }

    fn mutate_once(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>], dictionary: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let end = (at + 1 + self.below(8)).min(input.len()).max(at);
        match self.below(6) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.next() as u8,
            2 => drop(input.drain(at..end)),
            3 => input.insert(at, self.next() as u8),
            4 => drop(input.splice(at..at, dictionary[self.below(dictionary.len())].clone())),
            _ => {
                let other = &seeds[self.below(seeds.len())];
                let tail = &other[self.below(other.len())..];
                input.truncate(at);
                input.extend_from_slice(tail);
            }
        }
    }
}
