//! The command `session-binding`, and `session-binding request`.

use std::path::Path;
use std::process::{Command, Output};

use crate::server::{Behaviour, Server, file};

pub(crate) fn session_binding(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_session-binding"))
        .args(arguments)
        .output()
        .unwrap()
}

/// Standard output of a command that succeeds.
pub(crate) fn output_of(arguments: &[&str]) -> String {
    let output = session_binding(arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs `session-binding request` as the client, with `options` after the URL.
fn request(server: &Server, options: &[&str]) -> Output {
    let (certificate, key, ca) = (file("client.pem"), file("client.key"), file("ca.pem"));
    let url = server.url("/orders").to_string();
    let mut arguments = vec![
        "request",
        &url,
        "--cert",
        text(&certificate),
        "--key",
        text(&key),
    ];
    arguments.extend(["--cacert", text(&ca), "--token", "secret-token"]);
    arguments.extend(options);
    session_binding(&arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_tells_what_happened_without_secrets() {
    let server = Server::start(Behaviour::Judge).await;
    for (options, facts) in [
        (&["--http2"][..], "* connected: TLSv1_3, HTTP/2"),
        (&["--http1", "--tls12"], "* connected: TLSv1_2, HTTP/1.1"),
    ] {
        let output = request(
            &server,
            &[options, &["--repeat", "3", "--verbose"]].concat(),
        );
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(output.stdout, b"served\nserved\nserved\n");
        let told = String::from_utf8(output.stderr).unwrap();
        let expected = format!(
            "{facts}\n* proof: made\n* status: 200 OK\n{}",
            "* proof: reused\n* status: 200 OK\n".repeat(2)
        );
        assert_eq!(told, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_and_ends_with_status_1() {
    let server = Server::start(Behaviour::Refuse(9, "use_session_binding")).await;
    let output = request(&server, &["--no-proof", "--verbose"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("* proof: not sent\n* status: 401 Unauthorized\n"),
        "{told}"
    );
    assert!(
        told.contains("* challenge: use_session_binding (by the test)\n"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn method_data_and_another_address_are_taken() {
    let server = Server::start(Behaviour::Judge).await;
    let address = format!("127.0.0.1:{}", server.port);
    let post = request(
        &server,
        &["--connect", &address, "--data", "{}", "--per-request"],
    );
    assert_eq!(post.status.code(), Some(0));
    let delete = request(&server, &["--method", "DELETE", "--header", "X-Trace: 1"]);
    assert_eq!(delete.status.code(), Some(0));
    let methods: Vec<_> = server.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, ["POST", "DELETE"]);
}

#[test]
fn no_answer_ends_with_status_2() {
    let (certificate, key, ca) = (file("client.pem"), file("client.key"), file("ca.pem"));
    let identity = [
        "--cert",
        text(&certificate),
        "--key",
        text(&key),
        "--cacert",
        text(&ca),
    ];
    for url in ["https://localhost:1/", "http://localhost/", "/path"] {
        let arguments = [&["request", url, "--token", "t"], &identity[..]].concat();
        assert_eq!(session_binding(&arguments).status.code(), Some(2), "{url}");
    }
}
