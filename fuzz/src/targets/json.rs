//! JSON of headers, claims and configurations, against an independent reading of it.

use serde_json::Value;
use tls_session_binding::json::{check, parse_object};
use tls_session_binding::limits::MAX_JSON_DEPTH;

/// What is accepted is JSON for everyone, no deeper than allowed, and lacks none of its members to
/// duplicates.
pub fn run(input: &[u8]) {
    let Ok(object) = parse_object::<Value>(input) else {
        return;
    };
    assert_eq!(check(input), Ok(()));
    let everyones: Value = serde_json::from_slice(input).expect("JSON for everyone");
    assert_eq!(object, everyones);
    assert!(object.is_object());
    assert!(depth(&object) <= MAX_JSON_DEPTH);
    let again = serde_json::to_vec(&object).expect("writable");
    assert!(
        parse_object::<Value>(&again).is_ok(),
        "what was read cannot be written and read"
    );
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
