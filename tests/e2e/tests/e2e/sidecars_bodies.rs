//! Both sidecars with large bodies, streams and trailers (P12).

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt as _, Collected, StreamBody};
use hyper::body::{Body, Bytes, Frame};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tls_session_binding_client::http::HttpVersion;
use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::ask::{Outcome, Present, SERVICE};
use tls_session_binding_e2e::stack::{Bootstrap, FILTER, Stack};
use tls_session_binding_e2e::upstream::MIRROR;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::chain::{Chain, egress, egress_http1};
use crate::counts::settled;
use crate::vocabulary::Passed;

const BODY_BYTES: usize = 10 << 20;
const PATIENCE: Duration = Duration::from_mins(1);
const CHECKSUM: HeaderName = HeaderName::from_static("x-checksum");
const SERVICE_OVER_HTTP2: &str = r#"connect_timeout: 2s
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http2_protocol_options: {} }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn p12_a_large_body_arrives_and_returns_intact() -> Result<()> {
    let body: Vec<u8> = (0_u32..)
        .flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(BODY_BYTES)
        .collect();
    let body = Bytes::from(body);
    for bootstrap in [egress()?, egress_http1()?] {
        // The request has to wait for the first connection; afterwards there is one.
        let chain = Chain::start(bootstrap).await?;
        let token = chain.token("alice")?;
        for version in [HttpVersion::Http1, HttpVersion::Http2] {
            let request = Request::post(format!("https://{SERVICE}{MIRROR}"))
                .token(&token)
                .body(body.clone())?;
            let answer = chain.send(version, request).await?;
            assert_eq!(Outcome::of(&answer), Passed);
            assert!(*answer.body() == body, "{version:?}");
        }
        assert!(expecting_to_continue(&chain, &token, &body).await? == body);
    }
    Ok(())
}

/// A body that counts what is taken of it.
fn streamed(
    frames: Vec<Frame<Bytes>>,
    taken: Arc<AtomicUsize>,
) -> impl Body<Data = Bytes, Error = Infallible> {
    StreamBody::new(stream::iter(frames).map(move |frame| {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        taken.fetch_add(bytes, SeqCst);
        Ok(frame)
    }))
}

/// What the service returns of a request with these frames.
async fn mirrored(chain: &Chain, frames: Vec<Frame<Bytes>>) -> Result<Collected<Bytes>> {
    let socket = TokioIo::new(TcpStream::connect(chain.egress.address).await?);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), socket).await?;
    tokio::spawn(connection);
    let request = Request::post(format!("https://{SERVICE}{MIRROR}"))
        .token(&chain.token("alice")?)
        .body(streamed(frames, Arc::default()))?;
    let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await??;
    assert_eq!(Outcome::of(&answer), Passed);
    Ok(answer.into_body().collect().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn p12_a_stream_with_trailers_arrives_and_returns_intact() -> Result<()> {
    // Envoy passes trailers of HTTP/1.1 on request only.
    let http1 = "http_protocol_options: { enable_trailers: true }";
    let egress_http1 = egress_http1()?.with("http_protocol_options: {}", http1);
    let ingress = Bootstrap::shipped("ingress.yaml")?
        .with(
            "codec_type: AUTO\n",
            &format!("codec_type: AUTO\n                {http1}\n"),
        )
        .with("connect_timeout: 2s\n", SERVICE_OVER_HTTP2);
    for bootstrap in [egress()?, egress_http1] {
        let chain = Chain::between(bootstrap, &ingress).await?;
        let trailers = HeaderMap::from_iter([(CHECKSUM, HeaderValue::from_static("42"))]);
        let parts = (0..200_u8).map(|part| Bytes::from(vec![part; 7_001]));
        let mut frames: Vec<_> = parts.clone().map(Frame::data).collect();
        frames.push(Frame::trailers(trailers.clone()));
        let returned = mirrored(&chain, frames).await?;
        assert_eq!(returned.trailers(), Some(&trailers));
        assert!(returned.to_bytes() == parts.collect::<Vec<_>>().concat());
    }
    Ok(())
}

/// Services may read a trailer as if it were a header.
#[tokio::test(flavor = "multi_thread")]
async fn a_trailer_that_a_service_may_take_for_the_verified_header_never_reaches_it() -> Result<()>
{
    const FORGED: [&str; 3] = [
        "x-session-binding",
        "x.session.binding",
        "session-binding-proof",
    ];
    let named = r#"value: '{"verified_header": "x-session-binding"}'"#;
    let ingress = Bootstrap::shipped("ingress.yaml")?
        .with(FILTER, named)
        .with("connect_timeout: 2s\n", SERVICE_OVER_HTTP2);
    let chain = Chain::between(egress()?, &ingress).await?;
    let mut trailers = HeaderMap::from_iter([(CHECKSUM, HeaderValue::from_static("42"))]);
    let expected = trailers.clone();
    for name in FORGED {
        trailers.append(name, HeaderValue::from_static("session_bound"));
    }
    let frames = vec![
        Frame::data(Bytes::from_static(b"x")),
        Frame::trailers(trailers),
    ];
    let returned = mirrored(&chain, frames).await?;
    assert_eq!(returned.trailers(), Some(&expected));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p12_a_request_that_waits_takes_no_more_of_its_body_than_the_bound() -> Result<()> {
    const FRAMES: usize = 1024;
    // A service that never says anything: the handshake does not end.
    let silent = TcpListener::bind(("127.0.0.1", 0)).await?;
    let nowhere = format!("port_value: {} ", silent.local_addr()?.port());
    let stack = Stack::ingress().await?;
    let bootstrap = egress_http1()?
        .with("port_value: 8443 ", &nowhere)
        .with("connect_timeout: 2s", "connect_timeout: 30s")
        .with(r#"value: "{}""#, r#"value: '{"max_wait": "2s"}'"#);
    let egress = stack
        .beside("egress", "egress", &bootstrap, stack.address)
        .await?;
    let chain = Chain { stack, egress };
    let taken = Arc::new(AtomicUsize::new(0));
    let data = Bytes::from(vec![0; 64 << 10]);
    let frames = (0..FRAMES).map(|_| Frame::data(data.clone())).collect();
    let socket = TokioIo::new(TcpStream::connect(chain.egress.address).await?);
    let (mut sender, connection) = http1::handshake(socket).await?;
    tokio::spawn(connection);
    let request = Request::post("/orders")
        .header("host", SERVICE)
        .token(&chain.token("alice")?)
        .body(streamed(frames, Arc::clone(&taken)))?;
    let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await??;
    assert_eq!(Outcome::of(&answer), Outcome::Status(503));
    assert_eq!(settled(&chain.egress.envoy, "waits.expired").await?, 1);
    // Envoy's bound for a connection is 1 MiB; the kernel has its own.
    let taken = taken.load(SeqCst) >> 20;
    assert!(taken < 16, "{taken} MiB");
    Ok(())
}

/// curl asks with `Expect: 100-continue` before it sends a large body.
async fn expecting_to_continue(chain: &Chain, token: &str, body: &Bytes) -> Result<Bytes> {
    let file = chain.stack.pki().join("body");
    std::fs::write(&file, body)?;
    let output = Command::new("curl")
        .args(["--silent", "--fail", "--http1.1", "--max-time", "30"])
        .args(["--expect100-timeout", "30", "--header"])
        .arg(format!("authorization: Bearer {token}"))
        .args(["--header", "expect: 100-continue", "--data-binary"])
        .arg(format!("@{}", file.display()))
        .arg(format!("http://{}{MIRROR}", chain.egress.address))
        .kill_on_drop(true)
        .output()
        .await?;
    assert!(output.status.success(), "curl: {:?}", output.status);
    Ok(output.stdout.into())
}
