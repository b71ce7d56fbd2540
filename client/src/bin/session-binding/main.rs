//! `session-binding`: requests with session-bound tokens, and development credentials to try them.
#![forbid(unsafe_code)]

mod credentials;
mod inspect;
mod proxy;
mod request;
mod verify;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand};
use tls_session_binding_client::http::IdentityFiles;
use tls_session_binding_client::signer::{Signer, SignerError};

/// TLS-session-bound access tokens: send them, prove them, see why they are refused, make them for development.
#[derive(Parser)]
#[command(version, disable_help_subcommand = true)]
struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Request(request::RequestArguments),
    Proxy(Box<proxy::ProxyArguments>),
    Verify(Box<verify::VerifyArguments>),
    Inspect(inspect::InspectArguments),
    Proof(credentials::ProofArguments),
    Token(credentials::TokenArguments),
    Jwks(credentials::JwksArguments),
    Pki(credentials::PkiArguments),
}

/// The client certificate and its private key.
#[derive(Args)]
struct ClientIdentity {
    /// Client certificate, leaf first (PEM).
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Its private key (PEM: PKCS#8, SEC1 or PKCS#1).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl ClientIdentity {
    /// The same files, read again when they change.
    fn files(&self, authorities: &Path) -> IdentityFiles {
        IdentityFiles {
            certificate: self.cert.clone(),
            key: self.key.clone(),
            authorities: authorities.to_owned(),
        }
    }

    fn signer(&self) -> Result<Signer, SignerError> {
        Signer::from_pem_files(&self.cert, &self.key)
    }
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let outcome = match Command::parse().action {
        Action::Request(arguments) => request::run(&arguments),
        Action::Proxy(arguments) => proxy::run(&arguments),
        Action::Verify(arguments) => verify::run(&arguments),
        Action::Inspect(arguments) => inspect::run(&arguments),
        Action::Proof(arguments) => credentials::proof(&arguments),
        Action::Token(arguments) => credentials::token(&arguments),
        Action::Jwks(arguments) => credentials::jwks(&arguments),
        Action::Pki(arguments) => credentials::pki(&arguments),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("session-binding: {}", with_causes(error.as_ref()));
        ExitCode::from(2)
    })
}

/// An error and what caused it, on one line.
fn with_causes(error: &dyn Error) -> String {
    let mut causes = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes.join(": ")
}

/// An argument itself, or with `@` before a path the content of that file.
fn value_or_file(argument: &str) -> Outcome<String> {
    match argument.strip_prefix('@') {
        Some(path) => match fs::read_to_string(path) {
            Ok(text) => Ok(text.trim_end().to_owned()),
            Err(error) => Err(format!("cannot read {path}: {error}").into()),
        },
        None => Ok(argument.to_owned()),
    }
}

fn unix_time() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}
