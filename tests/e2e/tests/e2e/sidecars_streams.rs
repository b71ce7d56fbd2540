//! What takes long, through both sidecars: event streams and `WebSockets`.

use std::time::Duration;

use hyper::body::Bytes;
use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::{Outcome, Present, get};
use tls_session_binding_e2e::upstream::DRIP;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::chain::{Chain, egress, egress_http1};
use crate::vocabulary::Passed;

/// Longer than Envoy lets a response take by itself.
const SECONDS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(10);

/// What the sidecars are asked to switch to.
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn all_of_a_slow_stream(chain: &Chain) -> Result<()> {
    let request = get(&format!("{DRIP}{SECONDS}")).token(&chain.token("alice")?);
    let answer = chain.send(HttpVersion::Http1, request.empty()).await?;
    assert_eq!(Outcome::of(&answer), Passed);
    let expected = "data: tick\n\n".repeat(SECONDS);
    assert_eq!(answer.body(), &Bytes::from(expected));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_may_take_as_long_as_something_comes() -> Result<()> {
    let (http2, http1) = (
        Chain::start(egress()?).await?,
        Chain::start(egress_http1()?).await?,
    );
    let (first, second) = tokio::join!(all_of_a_slow_stream(&http2), all_of_a_slow_stream(&http1));
    first.and(second)
}

/// A service that switches to another protocol and then sends back what it gets, once.
async fn switching() -> Result<(u16, tokio::task::JoinHandle<()>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let service = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(switch(stream));
        }
    });
    Ok((port, service))
}

async fn switch(mut stream: TcpStream) -> Result<()> {
    let head = head(&mut stream).await?;
    let switching =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let slow = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
    if head.to_ascii_lowercase().contains("upgrade: websocket") {
        stream.write_all(switching.as_bytes()).await?;
        let mut bytes = [0; 64];
        let count = stream.read(&mut bytes).await?;
        stream
            .write_all(bytes.get(..count).unwrap_or_default())
            .await?;
    } else {
        stream.write_all(slow.as_bytes()).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        stream.write_all(b"done").await?;
    }
    // Until the other side has what it wants.
    let _rest = stream.read(&mut [0; 64]).await?;
    Ok(())
}

async fn head(stream: &mut TcpStream) -> Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        if timeout(PATIENCE, stream.read_buf(&mut bytes)).await?? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_passes_both_sidecars_and_another_stream_survives_it() -> Result<()> {
    for bootstrap in [egress()?, egress_http1()?] {
        let (port, service) = switching().await?;
        let to_service = format!("port_value: {port} ");
        let ingress = tls_session_binding_e2e::stack::Bootstrap::shipped("ingress.yaml")?
            .with("port_value: 8080 ", &to_service);
        let chain = Chain::between(bootstrap, &ingress).await?;
        let token = chain.token("alice")?;
        let other = get("/orders").token(&token).empty();
        let other = chain.send(HttpVersion::Http2, other);
        let web_socket = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let mut stream = TcpStream::connect(chain.egress.address).await?;
            let request = format!(
                "GET /chat HTTP/1.1\r\nHost: service.demo\r\nAuthorization: Bearer {token}\r\n{UPGRADE}\r\n"
            );
            stream.write_all(request.as_bytes()).await?;
            let head = head(&mut stream).await?;
            assert!(head.starts_with("HTTP/1.1 101"), "{head}");
            stream.write_all(b"ping").await?;
            let mut echo = [0; 4];
            timeout(PATIENCE, stream.read_exact(&mut echo)).await??;
            assert_eq!(&echo, b"ping");
            Ok::<_, tls_session_binding_e2e::Error>(())
        };
        let (other, web_socket) = tokio::join!(other, web_socket);
        web_socket?;
        assert_eq!(other?.body(), &Bytes::from("done"));
        service.abort();
    }
    Ok(())
}
