//! Writes the seeds of all targets as corpora for libFuzzer: `seeds DIRECTORY TARGET..`.

use std::fs;
use std::path::PathBuf;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().expect("a directory"));
    for target in arguments {
        let corpus = directory.join(&target);
        fs::create_dir_all(&corpus).expect("a directory of its own");
        for (number, seed) in tls_session_binding_fuzz::seeds::of(&target)
            .iter()
            .enumerate()
        {
            fs::write(corpus.join(format!("seed-{number}")), seed).expect("a seed written");
        }
    }
}
