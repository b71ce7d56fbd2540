//! Templates: text with `${..}` in it, for values that are only known once keys, connection and token
//! are, and for bytes that JSON cannot hold. `tests/vectors/README.md` lists what may stand there.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// Bytes, and how they are written where a template names them without saying how.
#[derive(Clone)]
pub(crate) struct Value {
    bytes: Vec<u8>,
    form: Form,
}

#[derive(Clone, Copy)]
enum Form {
    Raw,
    Base64url,
    Base64,
}

impl Value {
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            form: Form::Raw,
        }
    }

    pub(crate) fn base64url(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            form: Form::Base64url,
        }
    }

    pub(crate) fn base64(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            form: Form::Base64,
        }
    }

    fn write(&self) -> Vec<u8> {
        match self.form {
            Form::Raw => self.bytes.clone(),
            Form::Base64url => URL_SAFE_NO_PAD.encode(&self.bytes).into(),
            Form::Base64 => STANDARD.encode(&self.bytes).into(),
        }
    }

    fn filter(self, filter: &str) -> Self {
        let bytes = self.bytes;
        match filter.split_once(':').unwrap_or((filter, "")) {
            ("raw", _) => Self::raw(bytes),
            ("hex", _) => Self::raw(hex(&bytes)),
            ("padded", _) => Self::raw(URL_SAFE.encode(bytes)),
            ("standard", _) => Self::raw(STANDARD_NO_PAD.encode(bytes)),
            ("pem", _) => Self::raw(pem(&bytes)),
            ("lower", _) => Self {
                bytes: bytes.to_ascii_lowercase(),
                form: self.form,
            },
            ("upper", _) => Self {
                bytes: bytes.to_ascii_uppercase(),
                form: self.form,
            },
            ("crlf", _) => Self::raw(String::from_utf8(bytes).unwrap().replace('\n', "\r\n")),
            ("first", count) => Self {
                bytes: bytes[..number(count)].to_vec(),
                form: self.form,
            },
            ("from", count) => Self {
                bytes: bytes[number(count)..].to_vec(),
                form: self.form,
            },
            ("then", digits) => Self {
                bytes: [bytes, unhex(digits)].concat(),
                form: self.form,
            },
            ("after", digits) => Self {
                bytes: [unhex(digits), bytes].concat(),
                form: self.form,
            },
            _ => panic!("no filter {filter}"),
        }
    }
}

#[derive(Clone, Default)]
pub(crate) struct Names(HashMap<String, Value>);

impl Names {
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    pub(crate) fn expand(&self, template: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut left = template;
        while let Some((text, rest)) = left.split_once("${") {
            let (expression, rest) = rest
                .split_once('}')
                .unwrap_or_else(|| panic!("open: {template}"));
            bytes.extend(text.as_bytes());
            bytes.extend(self.evaluate(expression));
            left = rest;
        }
        bytes.extend(left.as_bytes());
        bytes
    }

    pub(crate) fn expand_text(&self, template: &str) -> String {
        String::from_utf8(self.expand(template)).unwrap()
    }

    fn evaluate(&self, expression: &str) -> Vec<u8> {
        let arguments: Vec<&str> = expression.splitn(3, ':').collect();
        match arguments.as_slice() {
            ["hex", digits] => return unhex(digits),
            ["repeat", count, text] => return text.repeat(number(count)).into(),
            ["nested", depth] => return nested(number(depth)).into(),
            ["members", count] => return members(number(count)).into(),
            _ => {}
        }
        let (name, filters) = expression.split_once('|').unwrap_or((expression, ""));
        let filters = filters.split('|').filter(|filter| !filter.is_empty());
        filters.fold(self.value(name), Value::filter).write()
    }

    /// The value of a name, or of a number plus or minus another.
    fn value(&self, name: &str) -> Value {
        if let Some(value) = self.0.get(name) {
            return value.clone();
        }
        let sum = |at: usize| {
            let base: i64 = std::str::from_utf8(&self.0.get(&name[..at])?.bytes)
                .ok()?
                .parse()
                .ok()?;
            let difference: i64 = name[at..].parse().ok()?;
            Some(Value::raw((base + difference).to_string()))
        };
        name.find(['+', '-'])
            .and_then(sum)
            .unwrap_or_else(|| panic!("no value {name}"))
    }
}

fn number(text: &str) -> usize {
    text.parse()
        .unwrap_or_else(|_| panic!("not a number: {text}"))
}

/// `{"a":{"a":..{}}}` with `depth` objects.
fn nested(depth: usize) -> String {
    format!(
        "{}{}{}",
        "{\"a\":".repeat(depth - 1),
        "{}",
        "}".repeat(depth - 1)
    )
}

fn members(count: usize) -> String {
    let members: Vec<String> = (0..count)
        .map(|number| format!("\"m{number}\":0"))
        .collect();
    members.join(",")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .flatten()
        .collect()
}

pub(crate) fn unhex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .bytes()
        .filter(|digit| !digit.is_ascii_whitespace())
        .collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}
