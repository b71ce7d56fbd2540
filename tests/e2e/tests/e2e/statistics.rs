//! Statistics: every one is in docs/reference.md, and Prometheus sees reasons and rules as labels.

use std::collections::BTreeSet;

use tls_session_binding::decide::Verdict;
use tls_session_binding::error::{ClientFault, HostFault};
use tls_session_binding_e2e::stack::Stack;
use tls_session_binding_e2e::{Result, root};

use crate::counts::until;
use crate::credentials::Bring::{NoProof, Proof, StolenToken};
use crate::credentials::Client;
use crate::policy::with_policy;
use crate::vocabulary::HTTP2;

const RULES: &str = r#"{"rules":[{"name":"trial","path":{"prefix":"/trial"},"mode":"observe"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn counters_have_verdict_reason_and_rule_as_labels_and_are_there_from_the_start() -> Result<()>
{
    let tags = std::fs::read_to_string(root().join("envoy/monitoring/stats.yaml"))?;
    let with_tags = format!("{tags}\nstatic_resources:");
    let bootstrap = with_policy(RULES)?.with("static_resources:", &with_tags);
    let stack = Stack::start(&bootstrap).await?;
    let client = Client::connect(&stack, HTTP2).await?;
    for (bring, path) in [
        (NoProof, "/trial"),
        (NoProof, "/"),
        (NoProof, "/"),
        (StolenToken, "/"),
        (Proof, "/trial"),
    ] {
        client
            .try_with(bring, "GET", &format!("service.demo{path}"))
            .await?;
    }
    until(&stack.envoy, "admitted.session_bound.trial", |count| {
        count == 1
    })
    .await?;
    let shown = series(&stack.envoy.admin_get("/stats/prometheus").await?);
    let expected: BTreeSet<_> = ["default", "trial"].into_iter().flat_map(of_rule).collect();
    let times = |series: &str| match series {
        r#"session_binding_refused{reason="proof_missing",rule="default"}"# => 2,
        r#"session_binding_refused{reason="certificate_not_confirmed",rule="default"}"#
        | r#"session_binding_observed{reason="proof_missing",rule="trial"}"#
        | r#"session_binding_admitted{rule="trial",verdict="session_bound"}"# => 1,
        _ => 0,
    };
    let expected = expected
        .into_iter()
        .map(|series| format!("{series} {}", times(&series)))
        .collect();
    assert_eq!(shown, expected);
    Ok(())
}

/// The series that each rule has.
fn of_rule(rule: &str) -> Vec<String> {
    let by_reason = |name: &str, reason: &str| {
        format!(r#"session_binding_{name}{{reason="{reason}",rule="{rule}"}}"#)
    };
    let client = ClientFault::ALL.iter().map(|fault| fault.reason());
    let host = HostFault::ALL.iter().map(|fault| fault.reason());
    let admitted = Verdict::ALL.iter().map(|verdict| {
        let verdict = verdict.name();
        format!(r#"session_binding_admitted{{rule="{rule}",verdict="{verdict}"}}"#)
    });
    let refused = client.clone().map(|reason| by_reason("refused", reason));
    let failed = host.clone().map(|reason| by_reason("failed", reason));
    let observed = client
        .chain(host)
        .map(|reason| by_reason("observed", reason));
    admitted
        .chain(refused)
        .chain(failed)
        .chain(observed)
        .collect()
}

/// The lines of the four counters, with their labels in order.
fn series(prometheus: &str) -> BTreeSet<String> {
    let wanted =
        ["admitted", "refused", "failed", "observed"].map(|name| format!("session_binding_{name}"));
    let line = |line: &str| {
        let (name, rest) = line.split_once('{')?;
        let (labels, value) = rest.split_once("} ")?;
        let mut labels: Vec<_> = labels.split(',').collect();
        labels.sort_unstable();
        let is_wanted = wanted
            .iter()
            .any(|wanted| name.starts_with(wanted.as_str()));
        is_wanted.then(|| format!("{name}{{{}}} {value}", labels.join(",")))
    };
    prometheus.lines().filter_map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_names_every_statistic_of_the_filter_and_no_other() -> Result<()> {
    let reference = std::fs::read_to_string(root().join("docs/reference.md"))?;
    let documented = documented(&reference);
    let stack = Stack::start(&with_policy(RULES)?).await?;
    let client = Client::connect(&stack, HTTP2).await?;
    client.try_with(Proof, "GET", "service.demo/").await?;
    let all = stack.envoy.admin_get("/stats").await?;
    let is_ours = |name: &&str| name.starts_with("wasmcustom.session_binding.");
    let names: BTreeSet<_> = all
        .lines()
        .filter_map(|line| line.split(':').next())
        .filter(is_ours)
        .collect();
    let (mut unknown, mut unused) = (names.clone(), documented.clone());
    for name in &names {
        let name = name.trim_start_matches("wasmcustom.");
        for pattern in documented.iter().filter(|pattern| matches(pattern, name)) {
            unknown.remove(format!("wasmcustom.{name}").as_str());
            unused.remove(pattern);
        }
    }
    assert!(names.len() > 100, "{names:?}");
    assert_eq!((unknown, unused), (BTreeSet::new(), BTreeSet::new()));
    Ok(())
}

/// The names in the table; one that begins with a dot differs from the name before it in its
/// last part.
fn documented(reference: &str) -> BTreeSet<String> {
    let rows = reference.lines().filter(|line| {
        ["| counter", "| gauge", "| histogram"]
            .iter()
            .any(|kind| line.starts_with(kind))
    });
    let mut names = BTreeSet::new();
    for row in rows {
        let cell = row.split('|').nth(1).unwrap_or_default();
        let mut stem = "";
        for name in cell.split('`').skip(1).step_by(2) {
            if name.starts_with('.') {
                names.insert(format!("{stem}{name}"));
            } else {
                stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
                names.insert(name.to_owned());
            }
        }
    }
    names
}

/// `<this>` stands for any one part of a name.
fn matches(pattern: &str, name: &str) -> bool {
    pattern.split('.').count() == name.split('.').count()
        && pattern
            .split('.')
            .zip(name.split('.'))
            .all(|(pattern, part)| pattern == part || pattern.starts_with('<'))
}
