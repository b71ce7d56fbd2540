//! JSON as RFC 7515 section 4 and RFC 7519 section 4 want it read: one object, no member twice,
//! nothing behind it, and no deeper than this crate ever needs.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};

use crate::limits::MAX_JSON_DEPTH;

/// Text is not one JSON object of the wanted shape.
///
/// It carries no detail: what serde would say can quote the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Reads one JSON object into `T`.
///
/// Refused beside what RFC 8259 refuses: duplicate member names at any depth (escaped or not), nesting
/// deeper than [`MAX_JSON_DEPTH`], and any top-level value but an object. Members that `T` does not
/// name are ignored, unless `T` denies them.
///
/// # Errors
/// [`Malformed`].
pub fn parse_object<T: DeserializeOwned>(text: &[u8]) -> Result<T, Malformed> {
    parse_object_of_depth(text, MAX_JSON_DEPTH)
}

/// As [`parse_object`], for what others have written: up to the given depth.
///
/// # Errors
/// [`Malformed`].
pub fn parse_object_of_depth<T: DeserializeOwned>(
    text: &[u8],
    depth: usize,
) -> Result<T, Malformed> {
    check_depth(text, depth)?;
    let Object(value) = serde_json::from_slice(text).map_err(|_| Malformed)?;
    Ok(value)
}

/// Checks nesting and member names of a whole JSON text.
///
/// # Errors
/// [`Malformed`].
pub fn check(text: &[u8]) -> Result<(), Malformed> {
    check_depth(text, MAX_JSON_DEPTH)
}

fn check_depth(text: &[u8], depth: usize) -> Result<(), Malformed> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    Nesting { left: depth }
        .deserialize(&mut deserializer)
        .map_err(|_| Malformed)?;
    deserializer.end().map_err(|_| Malformed)
}

/// A `T` that was written as a JSON object. Derived structs alone also accept arrays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// Walks one value, keeping nothing but how deep it may still go.
#[derive(Clone, Copy)]
struct Nesting {
    left: usize,
}

impl Nesting {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { left })
    }
}

impl<'de> DeserializeSeed<'de> for Nesting {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nesting {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a member stands twice"));
            }
            members.next_value_seed(inner)?;
        }
        Ok(())
    }
}
