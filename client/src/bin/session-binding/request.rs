//! `session-binding request`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use rustls::pki_types::ServerName;
use tls_session_binding_client::http::{
    Answer, BearerChallenge, Client, FileConnector, HttpVersion, Options, ProofUse, Proving,
    Session, SpiffeId, TlsVersion,
};

use crate::{ClientIdentity, Outcome, value_or_file};

/// Send a request with an access token and its session-binding proof.
///
/// Prints the response body. Exit status: 0 if every response was 2xx, 1 if one was not, 2 if
/// there was none.
#[derive(Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(crate) struct RequestArguments {
    /// Absolute https URL.
    url: Uri,
    #[command(flatten)]
    identity: ClientIdentity,
    /// CA certificates that the server is trusted by (PEM).
    #[arg(long, value_name = "FILE")]
    cacert: PathBuf,
    /// Access token, or @FILE that holds it.
    #[arg(long, allow_hyphen_values = true, value_name = "TOKEN|@FILE")]
    token: String,
    /// Method [default: GET, or POST with --data].
    #[arg(long)]
    method: Option<Method>,
    /// Additional header; may be repeated.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// Request body.
    #[arg(long, allow_hyphen_values = true, value_name = "TEXT")]
    data: Option<String>,
    /// Use HTTP/1.1.
    #[arg(long, conflicts_with = "http2")]
    http1: bool,
    /// Use HTTP/2.
    #[arg(long)]
    http2: bool,
    /// Use TLS 1.2 (with extended master secret) instead of TLS 1.3.
    #[arg(long)]
    tls12: bool,
    /// Send the request this many times on one connection.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Tell on standard error what happens; tokens, proofs and exporter values are not shown.
    #[arg(long)]
    verbose: bool,
    /// Connect there instead of to the host of the URL.
    #[arg(long, value_name = "HOST:PORT")]
    connect: Option<String>,
    /// Expect this name in the server's certificate instead of the URL's host.
    #[arg(long, value_name = "NAME", value_parser = server_name)]
    server_name: Option<ServerName<'static>>,
    /// Expect the certificate (X.509-SVID) of this SPIFFE ID, whatever the server's name.
    #[arg(long, value_name = "SPIFFE ID")]
    server_spiffe_id: Option<SpiffeId>,
    /// Send the token without proof.
    #[arg(long, conflicts_with = "per_request")]
    no_proof: bool,
    /// Sign a proof for each single request: method, URL and a unique id in it.
    #[arg(long)]
    per_request: bool,
}

pub(crate) fn run(arguments: &RequestArguments) -> Outcome<ExitCode> {
    tokio::runtime::Runtime::new()?.block_on(send_all(arguments))
}

async fn send_all(arguments: &RequestArguments) -> Outcome<ExitCode> {
    let client = arguments.client()?;
    let token = value_or_file(&arguments.token)?;
    let request = arguments.request();
    let mut last = None;
    let mut all_succeeded = true;
    for _ in 0..arguments.repeat {
        let session = client.session().await?;
        if !last.is_some_and(|last| Arc::ptr_eq(&last, &session)) {
            arguments.tell(&session);
        }
        last = Some(session);
        let answer = client
            .send(request.clone(), &token, arguments.proving())
            .await?;
        all_succeeded &= answer.response.status().is_success();
        arguments.report(&answer);
        std::io::stdout().write_all(answer.response.body())?;
    }
    Ok(if all_succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl RequestArguments {
    fn options(&self) -> Options {
        let tls = if self.tls12 {
            TlsVersion::Tls12
        } else {
            TlsVersion::Tls13
        };
        let http = match (self.http1, self.http2) {
            (true, _) => HttpVersion::Http1,
            (_, true) => HttpVersion::Http2,
            _ => HttpVersion::Any,
        };
        Options {
            tls,
            http,
            server_name: self.server_name.clone(),
            server_spiffe_id: self.server_spiffe_id.clone(),
        }
    }

    fn proving(&self) -> Proving {
        match (self.no_proof, self.per_request) {
            (true, _) => Proving::Without,
            (_, true) => Proving::PerRequest,
            _ => Proving::Connection,
        }
    }

    fn request(&self) -> Request<bytes::Bytes> {
        let default = if self.data.is_some() {
            Method::POST
        } else {
            Method::GET
        };
        let mut request = Request::new(self.data.clone().unwrap_or_default().into());
        *request.method_mut() = self.method.clone().unwrap_or(default);
        *request.uri_mut() = self.url.clone();
        request.headers_mut().extend(self.header.iter().cloned());
        request
    }

    fn client(&self) -> Outcome<Client> {
        let files = self.identity.files(&self.cacert);
        let connector = Arc::new(FileConnector::open(files, self.options())?);
        let client = Client::new(connector, self.url.clone());
        Ok(match &self.connect {
            Some(address) => client.at(address.clone()),
            None => client,
        })
    }

    fn tell(&self, session: &Session) {
        if self.verbose {
            let facts = session.facts();
            let resumed = if facts.resumed { ", resumed" } else { "" };
            let http = if facts.http2 { "HTTP/2" } else { "HTTP/1.1" };
            eprintln!("* connected: {:?}{resumed}, {http}", facts.tls);
        }
    }

    fn report(&self, answer: &Answer) {
        if !self.verbose {
            return;
        }
        if let Some(refused) = &answer.refused {
            eprintln!("* refused: {}", describe(refused));
        }
        eprintln!("* proof: {}", describe_proof(answer.proof));
        eprintln!("* status: {}", answer.response.status());
        if let Some(challenge) = BearerChallenge::from_headers(answer.response.headers()) {
            eprintln!("* challenge: {}", describe(&challenge));
        }
    }
}

fn describe_proof(proof: ProofUse) -> &'static str {
    match proof {
        ProofUse::NotSent => "not sent",
        ProofUse::Made => "made",
        ProofUse::Reused => "reused",
        ProofUse::Renewed => "made again after a refusal, request sent again",
    }
}

/// The server's words, without the control characters that a terminal would act on.
fn describe(challenge: &BearerChallenge) -> String {
    let error = challenge.error.as_deref().unwrap_or("no error code");
    let description = challenge
        .error_description
        .as_deref()
        .unwrap_or("no description");
    format!("{error} ({description})")
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}

pub(crate) fn server_name(text: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(text.to_owned())
        .map_err(|_| "it must be a host name or address".to_owned())
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("a header is written NAME: VALUE")?;
    let name = name
        .trim()
        .parse()
        .map_err(|_| "the header name is not valid")?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| "the header value is not valid")?;
    Ok((name, value))
}
