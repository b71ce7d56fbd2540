//! Arguments: host, port, certificate, key, authorities, token.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use tls_session_binding_client::http::{Connector, HttpVersion, Options, Proving, trust_anchors};
use tls_session_binding_client::signer::Signer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, certificate, key, authorities, token] = arguments.as_slice() else {
        return Err("six arguments".into());
    };
    let signer = Signer::from_pem_files(Path::new(certificate), Path::new(key))?;
    let trusted = trust_anchors(Path::new(authorities))?;
    let options = Options {
        http: HttpVersion::Http1,
        ..Options::default()
    };
    let connector = Connector::new(Arc::new(signer), trusted, options)?;
    let url = format!("https://{host}/orders");
    let address = ("127.0.0.1", port.parse()?);
    // One connection. For each token it signs one proof, and sends that again with later requests.
    let session = connector.connect_to(address, &url.parse()?).await?;
    let request = Request::get(&url).body(Bytes::new())?;
    let answer = session.send(request, token, Proving::Connection).await?;
    let (parts, body) = answer.response.into_parts();
    println!("{:?} {}", parts.version, parts.status);
    println!("{}", String::from_utf8_lossy(&body));
    Ok(())
}
