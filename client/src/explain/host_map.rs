//! Writes claims as Envoy writes dynamic metadata into a property.

use serde_json::Value;
use tls_session_binding::host_map::Property;

/// What the host says of a value; it cannot write a map that holds `null` anywhere.
pub(crate) fn write(value: &Value) -> Property {
    match bytes(value) {
        None => Property::Unreadable,
        Some(bytes) if bytes.is_empty() => Property::Absent,
        Some(bytes) => Property::Bytes(bytes),
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Null => None,
        Value::Bool(bool) => Some(vec![u8::from(*bool)]),
        Value::Number(number) => Some(number.as_f64()?.to_le_bytes().to_vec()),
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Array(items) => {
            let pair = |item| Some((bytes(item)?, Vec::new()));
            Some(pairs(&items.iter().map(pair).collect::<Option<Vec<_>>>()?))
        }
        Value::Object(members) => {
            let pair =
                |(name, value): (&String, _)| Some((name.as_bytes().to_vec(), bytes(value)?));
            Some(pairs(
                &members.iter().map(pair).collect::<Option<Vec<_>>>()?,
            ))
        }
    }
}

fn pairs(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let mut written = number(pairs.len()).to_vec();
    for (name, value) in pairs {
        written.extend(number(name.len()));
        written.extend(number(value.len()));
    }
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        written.extend(text);
        written.push(0);
    }
    written
}
