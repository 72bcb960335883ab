//! What is in the file of an entry: five lines of text, an empty line, and the sealed bytes.
//!
//! ```text
//! acs-common store 1
//! given 1764259200123
//! marked 0
//! lease 0123456789abcdef0123456789abcdef 1764259200123 1764259205123 5000
//! record 1764259100000 1764259100250 1234
//! ```
//!
//! The lease has its owner, fence, end and length, or is `none`; the record has its fence, when it was written, and its length, or is
//! `none`. Times are in milliseconds since 1970. Anything else, or an end that is missing, counts as lost.

use std::fmt::Write as _;

use acs_common::sharing::Owner;

use crate::entry::{Entry, Kept, Lease};
use crate::sealed::Sealed;
use crate::words::{Fence, Loss};

/// The largest file that is read: the largest record, and what is before it.
pub(super) const MAX_LEN: u64 = Sealed::MAX_LEN as u64 + HEAD_LEN as u64;
const HEAD_LEN: usize = 1 << 10;
const FIRST_LINE: &str = "acs-common store 1";

pub(super) fn encode(entry: &Entry) -> Vec<u8> {
    let mut head = format!("{FIRST_LINE}\ngiven {}\nmarked {}\n", entry.given, entry.marked);
    // Writing to a string does not fail.
    let _ = match &entry.lease {
        Some(Lease { owner, fence, ends, length }) => writeln!(head, "lease {owner} {fence} {ends} {length}"),
        None => writeln!(head, "lease none"),
    };
    let _ = match &entry.record {
        Some(Kept { fence, written, sealed }) => writeln!(head, "record {fence} {written} {}", sealed.as_bytes().len()),
        None => writeln!(head, "record none"),
    };
    head.push('\n');
    let mut bytes = head.into_bytes();
    if let Some(record) = &entry.record {
        bytes.extend_from_slice(record.sealed.as_bytes());
    }
    bytes
}

pub(super) fn decode(bytes: Vec<u8>) -> Result<Entry, Loss> {
    let head_end = bytes.windows(2).take(HEAD_LEN).position(|window| window == b"\n\n").ok_or(Loss::Unreadable)?;
    let head = std::str::from_utf8(&bytes[..head_end]).map_err(|_| Loss::Unreadable)?;
    let (mut entry, record) = decode_head(head).ok_or(Loss::Unreadable)?;
    let sealed = &bytes[head_end + 2..];
    match record {
        None if sealed.is_empty() => {}
        Some(Described { length, .. }) if length > Sealed::MAX_LEN as u64 => entry.loss = Some(Loss::TooLarge),
        Some(Described { fence, written, length }) if length == sealed.len() as u64 => {
            entry.record = Some(Kept { fence, written, sealed: Sealed::from_bytes(sealed.to_vec()) });
        }
        None | Some(_) => return Err(Loss::Unreadable),
    }
    Ok(entry)
}

/// What the head says of the sealed bytes.
struct Described {
    fence: Fence,
    written: u64,
    length: u64,
}

/// The entry without its record, which is described.
fn decode_head(head: &str) -> Option<(Entry, Option<Described>)> {
    let lines: Vec<&str> = head.split('\n').collect();
    let [FIRST_LINE, given, marked, lease, record] = lines[..] else { return None };
    let mut entry = Entry {
        given: fence(given.strip_prefix("given ")?)?,
        marked: fence(marked.strip_prefix("marked ")?)?,
        ..Entry::default()
    };
    let lease: Vec<&str> = lease.strip_prefix("lease ")?.split(' ').collect();
    entry.lease = match lease[..] {
        ["none"] => None,
        [owner, of, ends, length] => {
            Some(Lease { owner: decode_owner(owner)?, fence: fence(of)?, ends: number(ends)?, length: number(length)? })
        }
        _ => return None,
    };
    let record: Vec<&str> = record.strip_prefix("record ")?.split(' ').collect();
    let record = match record[..] {
        ["none"] => None,
        [of, written, length] => {
            Some(Described { fence: fence(of)?, written: number(written)?, length: number(length)? })
        }
        _ => return None,
    };
    Some((entry, record))
}

/// The greatest fence is not read: the one after it could not be greater. So an entry with rubbish in it heals.
fn fence(text: &str) -> Option<Fence> {
    Fence::new(number(text)?).filter(|fence| *fence < Fence::MAX)
}

/// In the one form in which it is written.
fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

fn decode_owner(text: &str) -> Option<Owner> {
    let is_plain = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let bits = u128::from_str_radix(text, 16).ok().filter(|_| is_plain)?;
    Some(Owner::from_bytes(bits.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let fence = |number| Fence::new(number).unwrap();
        Entry {
            given: fence(12),
            marked: fence(3),
            lease: Some(Lease { owner: Owner::from_bytes([0xab; 16]), fence: fence(12), ends: 99, length: 50 }),
            record: Some(Kept {
                fence: fence(11),
                written: 7,
                sealed: Sealed::from_bytes(b"\n\nlease none\n".to_vec()),
            }),
            loss: None,
        }
    }

    /// Fails when a field is lost, or read from the sealed bytes.
    #[test]
    fn what_is_written_is_read() {
        let entries = [
            entry(),
            Entry { lease: None, ..entry() },
            Entry { record: None, ..entry() },
            Entry { record: None, lease: None, ..entry() },
            Entry::default(),
        ];
        for entry in entries {
            assert_eq!(decode(encode(&entry)), Ok(entry));
        }
    }

    /// Fails when a file that is cut off anywhere, or has more at its end, is read as an entry, or panics.
    #[test]
    fn what_is_torn_is_lost() {
        let whole = encode(&entry());
        for length in 0..whole.len() {
            assert_eq!(decode(whole[..length].to_vec()), Err(Loss::Unreadable), "{length} bytes");
        }
        assert_eq!(decode([&whole[..], b"x"].concat()), Err(Loss::Unreadable));
    }

    /// Fails when a changed byte panics, or when two texts are read as one entry.
    #[test]
    fn each_entry_has_one_form() {
        let whole = encode(&entry());
        for at in 0..whole.len() {
            for byte in [0, b'\n', b' ', b'+', b'0', b'9', b'a', 0xff, whole[at] ^ 1] {
                let mut changed = whole.clone();
                changed[at] = byte;
                if let Ok(read) = decode(changed.clone()) {
                    assert_eq!(encode(&read), changed, "byte {at}");
                }
            }
        }
    }

    /// Fails when the largest record does not fit, or when a fence is read that has none after it.
    #[test]
    fn numbers_have_limits() {
        let largest = Kept { sealed: Sealed::from_bytes(vec![0; Sealed::MAX_LEN]), ..entry().record.unwrap() };
        let last = Fence::new(Fence::MAX.get() - 1).unwrap();
        let greatest = Lease { ends: u64::MAX, length: u64::MAX, fence: last, ..entry().lease.unwrap() };
        let entry = Entry { given: last, marked: last, lease: Some(greatest), record: Some(largest), loss: None };
        let bytes = encode(&entry);
        assert!(bytes.len() as u64 <= MAX_LEN);
        assert!(decode(bytes) == Ok(entry.clone()));
        let too_great = Entry { given: Fence::MAX, record: None, ..entry };
        assert_eq!(decode(encode(&too_great)), Err(Loss::Unreadable));
    }
}
