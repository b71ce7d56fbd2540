//! A JSON object read member by member, so that one load reports every mistake with its path.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Everything that is wrong with a configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

impl Mistakes {
    /// One mistake without a path.
    #[must_use]
    pub fn one(mistake: String) -> Self {
        Self(vec![mistake])
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("; "))
    }
}

/// Reads the object in `json` with `read`, and returns what it made if there was no mistake.
///
/// # Errors
/// All mistakes: what `read` reported, members that it did not take, duplicates, broken JSON.
pub(super) fn read_object<T>(
    json: &[u8],
    read: impl FnOnce(&mut Section<'_>) -> Option<T>,
) -> Result<T, Mistakes> {
    let json = if json.trim_ascii().is_empty() {
        b"{}"
    } else {
        json
    };
    let node = serde_json::from_slice(json).map_err(|error| Mistakes::one(error.to_string()))?;
    let Node::Object(members) = node else {
        return Err(Mistakes::one("expected a JSON object".to_owned()));
    };
    let mistakes = RefCell::new(Vec::new());
    let made = read(&mut Section {
        path: String::new(),
        members,
        mistakes: &mistakes,
    });
    match (made, mistakes.into_inner()) {
        (Some(made), mistakes) if mistakes.is_empty() => Ok(made),
        (_, mistakes) => Err(Mistakes(mistakes)),
    }
}

/// One object of the configuration. Members that nobody took are mistakes when it is dropped.
pub(super) struct Section<'a> {
    path: String,
    members: BTreeMap<String, Node>,
    mistakes: &'a RefCell<Vec<String>>,
}

impl<'a> Section<'a> {
    /// The nested object `key`; an absent one is empty.
    pub(super) fn section(&mut self, key: &str) -> Section<'a> {
        let members = match self.members.remove(key) {
            Some(Node::Object(members)) => members,
            Some(Node::Other(_)) => {
                self.mistake(key, "expected an object");
                BTreeMap::new()
            }
            None => BTreeMap::new(),
        };
        Section {
            path: self.path_of(key),
            members,
            mistakes: self.mistakes,
        }
    }

    /// The member `key` as `T`; `None` when it is absent, or wrong and thereby reported.
    pub(super) fn value<T: DeserializeOwned>(&mut self, key: &str, expected: &str) -> Option<T> {
        let value = match self.members.remove(key)? {
            Node::Other(value) => serde_json::from_value(value).ok(),
            Node::Object(_) => None,
        };
        if value.is_none() {
            self.mistake(key, &format!("expected {expected}"));
        }
        value
    }

    /// Whether there is a member `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.members.contains_key(key)
    }

    /// The names of the members that nobody took yet.
    pub(super) fn keys(&self) -> Vec<String> {
        self.members.keys().cloned().collect()
    }

    /// The member `key`, which must be there.
    pub(super) fn required<T: DeserializeOwned>(&mut self, key: &str, expected: &str) -> Option<T> {
        if !self.has(key) {
            self.mistake(key, &format!("is missing: expected {expected}"));
        }
        self.value(key, expected)
    }

    /// Reports what is wrong with the member `key`.
    pub(super) fn mistake(&self, key: &str, what: &str) {
        self.mistakes
            .borrow_mut()
            .push(format!("{}: {what}", self.path_of(key)));
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        for key in self.members.keys() {
            self.mistake(key, "unknown key");
        }
    }
}

/// JSON with objects that have no member twice.
enum Node {
    Object(BTreeMap<String, Node>),
    Other(Value),
}

impl<'de> serde::Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, Node>()? {
            if members.contains_key(&key) {
                return Err(A::Error::custom(format!("the key `{key}` is there twice")));
            }
            members.insert(key, value);
        }
        Ok(Node::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Value>()? {
            items.push(item);
        }
        Ok(Node::Other(Value::Array(items)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Other(Value::String(text.to_owned())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Other(Value::Bool(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Other(Value::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Other(Value::from(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Other(Value::from(value)))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Other(Value::Null))
    }
}
