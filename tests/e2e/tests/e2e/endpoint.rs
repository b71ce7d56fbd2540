//! Peers that are no TLS clients, or no good ones: each ends its own connection, and others are served.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::stack::{Bootstrap, Stack};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::vocabulary::{HTTP2, Passed, token, try_proof};

/// The beginning of a `ClientHello` of 508 bytes.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
const PATIENCE: Duration = Duration::from_secs(5);

/// M03
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_tls_gets_an_alert_at_most() -> Result<()> {
    let stack = Stack::ingress().await?;
    let large = [b"\x16\x03\x01\xff\xff".as_slice(), &vec![0; 70_000]].concat();
    let tls_1_1 = [
        b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x02".as_slice(),
        &[7; 32],
        b"\x00\x00\x02\xc0\x13\x01\x00",
    ]
    .concat();
    let random: Vec<u8> = (0..=255).cycle().skip(7).step_by(11).take(4096).collect();
    let peers = [
        (
            "plain HTTP",
            b"GET / HTTP/1.1\r\nHost: service.demo\r\n\r\n".as_slice(),
        ),
        ("HTTP/2 in the clear", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("PROXY protocol", b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"),
        ("a record of 2^16", &large),
        ("another version", b"\x16\x09\x09\x00\x04\x01\x00\x00\x00"),
        ("application data first", b"\x17\x03\x03\x00\x04abcd"),
        ("an alert first", b"\x15\x03\x03\x00\x02\x02\x28"),
        ("an empty handshake record", b"\x16\x03\x01\x00\x00"),
        ("TLS 1.1", &tls_1_1),
        ("random bytes", &random),
    ];
    for (peer, bytes) in peers {
        let answer = tokio::time::timeout(PATIENCE, answer_to(stack.address, bytes)).await?;
        assert!(
            matches!(answer.first(), None | Some(0x15)),
            "{peer}: {answer:?}"
        );
        is_served(&stack).await?;
    }
    Ok(())
}

/// M01
#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_never_ends_is_ended_and_keeps_nobody_out() -> Result<()> {
    let quick = (
        "transport_socket_connect_timeout: 10s",
        "transport_socket_connect_timeout: 1s",
    );
    let bootstrap = Bootstrap::shipped("ingress.yaml")?.with(quick.0, quick.1);
    let stack = Stack::start(&bootstrap).await?;
    let begin = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..500 {
        let mut peer = TcpStream::connect(stack.address).await?;
        peer.write_all(HALF_A_HELLO).await?;
        silent.push(peer);
    }
    is_served(&stack).await?;
    for mut peer in silent {
        let end = tokio::time::timeout(PATIENCE, peer.read_to_end(&mut Vec::new())).await;
        assert!(end.is_ok(), "open after {:?}", begin.elapsed());
    }
    is_served(&stack).await
}

/// What comes back until the other side closes; a reset is an end too.
async fn answer_to(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    if let Ok(mut peer) = TcpStream::connect(address).await {
        let _ = peer.write_all(bytes).await;
        let _ = peer.shutdown().await;
        let _ = peer.read_to_end(&mut answer).await;
    }
    answer
}

/// A genuine request passes.
async fn is_served(stack: &Stack) -> Result<()> {
    let party = stack.party("client", HTTP2)?;
    let token = token(stack, &party)?;
    let connection = party.connect().await?;
    let proof = party.proof(&token, connection.exporter())?;
    assert_eq!(try_proof(stack, &connection, &token, &proof).await?, Passed);
    Ok(())
}
