//! Configurations: what the reference knows of one, and its text.

use serde_json::{Map, Value, json};

use super::dice::Dice;

pub(super) const HOSTS: [&str; 3] = ["a.example", "b.example", "x.b.example"];
pub(super) const PATHS: [&str; 4] = ["/", "/pay", "/pay/1", "/free"];
pub(super) const METHODS: [&str; 2] = ["GET", "POST"];

/// What is demanded of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ProofRules {
    pub(super) max_age: u64,
    pub(super) htm: bool,
    pub(super) htu: bool,
    pub(super) jti: bool,
}

/// What is demanded of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    pub(super) mode: &'static str,
    pub(super) refuses_without_token: bool,
    pub(super) proof: ProofRules,
}

/// A rule, for requests that it matches in every part that it names.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) host: Option<&'static str>,
    pub(super) prefix: Option<&'static str>,
    pub(super) method: Option<&'static str>,
    pub(super) demand: Demand,
}

#[derive(Debug, Clone)]
pub(super) struct Configuration {
    pub(super) default: Demand,
    pub(super) rules: Vec<Rule>,
    pub(super) tolerance: u64,
    /// Whether claims are read at a property.
    pub(super) by_property: bool,
    /// Whether tokens in a header of their own are told of.
    pub(super) tells_header: bool,
    pub(super) keeps: bool,
    pub(super) max_binding_age: Option<u64>,
    pub(super) text: String,
}

pub(super) const PROPERTY: [&str; 2] = ["metadata", "claims"];
pub(super) const TOKEN_HEADER: &str = "x-token";

impl Configuration {
    pub(super) fn roll(dice: &mut Dice) -> Self {
        let mut members = Map::new();
        let default = Demand {
            mode: "enforce_if_bound",
            refuses_without_token: false,
            proof: ProofRules {
                max_age: 300,
                htm: false,
                htu: false,
                jti: false,
            },
        };
        let default = roll_demand(dice, default, &mut members);
        let mut rules = Vec::new();
        let mut texts = Vec::new();
        for number in 0..dice.pick(&[0, 0, 1, 2, 3]) {
            let (rule, text) = roll_rule(dice, default, number);
            rules.push(rule);
            texts.push(text);
        }
        let (tolerance, connections) = (dice.pick(&[0, 30]), dice.pick(&[0, 1, 2, 8]));
        let max_binding_age = dice.pick(&[None, None, Some(20), Some(400)]);
        let (by_property, tells_header) = (dice.once_in(2), dice.once_in(4));
        members.insert("rules".to_owned(), texts.into());
        members.insert("clock_tolerance".to_owned(), seconds(tolerance));
        let mut cache = json!({
            "connections": connections, "tokens_per_connection": dice.pick(&[1, 2, 8]),
        });
        if let Some(age) = max_binding_age {
            cache["max_binding_age"] = seconds(age);
        }
        members.insert("cache".to_owned(), cache);
        if by_property {
            members.insert("confirmation".to_owned(), json!({ "property": PROPERTY }));
        }
        if tells_header {
            let places = json!({ "headers": [TOKEN_HEADER] });
            members.insert("tokens_elsewhere".to_owned(), places);
        }
        Self {
            default,
            rules,
            tolerance,
            by_property,
            tells_header,
            keeps: connections > 0,
            max_binding_age,
            text: Value::Object(members).to_string(),
        }
    }
}

fn seconds(seconds: u64) -> Value {
    format!("{seconds}s").into()
}

fn roll_rule(dice: &mut Dice, default: Demand, number: usize) -> (Rule, Value) {
    let mut members = Map::new();
    members.insert("name".to_owned(), format!("rule{number}").into());
    let host = dice.pick(&[None, None, Some("a.example"), Some("*.b.example")]);
    let prefix = dice.pick(&[None, Some("/pay"), Some("/free")]);
    let method = dice.pick(&[None, None, Some("GET"), Some("CONNECT")]);
    if let Some(host) = host {
        members.insert("host".to_owned(), host.into());
    }
    if let Some(prefix) = prefix {
        members.insert("path".to_owned(), json!({ "prefix": prefix }));
    }
    if let Some(method) = method {
        members.insert("methods".to_owned(), json!([method]));
    }
    let demand = roll_demand(dice, default, &mut members);
    let rule = Rule {
        host,
        prefix,
        method,
        demand,
    };
    (rule, Value::Object(members))
}

/// What is not said is inherited.
fn roll_demand(dice: &mut Dice, inherited: Demand, members: &mut Map<String, Value>) -> Demand {
    let mut demand = inherited;
    if dice.once_in(2) {
        demand.mode = dice.pick(&["enforce", "enforce_if_bound", "observe"]);
        members.insert("mode".to_owned(), demand.mode.into());
    }
    if dice.once_in(3) {
        demand.refuses_without_token = dice.once_in(2);
        let word = if demand.refuses_without_token {
            "refuse"
        } else {
            "pass"
        };
        members.insert("without_token".to_owned(), word.into());
    }
    if dice.once_in(2) {
        demand.proof.max_age = dice.pick(&[30, 60, 300]);
        members.insert("max_proof_age".to_owned(), seconds(demand.proof.max_age));
    }
    if dice.once_in(4) {
        let (htm, htu, jti) = (dice.once_in(2), dice.once_in(2), dice.once_in(2));
        demand.proof = ProofRules {
            htm,
            htu,
            jti,
            ..demand.proof
        };
        let claims = [(htm, "htm"), (htu, "htu"), (jti, "jti")];
        let claims = claims.iter().filter(|(is_named, _)| *is_named);
        let claims: Vec<_> = claims.map(|(_, name)| *name).collect();
        members.insert("required_claims".to_owned(), json!(claims));
    }
    demand
}
