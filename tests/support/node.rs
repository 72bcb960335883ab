//! Reading JSON strictly: an error says where it is.

use std::fmt::Display;
use std::time::Duration;

use serde_json::{Map, Value};

use super::scenario::{Malformed, Seconds};

/// A value and its path in the file.
pub struct Node {
    pub value: Value,
    pub path: String,
}

impl Node {
    pub fn error(&self, what: impl Display) -> Malformed {
        if self.path.is_empty() { Malformed(what.to_string()) } else { Malformed(format!("{}: {what}", self.path)) }
    }

    pub fn expected(&self, what: &str) -> Malformed {
        let found = self.value.to_string();
        // Not the whole file.
        let (shown, rest) = found.split_at(found.char_indices().nth(60).map_or(found.len(), |(at, _)| at));
        let more = if rest.is_empty() { "" } else { "…" };
        self.error(format!("expected {what}, found {shown}{more}"))
    }

    pub fn fields(self) -> Result<Fields, Malformed> {
        match self.value {
            Value::Object(map) => Ok(Fields { map, path: self.path }),
            _ => Err(self.expected("an object")),
        }
    }

    pub fn list<T>(self, read: impl Fn(Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        let Value::Array(items) = self.value else { return Err(self.expected("an array")) };
        let items = items.into_iter().enumerate();
        items.map(|(index, value)| read(Self { value, path: format!("{}[{index}]", self.path) })).collect()
    }

    pub fn string(self) -> Result<String, Malformed> {
        match self.value {
            Value::String(text) => Ok(text),
            _ => Err(self.expected("a string")),
        }
    }

    pub fn boolean(self) -> Result<bool, Malformed> {
        self.value.as_bool().ok_or_else(|| self.expected("true or false"))
    }

    pub fn integer(self) -> Result<i64, Malformed> {
        self.value.as_i64().ok_or_else(|| self.expected("an integer"))
    }

    pub fn millis(self) -> Result<u64, Malformed> {
        self.value.as_u64().ok_or_else(|| self.expected("an integer, 0 or more"))
    }

    pub fn status(self) -> Result<u16, Malformed> {
        let status = self.value.as_u64().and_then(|status| u16::try_from(status).ok());
        status.filter(|status| (100..=999).contains(status)).ok_or_else(|| self.expected("a status from 100 to 999"))
    }

    pub fn duration(self) -> Result<Duration, Malformed> {
        self.millis().map(Duration::from_millis)
    }

    /// Seconds, as a duration.
    pub fn lifetime(self) -> Result<Duration, Malformed> {
        let number = self.number()?;
        Duration::try_from_secs_f64(number).map_err(|_| self.expected("seconds, 0 or more"))
    }

    pub fn number(&self) -> Result<f64, Malformed> {
        self.value.as_f64().ok_or_else(|| self.expected("a number"))
    }

    pub fn seconds(self) -> Result<Seconds, Malformed> {
        match self.value.as_i64() {
            Some(secs) => Ok(Seconds::Whole(secs)),
            None => self.number().map(Seconds::Fraction),
        }
    }
}

pub struct Fields {
    map: Map<String, Value>,
    path: String,
}

impl Fields {
    pub fn node(&self, name: &str, value: Value) -> Node {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Node { value, path }
    }

    pub fn optional(&mut self, name: &str) -> Option<Node> {
        self.map.remove(name).map(|value| self.node(name, value))
    }

    pub fn required(&mut self, name: &str) -> Result<Node, Malformed> {
        self.optional(name).ok_or_else(|| self.node(name, Value::Null).error("missing"))
    }

    /// The fields not read yet, except those whose name starts with `_`.
    pub fn rest(self) -> impl Iterator<Item = (String, Node)> {
        let Self { map, path } = self;
        let fields = Self { map: Map::new(), path };
        map.into_iter().filter(|(name, _)| !name.starts_with('_')).map(move |(name, value)| {
            let node = fields.node(&name, value);
            (name, node)
        })
    }

    pub fn no_others(self) -> Result<(), Malformed> {
        match self.rest().next() {
            Some((_, node)) => Err(node.error("unknown field")),
            None => Ok(()),
        }
    }
}
