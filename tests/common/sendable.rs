//! Whether a case can be put to a real Envoy, where headers of the request stand for what the module says.

use super::judge::Situation;
use super::recipe::{Case, Expect, ReplayMemory};
use super::scene::Scene;

/// Why a case cannot be sent, if it cannot.
pub(crate) fn obstacle(case: &Case) -> Option<&'static str> {
    let steps = case.steps();
    if case.replay_memory != ReplayMemory::Empty || steps.iter().any(|step| step.before.is_some()) {
        Some("memory cannot be prepared")
    } else if steps.iter().any(|step| step.request.now.is_some()) {
        Some("the clock cannot be set")
    } else if steps.iter().any(|step| step.request.claims.is_some()) {
        Some("no other filter verifies the token")
    } else if steps.iter().any(|step| step.request.is_redirected) {
        Some("no route redirects the request")
    } else if steps
        .iter()
        .any(|step| matches!(step.expect, Expect::Misconfigured(_)))
    {
        Some("no listener takes such a configuration")
    } else {
        let requests = steps
            .iter()
            .map(|step| Scene::default().situation(&step.request));
        obstacle_of(&requests.collect::<Vec<_>>())
    }
}

fn obstacle_of(situations: &[Situation]) -> Option<&'static str> {
    if situations
        .windows(2)
        .any(|pair| pair[0].config != pair[1].config)
    {
        Some("the configuration cannot change")
    } else if !situations.iter().all(is_a_request) {
        Some("no HTTP request holds these bytes")
    } else if !situations.iter().all(is_said_by_a_header) {
        Some("no header holds what the host says")
    } else {
        None
    }
}

fn is_a_request(situation: &Situation) -> bool {
    let line = [&situation.method, &situation.authority, &situation.path];
    let values = situation.authorization.iter().chain(&situation.proof);
    line.iter()
        .all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_graphic))
        && values
            .into_iter()
            .all(|value| !value.iter().any(|byte| b"\0\r\n".contains(byte)))
}

/// Only printable characters arrive as they were; Envoy takes a header that is empty for one that is not there.
fn is_said_by_a_header(situation: &Situation) -> bool {
    let config = std::str::from_utf8(&situation.config).is_ok();
    config
        && [&situation.exporter, &situation.certificate]
            .iter()
            .all(|value| value.iter().all(u8::is_ascii_graphic))
}
