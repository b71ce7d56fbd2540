//! The protocol as simply as it can be said: every rule, for every request, nothing kept but what was sent.

use std::collections::HashMap;

use super::configuration::{Configuration, Demand, ProofRules, Rule};
use super::traffic::{
    Authorization, Bound, CERTIFICATES, Claims, Connection, Part, Proof, Request, Shown, Token,
};

/// What `jwt_authn` allows a token's `exp`, in seconds.
const TOKEN_TOLERANCE: u64 = 60;

/// What has to become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// It goes on, so called.
    Goes(&'static str),
    /// It may go on, so called, by what was verified before; or be refused because that is forgotten, or
    /// because more is remembered than has to be.
    MayGo(&'static str),
    /// `CONNECT`, whose rules differ in what they demand.
    Either,
    Refused,
}

/// All that a request is judged by.
pub(super) struct Case<'a> {
    pub(super) configuration: &'a Configuration,
    pub(super) connection: &'a Connection,
    pub(super) request: &'a Request,
    pub(super) tokens: &'a [Token],
    pub(super) proofs: &'a [Proof],
    pub(super) now: u64,
}

/// Under what a proof was found fresh.
#[derive(PartialEq, Eq, Hash)]
struct Found {
    configuration: String,
    rules: ProofRules,
    exporter: [u8; 32],
    certificate: usize,
    token: String,
    claims: Option<Claims>,
    proof: String,
}

/// A `jti` that was accepted.
struct Seen {
    configuration: String,
    proof: String,
    /// The last second at which its proof was fresh under its rule.
    until: u64,
}

/// What was sent and good.
#[derive(Default)]
pub(super) struct Reference {
    fresh: HashMap<Found, u64>,
    seen: HashMap<(u64, &'static str), Vec<Seen>>,
}

impl Reference {
    /// What has to become of the request, and whether its rule only observes.
    pub(super) fn judge(&mut self, case: &Case<'_>) -> (Expected, bool) {
        let (demands, is_certain) = possible(case.configuration, case.request);
        let observes = demands.iter().all(|demand| demand.mode == "observe");
        if !is_certain && case.request.path.is_some() {
            return (Expected::Refused, observes);
        }
        let mut expected = demands.iter().map(|demand| self.under(case, *demand));
        let first = expected.next().unwrap();
        let same = expected.all(|next| next == first);
        (if same { first } else { Expected::Either }, observes)
    }

    fn under(&self, case: &Case<'_>, demand: Demand) -> Expected {
        self.verdict(case, demand).unwrap_or(Expected::Refused)
    }

    /// `None` is a refusal.
    fn verdict(&self, case: &Case<'_>, demand: Demand) -> Option<Expected> {
        let (request, configuration) = (case.request, case.configuration);
        if request.has_token_header && configuration.tells_header {
            return None;
        }
        let Authorization::Bearer(token) = request.authorization else {
            return goes_without_token(case, demand).then_some(Expected::Goes("without_token"));
        };
        let token = &case.tokens[token];
        let claims = claims(case, token)?;
        let (number, is_session) = match claims.bound {
            Bound::No if demand.mode != "enforce" && request.proofs.len() < 2 => {
                return Some(Expected::Goes("unbound"));
            }
            Bound::Certificate(number) if demand.mode != "enforce" => (number, false),
            Bound::Session(number) => (number, true),
            _ => return None,
        };
        // V-a, V-c
        let is_shown = case.connection.shown == Shown::Certificate(number);
        let is_alive = case.now <= CERTIFICATES[number].not_after
            && claims
                .exp
                .is_none_or(|exp| case.now <= exp + TOKEN_TOLERANCE);
        if !is_shown || !is_alive || request.proofs.len() > 1 {
            return None;
        }
        if !is_session {
            return Some(Expected::Goes("certificate_bound"));
        }
        // V-d
        let proof = &case.proofs[*request.proofs.first()?];
        let is_good = proves(case, token, number, proof) && has_claims(case, demand.proof, proof);
        is_good.then(|| self.at_its_time(case, demand.proof, proof))?
    }

    /// V-h, and V-i for `jti`.
    fn at_its_time(&self, case: &Case<'_>, rules: ProofRules, proof: &Proof) -> Option<Expected> {
        let tolerance = case.configuration.tolerance;
        let bound = Some(Expected::Goes("session_bound"));
        let is_fresh = proof.iat <= case.now + tolerance
            && case.now <= proof.iat + rules.max_age + tolerance
            && proof.exp.is_none_or(|exp| case.now < exp + tolerance);
        if proof.is_for_one_request() {
            let seen = proof
                .jti
                .and_then(|jti| self.seen.get(&(case.connection.id, jti)));
            let seen = seen.map_or(&[][..], Vec::as_slice);
            let is_used = |seen: &Seen| {
                case.now <= seen.until
                    || (seen.proof == proof.text && seen.configuration == case.configuration.text)
            };
            return match is_fresh {
                true if seen.iter().any(is_used) => None,
                true if seen.is_empty() => bound,
                true => Some(Expected::MayGo("session_bound")),
                false => None,
            };
        }
        if is_fresh {
            return bound;
        }
        let found = self.fresh.get(&found(case, rules, proof)?)?;
        let is_alive = proof.exp.is_none_or(|exp| case.now < exp + tolerance);
        let age = case.configuration.max_binding_age;
        let is_kept = age.is_none_or(|age| case.now <= found + age);
        (is_alive && is_kept && case.configuration.keeps)
            .then_some(Expected::MayGo("session_bound"))
    }

    /// Takes note of a request that went on as `session_bound`.
    pub(super) fn note(&mut self, case: &Case<'_>) {
        let Some(&proof) = case.request.proofs.first() else {
            return;
        };
        let proof = &case.proofs[proof];
        let tolerance = case.configuration.tolerance;
        let (demands, _) = possible(case.configuration, case.request);
        for demand in demands {
            let until = proof.iat + demand.proof.max_age + tolerance;
            let is_fresh = proof.iat <= case.now + tolerance && case.now <= until;
            if !is_fresh {
                continue;
            }
            if let Some(jti) = proof.jti {
                let seen = Seen {
                    configuration: case.configuration.text.clone(),
                    proof: proof.text.clone(),
                    until,
                };
                self.seen
                    .entry((case.connection.id, jti))
                    .or_default()
                    .push(seen);
            } else if let Some(found) = found(case, demand.proof, proof) {
                self.fresh.insert(found, case.now);
            }
        }
    }
}

fn found(case: &Case<'_>, rules: ProofRules, proof: &Proof) -> Option<Found> {
    let Authorization::Bearer(token) = case.request.authorization else {
        return None;
    };
    let Shown::Certificate(certificate) = case.connection.shown else {
        return None;
    };
    Some(Found {
        configuration: case.configuration.text.clone(),
        rules,
        exporter: case.connection.exporter?,
        certificate,
        token: case.tokens[token].text.clone(),
        claims: case
            .request
            .claims
            .filter(|_| case.configuration.by_property),
        proof: proof.text.clone(),
    })
}

/// The claims that count, if they can be read and are the token's.
fn claims(case: &Case<'_>, token: &Token) -> Option<Claims> {
    if !case.configuration.by_property {
        return token.is_jwt.then_some(token.claims);
    }
    let claims = case.request.claims?;
    (!token.is_jwt || claims == token.claims).then_some(claims)
}

fn goes_without_token(case: &Case<'_>, demand: Demand) -> bool {
    let hidden = match case.request.authorization {
        Authorization::Twice(_) => return false,
        Authorization::Within(token) => Some(&case.tokens[token]),
        _ => None,
    };
    let is_bound = |token: &Token| token.is_jwt && token.claims.bound != Bound::No;
    let is_elsewhere = if case.configuration.by_property {
        case.request.claims.is_some()
    } else {
        hidden.is_some_and(is_bound)
    };
    !is_elsewhere && !demand.refuses_without_token && case.request.proofs.is_empty()
}

/// V-e, V-f, V-g
fn proves(case: &Case<'_>, token: &Token, certificate: usize, proof: &Proof) -> bool {
    proof.named == certificate
        && proof
            .signer
            .is_some_and(|signer| CERTIFICATES[signer].spki == CERTIFICATES[certificate].spki)
        && case.connection.exporter == Some(proof.exporter)
        && proof.token == token.text
}

/// V-i, but for whether `jti` is new.
fn has_claims(case: &Case<'_>, rules: ProofRules, proof: &Proof) -> bool {
    let request = case.request;
    let is_target = |(host, path)| {
        // `https://host`, which is `https://host/`, is what a `CONNECT` can be meant by.
        let own_path = request.path.map_or(Some("/"), |path| path.meant);
        let own_host = request.host.meant;
        own_host == Some(host) && own_path == Some(path)
    };
    let complete = (!rules.htm || proof.htm.is_some())
        && (!rules.htu || proof.htu.is_some())
        && (!rules.jti || proof.jti.is_some());
    complete
        && proof.htm.is_none_or(|method| method == request.method)
        && proof.htu.is_none_or(is_target)
}

/// What the request may have to fulfil, and whether it is certain which.
fn possible(configuration: &Configuration, request: &Request) -> (Vec<Demand>, bool) {
    let mut demands = Vec::new();
    for rule in &configuration.rules {
        match is_for(rule, request) {
            Some(false) => {}
            Some(true) => {
                let is_certain = demands.is_empty();
                demands.push(rule.demand);
                return (demands, is_certain);
            }
            None => demands.push(rule.demand),
        }
    }
    let is_certain = demands.is_empty();
    demands.push(configuration.default);
    (demands, is_certain)
}

/// `None` if nobody can tell.
fn is_for(rule: &Rule, request: &Request) -> Option<bool> {
    if rule.method.is_some_and(|method| method != request.method) {
        return Some(false);
    }
    let path = request.path.unwrap_or(Part {
        text: "",
        meant: None,
    });
    let host = rule
        .host
        .map(|host| request.host.meant.map(|own| matches_host(host, own)));
    let prefix = |prefix: &str, own: &str| {
        own.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let path = rule
        .prefix
        .map(|own| path.meant.map(|path| prefix(own, path)));
    match (host.unwrap_or(Some(true)), path.unwrap_or(Some(true))) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn matches_host(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => host.ends_with(suffix),
        None => host == pattern,
    }
}
