//! A verifier in another process.

use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::common::judge::Situation;
use crate::mutants::Client;

pub(crate) struct Oracle {
    pub(crate) name: &'static str,
    process: Child,
    questions: Option<BufWriter<ChildStdin>>,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    pub(crate) fn start(name: &'static str, clients: &[Client]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/oracle/bin/python3");
        assert!(
            python.exists(),
            "{} is missing: run `make differential`",
            python.display()
        );
        let mut process = Command::new(python)
            .arg(root.join("tests/oracle/oracle.py"))
            .arg(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut questions = BufWriter::new(process.stdin.take().unwrap());
        let situations: Vec<Value> = clients
            .iter()
            .map(|client| written(&client.situation))
            .collect();
        writeln!(questions, "{}", Value::from(situations)).unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self {
            name,
            process,
            questions: Some(questions),
            answers,
        }
    }

    /// Writes the questions; their answers fit into the pipe until they are read.
    pub(crate) fn ask(&mut self, mutants: &[(usize, Vec<u8>)]) {
        let questions = self.questions.as_mut().unwrap();
        for (client, proof) in mutants {
            writeln!(questions, "{client} {}", STANDARD.encode(proof)).unwrap();
        }
        questions.flush().unwrap();
    }

    pub(crate) fn answers(&mut self, count: usize) -> Vec<String> {
        let lines = self.answers.by_ref().lines().take(count);
        let answers: Vec<String> = lines.map(Result::unwrap).collect();
        assert_eq!(answers.len(), count, "{} ended", self.name);
        answers
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.questions.take());
        let _ = self.process.wait();
    }
}

fn written(situation: &Situation) -> Value {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let authorization = text(&situation.authorization[0]);
    json!({
        "certificate": text(&situation.certificate),
        "exporter": text(&situation.exporter),
        "token": authorization.strip_prefix("Bearer ").unwrap(),
        "now": situation.now,
        "method": text(&situation.method),
        "authority": text(&situation.authority),
        "path": text(&situation.path),
    })
}
