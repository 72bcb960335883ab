//! Reading two numbers out of a JSON object whose bytes come a piece at a time, and keeping nothing of the rest.
//!
//! `serde_json` would want all of the text at once, in memory to be allocated. This knows JSON
//! ([RFC 8259](https://www.rfc-editor.org/rfc/rfc8259)) no better: the tests hold it to what `serde_json` says.

#![expect(clippy::arithmetic_side_effects, reason = "sums are no longer than the text")]

use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::payload::Payload;
use crate::time::UnixTime;

/// Memory is allocated only for a number of more characters that does not end in the piece it begins in.
const ORDINARY: usize = 64;

/// All of it is inlined into [`read`](super::read), so that where the reading is at is kept in registers: that is a tenth
/// of the time.
pub(super) struct Reader<'r, 'a>(pub(super) &'r mut Payload<'a>);

impl Reader<'_, '_> {
    /// `exp` and `iat` of the object it is; of duplicates the last counts, as in `JSON.parse`. `None` if it is none.
    pub(super) fn dates(&mut self) -> Option<(Option<UnixTime>, Option<UnixTime>)> {
        let (mut exp, mut iat) = (None, None);
        self.token(b'{')?;
        if self.peek()? == b'}' {
            self.0.take(1);
        } else {
            loop {
                match &self.name()?.to_be_bytes() {
                    b"\0exp" => exp = self.date(true)?,
                    b"\0iat" => iat = self.date(false)?,
                    _ => self.skip()?,
                }
                match self.next()? {
                    b',' => {}
                    b'}' => break,
                    _ => return None,
                }
            }
        }
        (self.peek().is_none() && self.0.is_over()).then_some((exp, iat))
    }

    /// The next byte that is no white space, left where it is; `None` at the end.
    #[inline(always)]
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = self.0.byte()?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.0.take(1);
        }
    }

    /// The next byte that is no white space.
    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.0.take(1);
        Some(byte)
    }

    #[inline(always)]
    fn token(&mut self, token: u8) -> Option<()> {
        (self.next()? == token).then_some(())
    }

    fn literal(&mut self, rest: &[u8]) -> Option<()> {
        for expected in rest {
            (self.0.byte()? == *expected).then_some(())?;
            self.0.take(1);
        }
        Some(())
    }

    /// A field's name, if it is one of three bytes, and the colon behind it.
    #[inline(always)]
    fn name(&mut self) -> Option<u32> {
        self.token(b'"')?;
        let (mut name, mut length) = (0, 0);
        self.string(|bytes| {
            length += bytes.len();
            if length <= 3 {
                name = bytes.iter().fold(name, |name, byte| name << 8 | u32::from(*byte));
            }
        })?;
        self.token(b':')?;
        Some(if length == 3 { name } else { 0 })
    }

    /// A value as the date it is: a finite number of seconds, or that in digits if it may be.
    #[inline(always)]
    fn date(&mut self, or_digits: bool) -> Option<Option<UnixTime>> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => self.number(seconds),
            b'"' if or_digits => {
                self.0.take(1);
                let (mut secs, mut digits) = (None, true);
                self.string(|part| {
                    for byte in part {
                        digits &= byte.is_ascii_digit();
                        let digit = i64::from(byte & 0xF);
                        secs = Some(secs.unwrap_or(0_i64).saturating_mul(10).saturating_add(digit));
                    }
                })?;
                Some(secs.filter(|_| digits).map(UnixTime::from_secs))
            }
            _ => self.skip().map(|()| None),
        }
    }

    /// What is left of a string, a part at a time; what is escaped and not ASCII comes as a byte that is not, either.
    #[inline(always)]
    fn string(&mut self, mut each: impl FnMut(&[u8])) -> Option<()> {
        loop {
            let bytes = self.0.bytes();
            let (plain, rest) = bytes.split_at_checked(until_special(bytes))?;
            each(plain);
            let (special, count) = (rest.first().copied(), plain.len());
            match special {
                Some(b'"') => {
                    self.0.take(count + 1);
                    return Some(());
                }
                Some(b'\\') => {
                    self.0.take(count + 1);
                    each(&[self.escaped()?]);
                }
                None if count > 0 => self.0.take(count),
                Some(_) | None => return None,
            }
        }
    }

    fn escaped(&mut self) -> Option<u8> {
        let byte = self.0.byte()?;
        self.0.take(1);
        Some(match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 0x8,
            b'f' => 0xC,
            b'n' => 0xA,
            b'r' => 0xD,
            b't' => 0x9,
            b'u' => {
                let mut unit = 0_u16;
                for _ in 0..4 {
                    let digit = char::from(self.0.byte()?).to_digit(16)?;
                    self.0.take(1);
                    unit = unit << 4 | u16::try_from(digit).ok()?;
                }
                u8::try_from(unit).unwrap_or(u8::MAX)
            }
            _ => return None,
        })
    }

    /// A number, as what `read` makes of its text.
    #[inline(always)]
    fn number<T>(&mut self, read: impl Fn(&[u8]) -> T) -> Option<T> {
        let bytes = self.0.bytes();
        let text = of_number(bytes);
        let count = text.len();
        if count < bytes.len() {
            let number = is_number(text).then(|| read(text));
            self.0.take(count);
            return number;
        }
        self.long_number(|text| is_number(text).then(|| read(text)))
    }

    /// That of a number that goes on, or may go on, in the next piece.
    #[cold]
    fn long_number<T>(&mut self, read: impl Fn(&[u8]) -> T) -> T {
        let (mut ordinary, mut length, mut longer) = (Zeroizing::new([0; ORDINARY]), 0, Zeroizing::new(Vec::new()));
        loop {
            let bytes = self.0.bytes();
            let text = of_number(bytes);
            let (count, ended) = (text.len(), text.len() < bytes.len() || bytes.is_empty());
            match ordinary.get_mut(length..length + count) {
                Some(place) => place.copy_from_slice(text),
                _ => {
                    if length + count > longer.capacity() {
                        // A new one each time, since a `Vec` that grows by itself does not wipe where it has been.
                        let mut larger = Zeroizing::new(Vec::with_capacity(2 * (length + count)));
                        larger.extend_from_slice(ordinary.get(..length).unwrap_or(&longer));
                        longer = larger;
                    }
                    longer.extend_from_slice(text);
                }
            }
            length += count;
            self.0.take(count);
            if ended {
                return read(ordinary.get(..length).unwrap_or(&longer));
            }
        }
    }

    /// Takes a value of any kind.
    #[inline(always)]
    fn skip(&mut self) -> Option<()> {
        let mut within = Within { inner: 1, outer: Vec::new() };
        loop {
            match self.peek()? {
                b'-' | b'0'..=b'9' => self.number(|_| ())?,
                opening => {
                    self.0.take(1);
                    match opening {
                        b'"' => self.string(|_| {})?,
                        b't' => self.literal(b"rue")?,
                        b'f' => self.literal(b"alse")?,
                        b'n' => self.literal(b"ull")?,
                        b'[' if self.peek()? == b']' => self.0.take(1),
                        b'{' if self.peek()? == b'}' => self.0.take(1),
                        b'[' => {
                            within.enter(false);
                            continue;
                        }
                        b'{' => {
                            within.enter(true);
                            self.name()?;
                            continue;
                        }
                        _ => return None,
                    }
                }
            }
            // A value has ended, and so may what it is in.
            loop {
                let Some(end) = within.end() else { return Some(()) };
                match self.next()? {
                    b',' if end == b'}' => {
                        self.name()?;
                        break;
                    }
                    b',' => break,
                    byte if byte == end => within.leave(),
                    _ => return None,
                }
            }
        }
    }
}

/// Which objects and arrays a value is in: a bit for each under the highest that is set, the lowest for the innermost.
struct Within {
    inner: u64,
    /// Those outside of the nearest 63. Memory is allocated only for values that are in so many.
    outer: Vec<u64>,
}

impl Within {
    #[inline(always)]
    fn enter(&mut self, object: bool) {
        if self.inner.leading_zeros() == 0 {
            self.outer.push(self.inner);
            self.inner = 1;
        }
        self.inner = self.inner << 1 | u64::from(object);
    }

    /// What ends the innermost, if it is in any.
    #[inline(always)]
    fn end(&self) -> Option<u8> {
        (self.inner > 1).then_some(if self.inner & 1 == 1 { b'}' } else { b']' })
    }

    #[inline(always)]
    fn leave(&mut self) {
        self.inner >>= 1;
        if self.inner == 1 {
            self.inner = self.outer.pop().unwrap_or(1);
        }
    }
}

/// How many bytes come before one that ends a string, begins an escape or must not stand there.
#[inline(always)]
fn until_special(bytes: &[u8]) -> usize {
    let (blocks, rest) = bytes.as_chunks();
    let mut clear = 0;
    for block in blocks {
        let special = special(u64::from_le_bytes(*block));
        if special != 0 {
            return clear + special.trailing_zeros() as usize / 8;
        }
        clear += block.len();
    }
    clear + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..=0x1F)).unwrap_or(rest.len())
}

/// Eight bytes at once: the lowest bit that is set is in the first of them that is special, if any is.
#[inline(always)]
fn special(bytes: u64) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    // Borrows go up, so what they spoil is above the first.
    let below = |bytes: u64, limit: u8| bytes.wrapping_sub(EACH * u64::from(limit)) & !bytes;
    let is = |byte: u8| below(bytes ^ (EACH * u64::from(byte)), 1);
    (below(bytes, 0x20) | is(b'"') | is(b'\\')) & (EACH << 7)
}

/// What a text begins with, as far as numbers consist of such characters.
#[inline(always)]
fn of_number(text: &[u8]) -> &[u8] {
    let within = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    let count = text.iter().position(|byte| !within(byte)).unwrap_or(text.len());
    text.get(..count).unwrap_or(text)
}

/// Whether characters of which numbers consist are one.
#[inline(always)]
fn is_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix(b".") {
        Some(rest) => digits(rest),
        None => (b"0".as_slice(), rest),
    };
    let (exponent, rest) = match rest.strip_prefix(b"e").or(rest.strip_prefix(b"E")) {
        Some(rest) => digits(rest.strip_prefix(b"+").or(rest.strip_prefix(b"-")).unwrap_or(rest)),
        None => (b"0".as_slice(), rest),
    };
    let leading_zero = whole.len() > 1 && whole.starts_with(b"0");
    !(whole.is_empty() || leading_zero || fraction.is_empty() || exponent.is_empty()) && rest.is_empty()
}

/// The digits a text begins with, and the rest of it.
#[inline(always)]
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let count = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(count)
}

/// A JSON number in seconds, if it is finite.
fn seconds(text: &[u8]) -> Option<UnixTime> {
    let text = str::from_utf8(text).ok()?;
    match text.parse() {
        Ok(secs) => Some(UnixTime::from_secs(secs)),
        Err(_) => text.parse().ok().filter(|secs: &f64| secs.is_finite()).map(from_fraction),
    }
}

/// Cut to the millisecond. Half a microsecond is granted first, since `1700000000.123` has no exact binary form
/// and would otherwise read as `….122`; the cast saturates.
#[expect(clippy::cast_possible_truncation, reason = "saturating is meant")]
fn from_fraction(secs: f64) -> UnixTime {
    let millis = secs * 1_000.0 + 0.000_5;
    let cut = millis as i64;
    #[expect(clippy::cast_precision_loss, reason = "only the sign of the difference matters")]
    let above = cut as f64 > millis;
    UnixTime::from_millis(if above { cut.saturating_sub(1) } else { cut })
}
