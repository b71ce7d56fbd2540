//! `session-binding verify`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use http::Uri;
use serde_json::{Value, json};
use tls_session_binding::certificate::{CertificateEncoding, NOT_PRESENTED};
use tls_session_binding::config::{Config, ConfirmationSource};
use tls_session_binding::exporter::ExporterEncoding;
use tls_session_binding_client::ExporterValue;
use tls_session_binding_client::explain::{
    Asked, Decoded, Explanation, StepState, Vectors, explain,
};
use tls_session_binding_client::pem;

use crate::{Outcome, unix_time, value_or_file};

/// Decide about a request as the verifier does, and tell which rule holds and which fails.
///
/// Nothing is sent, and token, proof and exporter value are not shown. The token's own signature is another filter's
/// to verify. Where the policy reads claims that another filter verified, the token's own stand for them. Exit status:
/// 0 if every rule holds, 1 if one does not, 2 if there is nothing to judge.
#[derive(Args)]
pub(crate) struct VerifyArguments {
    /// Access token, or @FILE that holds it.
    #[arg(
        long,
        allow_hyphen_values = true,
        value_name = "TOKEN|@FILE",
        required_unless_present = "vectors"
    )]
    token: Option<String>,
    /// Session-binding proof, or @FILE that holds it.
    #[arg(long, allow_hyphen_values = true, value_name = "PROOF|@FILE")]
    proof: Option<String>,
    /// Certificate that the client shows on the connection (PEM); without it, the client shows none.
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Exporter value of the connection, in base64url, or @FILE that holds it.
    #[arg(
        long,
        allow_hyphen_values = true,
        value_name = "BASE64URL|@FILE",
        required_unless_present = "vectors"
    )]
    exporter: Option<String>,
    /// Method of the request.
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: String,
    /// URL of the request: a policy's rules and a proof's `htu` ask for it.
    #[arg(long, value_name = "URL", default_value = "https://service.example/")]
    url: Uri,
    /// The filter's configuration (JSON) [default: {}].
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The verifier's clock, in seconds since 1970 [default: now].
    #[arg(long, value_name = "SECONDS")]
    at: Option<u64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Judge these published vectors instead: each case, pass or fail.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["token", "proof", "cert", "exporter", "policy", "at"])]
    vectors: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &VerifyArguments) -> Outcome<ExitCode> {
    if !arguments.vectors.is_empty() {
        return run_vectors(&arguments.vectors, arguments.json);
    }
    let told = explain(&arguments.asked()?)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&told)?);
    } else {
        print(&told);
    }
    Ok(exit(told.verdict.is_some()))
}

const fn exit(holds: bool) -> ExitCode {
    if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl VerifyArguments {
    fn asked(&self) -> Outcome<Asked> {
        let config = match &self.policy {
            Some(path) => read(path)?,
            None => b"{}".to_vec(),
        };
        let policy = Config::parse(&config)?;
        let token = value_or_file(self.token.as_deref().unwrap_or_default())?;
        let proof = self.proof.as_deref().map(value_or_file).transpose()?;
        let by_host = policy.confirmation != ConfirmationSource::Token;
        let decoded = by_host.then(|| Decoded::of(&token)).flatten();
        let authority = self.url.authority().ok_or("the URL names no host")?;
        let path = self.url.path_and_query().map_or("/", |path| path.as_str());
        Ok(Asked {
            exporter: self.exporter(policy.exporter.encoding)?,
            certificate: self.certificate(policy.client_certificate.encoding)?,
            claims: decoded.map(|decoded| decoded.payload),
            now: self.at.unwrap_or_else(unix_time),
            method: self.method.clone().into(),
            authority: authority.as_str().into(),
            path: path.into(),
            authorization: vec![format!("Bearer {token}").into()],
            proof: proof.into_iter().map(String::into_bytes).collect(),
            config,
        })
    }

    fn exporter(&self, encoding: ExporterEncoding) -> Outcome<Vec<u8>> {
        let text = value_or_file(self.exporter.as_deref().unwrap_or_default())?;
        let value = ExporterValue::parse(text.as_bytes(), ExporterEncoding::Base64url);
        let value = value.map_err(|_| "the exporter value is not 32 bytes of base64url")?;
        Ok(match encoding {
            ExporterEncoding::Base64url => text.into(),
            ExporterEncoding::Hex => {
                let digits = value.as_bytes().iter().map(|byte| format!("{byte:02x}"));
                digits.collect::<String>().into()
            }
        })
    }

    fn certificate(&self, encoding: CertificateEncoding) -> Outcome<Vec<u8>> {
        let Some(path) = &self.cert else {
            return Ok(NOT_PRESENTED.to_vec());
        };
        let text = read(path)?;
        let named = |error| format!("{} {error}", path.display());
        let leaf = pem::certificates(&text).map_err(named)?.swap_remove(0);
        Ok(match encoding {
            CertificateEncoding::Pem => text,
            CertificateEncoding::Base64Der => STANDARD.encode(leaf).into(),
        })
    }
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    let named = |error| format!("cannot read {}: {error}", path.display());
    Ok(fs::read(path).map_err(named)?)
}

fn print(told: &Explanation) {
    for step in &told.rules {
        let state = match step.state {
            StepState::Holds => "ok",
            StepState::Fails => "FAILS",
            StepState::NotReached | StepState::NotNeeded => "-",
        };
        println!("{state:<6}{:<10} {}", step.id, step.rule);
        if let Some(compared) = &step.compared {
            println!("{:17}{compared}", "");
        }
    }
    println!("{}", told.ending());
    if let Some(answer) = told.answer.as_ref().filter(|_| !told.observed) {
        println!("answer: {} ({})", answer.status, answer.body);
        if let Some(challenge) = &answer.www_authenticate {
            println!("WWW-Authenticate: {challenge}");
        }
    }
}

fn run_vectors(files: &[PathBuf], as_json: bool) -> Outcome<ExitCode> {
    let mut results = Vec::new();
    for path in files {
        let named = |error| format!("{} holds no vectors: {error}", path.display());
        let vectors: Vectors = serde_json::from_slice(&read(path)?).map_err(named)?;
        let judged = vectors.cases.into_iter();
        results.extend(judged.map(|case| (case.judge().err(), case)));
    }
    if results.is_empty() {
        return Err("there is no case in these files".into());
    }
    let passed = results
        .iter()
        .filter(|(failure, _)| failure.is_none())
        .count();
    if as_json {
        let shown = results.iter().map(|(failure, case)| {
            json!({"id": case.id, "rule": case.rule, "passed": failure.is_none(), "failure": failure})
        });
        let shown: Vec<Value> = shown.collect();
        println!("{}", serde_json::to_string_pretty(&shown)?);
    } else {
        for (failure, case) in &results {
            match failure {
                None => println!("pass  {}", case.id),
                Some(failure) => println!("FAIL  {}: {failure}", case.id),
            }
        }
        println!("{passed} of {} cases pass", results.len());
    }
    Ok(exit(passed == results.len()))
}
