//! What the host lacks is told once, before the first request; what is refused is told now and then.

use std::time::{Duration, Instant};

use tls_session_binding_e2e::Result;
use tls_session_binding_e2e::stack::{Bootstrap, Stack};

use crate::credentials::Bring::{NoProof, Nothing};
use crate::credentials::Client;
use crate::host_calls::restriction;
use crate::vocabulary::{HTTP2, configured};

const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);
const WORKERS: usize = 2;
/// Connections that are enough to reach every worker.
const CONNECTIONS: usize = 20;

const COMPLETE: &str = "session binding: the host provides everything that binding needs";
const INCOMPLETE: &str = "session binding: the host does not provide: ";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_provides_is_judged_on_connections_with_a_token_and_logged_once_per_vm()
-> Result<()> {
    let filter = r#"{"exporter":{"property":["filter_state","nowhere"]}}"#;
    let certificate = r#"{"client_certificate":{"property":["filter_state","nowhere"]}}"#;
    let neither = r#"{"exporter":{"property":["filter_state","nowhere"]},
        "client_certificate":{"property":["filter_state","nowhere"]}}"#;
    let cases = [
        (configured("{}")?, [1, 1, 1, 1], COMPLETE.to_owned()),
        (
            configured(filter)?,
            [0, 1, 1, 1],
            format!("{INCOMPLETE}exporter."),
        ),
        (
            configured(certificate)?,
            [1, 0, 1, 1],
            format!("{INCOMPLETE}client_certificate."),
        ),
        (
            configured(neither)?,
            [0, 0, 1, 1],
            format!("{INCOMPLETE}exporter, client_certificate."),
        ),
        (
            without_foreign_functions()?,
            [1, 1, 1, 0],
            COMPLETE.to_owned(),
        ),
    ];
    for (bootstrap, expected, line) in cases {
        let stack = Stack::start(&bootstrap).await?;
        let party = stack.party("client", HTTP2)?;
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS {
            open.push(party.connect().await?);
        }
        // A connection that presents nothing, such as a load balancer's, says nothing.
        let silent = Client::connect(&stack, HTTP2).await?;
        silent.try_with(Nothing, "GET", "service.demo/").await?;
        let log = stack.envoy.log();
        assert!(
            !log.contains(COMPLETE) && !log.contains(INCOMPLETE),
            "{log}"
        );
        for _ in 0..CONNECTIONS {
            let client = Client::connect(&stack, HTTP2).await?;
            client.try_with(NoProof, "GET", "service.demo/").await?;
        }
        let told = until(&stack, |log| log.contains(&line)).await;
        assert!(told, "{line} in\n{}", stack.envoy.log());
        let names = [
            "exporter",
            "client_certificate",
            "connection_id",
            "verify_signature",
        ];
        for (name, value) in names.into_iter().zip(expected) {
            let gauge = format!("session_binding.host.{name}");
            assert_eq!(stack.envoy.stat(&gauge).await?, value, "{gauge}: {line}");
        }
        let client = Client::connect(&stack, HTTP2).await?;
        client.try_with(NoProof, "GET", "service.demo/").await?;
        let log = stack.envoy.log();
        let lines = [COMPLETE, INCOMPLETE].map(|line| log.matches(line).count());
        assert!((1..=WORKERS).contains(&(lines[0] + lines[1])), "{log}");
    }
    Ok(())
}

/// Envoy keeps `verify_signature` from the filter; both of its roles have one VM.
fn without_foreign_functions() -> Result<Bootstrap> {
    let restriction = restriction("proxy_call_foreign_function");
    let mut bootstrap = Bootstrap::shipped("ingress.yaml")?;
    for (name, depth) in [
        ("tls_session_binding_purge", 18),
        ("tls_session_binding", 24),
    ] {
        let indent = " ".repeat(depth);
        let line = format!("name: {name}\n{indent}failure_policy");
        let restricted = format!("name: {name}\n{indent}{restriction}\n{indent}failure_policy");
        bootstrap = bootstrap.with(&line, &restricted);
    }
    Ok(bootstrap)
}

/// Requests in one burst.
const BURST: u64 = 300;
/// Lines of one VM in one second.
const LINES_PER_SECOND: u64 = 10;

/// One connection, so one VM.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_logged_ten_times_a_second_and_counted_beyond_that() -> Result<()> {
    for (configuration, what) in [("{}", "refused"), (r#"{"mode":"observe"}"#, "would refuse")] {
        let stack = Stack::start(&configured(configuration)?).await?;
        let client = Client::connect(&stack, HTTP2).await?;
        let begin = Instant::now();
        for _ in 0..BURST {
            client.try_with(NoProof, "GET", "service.demo/").await?;
        }
        let seconds = begin.elapsed().as_secs() + 2;
        let line =
            format!("session binding: {what}: reason=proof_missing rule=default connection=");
        let in_burst = Told::by(&stack.envoy.log(), &line);
        assert!(
            in_burst.lines <= LINES_PER_SECOND * seconds,
            "{in_burst:?} in {seconds} s"
        );
        assert!(in_burst.lines < BURST, "{in_burst:?}");
        // In another second a line tells how many were left out.
        let mut sent = BURST;
        let deadline = Instant::now() + PATIENCE;
        let mut told = in_burst;
        while told.lines + told.left_out < sent && Instant::now() < deadline {
            tokio::time::sleep(PAUSE).await;
            client.try_with(NoProof, "GET", "service.demo/").await?;
            sent += 1;
            told = Told::by(&stack.envoy.log(), &line);
        }
        assert_eq!(told.lines + told.left_out, sent, "{}", stack.envoy.log());
    }
    Ok(())
}

#[derive(Debug)]
struct Told {
    lines: u64,
    left_out: u64,
}

impl Told {
    fn by(log: &str, line: &str) -> Self {
        let lines: Vec<_> = log.lines().filter(|text| text.contains(line)).collect();
        let left_out = |text: &&str| -> Option<u64> {
            let (_, rest) = text.split_once(" (")?;
            rest.split_once(" more in an earlier second)")?
                .0
                .parse()
                .ok()
        };
        Self {
            lines: lines.len() as u64,
            left_out: lines.iter().filter_map(left_out).sum(),
        }
    }
}

async fn until(stack: &Stack, is_there: impl Fn(&str) -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !is_there(&stack.envoy.log()) {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
    true
}
