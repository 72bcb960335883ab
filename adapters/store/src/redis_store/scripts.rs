//! The scripts, and how their answers are read.

use std::time::Duration;

use redis::Value;

use crate::sealed::Sealed;
use crate::words::{Fence, Found, Loss, StoredRecord, Taken};

/// The text of a script and its hash, by which a server that knows it runs it.
#[derive(Debug)]
pub(super) struct Script {
    text: String,
    hash: String,
}

impl Script {
    fn new(operation: &str) -> Self {
        let text = format!("{}\n{operation}", include_str!("entry.lua"));
        let hash = redis::Script::new(&text).get_hash().to_owned();
        Self { text, hash }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn hash(&self) -> &str {
        &self.hash
    }
}

#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) read: Script,
    pub(super) take: Script,
    pub(super) finish: Script,
    pub(super) mark: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            read: Script::new(include_str!("read.lua")),
            take: Script::new(include_str!("take.lua")),
            finish: Script::new(include_str!("finish.lua")),
            mark: Script::new(include_str!("mark.lua")),
        }
    }
}

pub(super) fn parts(value: Value) -> Option<std::vec::IntoIter<Value>> {
    if let Value::Array(parts) = value { Some(parts.into_iter()) } else { None }
}

pub(super) fn taken(value: Value) -> Option<Taken> {
    let mut parts = parts(value)?;
    let (is_granted, of) = (number(parts.next()?)?, number(parts.next()?)?);
    let found = found(parts)?;
    Some(match is_granted {
        0 => Taken::Held { left: Duration::from_millis(of), found },
        _ => Taken::Granted { fence: Fence::new(of)?, found },
    })
}

pub(super) fn found(mut parts: std::vec::IntoIter<Value>) -> Option<Found> {
    let loss = match number(parts.next()?)? {
        0 => None,
        1 => Some(Loss::TooLarge),
        _ => Some(Loss::Unreadable),
    };
    let Some(fence) = parts.next() else { return Some(Found { record: None, loss }) };
    let (fence, age, marked) = (Fence::new(number(fence)?)?, number(parts.next()?)?, number(parts.next()?)?);
    let Value::BulkString(sealed) = parts.next()? else { return None };
    let record = StoredRecord::new(fence, Sealed::from_bytes(sealed), Duration::from_millis(age), marked != 0);
    Some(Found { record: Some(record), loss })
}

fn number(value: Value) -> Option<u64> {
    if let Value::Int(number) = value { number.try_into().ok() } else { None }
}
