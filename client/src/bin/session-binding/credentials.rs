//! `session-binding proof`, `token`, `jwks` and `pki`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tls_session_binding::base64url;
use tls_session_binding_client::dev::authorization_server::{
    AccessTokenClaims, AuthorizationServerKey, Confirmation,
};
use tls_session_binding_client::dev::pki::{self, Outcome as PkiOutcome};
use tls_session_binding_client::proof::ProofBuilder;
use tls_session_binding_client::signer::certificates_from_pem_file;
use tls_session_binding_client::{AccessToken, CertificateThumbprint, ExporterValue};

use crate::{ClientIdentity, Outcome, unix_time, value_or_file};

/// Print a session-binding proof for a given exporter value.
#[derive(Args)]
pub(crate) struct ProofArguments {
    #[command(flatten)]
    identity: ClientIdentity,
    /// Access token, or @FILE that holds it.
    #[arg(long, allow_hyphen_values = true, value_name = "TOKEN|@FILE")]
    token: String,
    /// Exporter value of the connection: 32 bytes in base64url without padding.
    #[arg(long, allow_hyphen_values = true, value_name = "BASE64URL", value_parser = exporter)]
    exporter: ExporterValue,
    /// Limit the proof to this method.
    #[arg(long, value_name = "METHOD")]
    htm: Option<String>,
    /// Limit the proof to this URL (without query and fragment).
    #[arg(long, value_name = "URL")]
    htu: Option<String>,
    /// Limit the proof to one use by this unique id.
    #[arg(long, allow_hyphen_values = true, value_name = "ID")]
    jti: Option<String>,
    /// Time of issue in seconds since the epoch [default: now].
    #[arg(long, value_name = "SECONDS")]
    iat: Option<u64>,
}

/// Print a development access token that is bound to a client certificate.
#[derive(Args)]
pub(crate) struct TokenArguments {
    /// Key of the authorization server (EC P-256, PKCS#8 PEM).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Issuer.
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// Audience.
    #[arg(long, value_name = "URL")]
    audience: String,
    /// Subject.
    #[arg(long, value_name = "NAME")]
    subject: String,
    #[command(flatten)]
    client: BoundTo,
    /// Bind it to the certificate only, so that it needs no proof (RFC 8705).
    #[arg(long)]
    no_tls_exp: bool,
    /// Lifetime in seconds, such as 300s.
    #[arg(long, value_name = "SECONDS", default_value = "300s", value_parser = seconds)]
    expires: u64,
    /// Key id [default: the JWK thumbprint of the key].
    #[arg(long, allow_hyphen_values = true, value_name = "ID")]
    kid: Option<String>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct BoundTo {
    /// Client certificate that the token is bound to (PEM).
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Its thumbprint instead: SHA-256 of the certificate, in base64url without padding.
    #[arg(long, allow_hyphen_values = true, value_name = "BASE64URL", value_parser = thumbprint)]
    thumbprint: Option<CertificateThumbprint>,
}

/// Print the JWK set of an authorization server's key.
#[derive(Args)]
pub(crate) struct JwksArguments {
    /// Key of the authorization server (EC P-256, PKCS#8 PEM).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Key id [default: the JWK thumbprint of the key].
    #[arg(long, allow_hyphen_values = true, value_name = "ID")]
    kid: Option<String>,
}

/// Make a development CA with certificates for a server, clients and a thief.
///
/// Keeps what is there, if it is complete and valid for another day.
#[derive(Args)]
pub(crate) struct PkiArguments {
    /// Directory for the certificates and keys.
    directory: PathBuf,
    /// Also make an authorization server's key here: key.pem and jwks.json.
    #[arg(long = "as", value_name = "DIR")]
    authorization_server: Option<PathBuf>,
    /// Replace what is there.
    #[arg(long)]
    force: bool,
}

pub(crate) fn proof(arguments: &ProofArguments) -> Outcome<ExitCode> {
    let token = value_or_file(&arguments.token)?;
    let token = AccessToken::parse(&token)
        .map_err(|_| "the access token is malformed")?
        .hash();
    let issued_at = arguments.iat.unwrap_or_else(unix_time);
    let mut proof = ProofBuilder::new(&token, &arguments.exporter, issued_at);
    if let Some(method) = &arguments.htm {
        proof = proof.method(method);
    }
    if let Some(uri) = &arguments.htu {
        proof = proof.target_uri(uri);
    }
    if let Some(id) = &arguments.jti {
        proof = proof.id(id);
    }
    println!("{}", proof.sign(&arguments.identity.signer()?)?.as_str());
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn token(arguments: &TokenArguments) -> Outcome<ExitCode> {
    let client = arguments.client.thumbprint()?;
    let now = unix_time();
    let claims = AccessTokenClaims {
        iss: arguments.issuer.clone(),
        aud: arguments.audience.clone(),
        sub: arguments.subject.clone(),
        iat: now,
        exp: now
            .checked_add(arguments.expires)
            .ok_or("--expires is too far in the future")?,
        cnf: if arguments.no_tls_exp {
            Confirmation::certificate_bound(&client)
        } else {
            Confirmation::session_bound(&client)
        },
    };
    let key = server_key(&arguments.key, arguments.kid.as_deref())?;
    println!("{}", key.access_token(&claims)?);
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn jwks(arguments: &JwksArguments) -> Outcome<ExitCode> {
    println!(
        "{:#}",
        server_key(&arguments.key, arguments.kid.as_deref())?.jwks()
    );
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn pki(arguments: &PkiArguments) -> Outcome<ExitCode> {
    let directory = arguments.directory.display();
    match pki::ensure(&arguments.directory, arguments.force)? {
        PkiOutcome::Made => println!("made a development CA and certificates in {directory}"),
        PkiOutcome::Kept => println!("kept the valid certificates in {directory}"),
    }
    if let Some(directory) = &arguments.authorization_server {
        AuthorizationServerKey::ensure(directory, arguments.force)?;
        println!(
            "the authorization server's key is in {}",
            directory.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn server_key(path: &Path, key_id: Option<&str>) -> Outcome<AuthorizationServerKey> {
    let key = AuthorizationServerKey::from_pem_file(path)?;
    Ok(match key_id {
        Some(key_id) => key.with_key_id(key_id),
        None => key,
    })
}

impl BoundTo {
    fn thumbprint(&self) -> Outcome<CertificateThumbprint> {
        if let Some(thumbprint) = &self.thumbprint {
            return Ok(*thumbprint);
        }
        let path = self.cert.as_deref().ok_or("give --cert or --thumbprint")?;
        let certificates = certificates_from_pem_file(path)?;
        let leaf = certificates.first().ok_or("there is no certificate")?;
        Ok(CertificateThumbprint::of_der(leaf))
    }
}

fn exporter(text: &str) -> Result<ExporterValue, String> {
    base64url::decode_array(text.as_bytes())
        .map(ExporterValue::from_bytes)
        .map_err(|_| "it must be 32 bytes in base64url without padding".to_owned())
}

fn thumbprint(text: &str) -> Result<CertificateThumbprint, String> {
    CertificateThumbprint::parse(text.as_bytes())
        .map_err(|_| "it must be 32 bytes in base64url without padding".to_owned())
}

fn seconds(text: &str) -> Result<u64, String> {
    let digits = text.strip_suffix('s').unwrap_or(text);
    digits
        .parse()
        .map_err(|_| "it must be a number of seconds, such as 300s".to_owned())
}
