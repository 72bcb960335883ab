//! The second part of a JWT, decoded a piece at a time.

#![expect(clippy::arithmetic_side_effects, reason = "sums are no longer than the text")]

use core::slice::Chunks;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use memchr::memchr_iter;
use zeroize::Zeroize as _;

/// How many characters are decoded at a time: most tokens' payload in one piece or two, and no strain on a small stack.
const CHARS: usize = 512;
const BYTES: usize = CHARS / 4 * 3;

/// Padded or not, spare bits ignored; and either alphabet, mixed too: what the reference's decoders accept together.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The payload of a JWT, whose bytes are decoded as they are asked for. What is decoded is wiped.
pub(super) struct Payload<'a> {
    chars: Chunks<'a, u8>,
    piece: [u8; BYTES],
    /// The part of the piece that has yet to be taken.
    at: usize,
    end: usize,
    broken: bool,
}

/// The second part of a text, of the two or more that dots make.
pub(super) fn second_part(text: &str) -> Option<&[u8]> {
    let text = text.trim_ascii().as_bytes();
    let mut dots = memchr_iter(b'.', text);
    let (start, end) = (dots.next()? + 1, dots.next().unwrap_or(text.len()));
    text.get(start..end)
}

impl<'a> Payload<'a> {
    pub(super) fn new(part: &'a [u8]) -> Self {
        Self { chars: part.chunks(CHARS), piece: [0; BYTES], at: 0, end: 0, broken: false }
    }

    /// The bytes at hand, at least one of them; none at the end.
    #[inline(always)]
    pub(super) fn bytes(&mut self) -> &[u8] {
        if self.at == self.end {
            self.decode();
        }
        self.piece.get(self.at..self.end).unwrap_or_default()
    }

    /// The next byte, left where it is; `None` at the end.
    #[inline(always)]
    pub(super) fn byte(&mut self) -> Option<u8> {
        self.bytes().first().copied()
    }

    /// Takes so many of the bytes at hand.
    #[inline(always)]
    pub(super) fn take(&mut self, count: usize) {
        self.at += count;
    }

    /// Whether all of it has been taken, and was base64.
    pub(super) fn is_over(&mut self) -> bool {
        self.bytes().is_empty() && !self.broken
    }

    #[cold]
    fn decode(&mut self) {
        (self.at, self.end) = (0, 0);
        let Some(chars) = self.chars.next() else { return };
        let decoded = BASE64.decode_slice(chars, &mut self.piece).ok().or_else(|| self.decode_other_alphabet(chars));
        // Padding ends it.
        let whole = |count: &usize| *count == BYTES || self.chars.len() == 0;
        match decoded.filter(whole) {
            Some(count) => self.end = count,
            None => {
                self.broken = true;
                self.chars = [].chunks(CHARS);
            }
        }
    }

    fn decode_other_alphabet(&mut self, chars: &[u8]) -> Option<usize> {
        let mut translated = [0; CHARS];
        let translated = translated.get_mut(..chars.len())?;
        for (to, from) in translated.iter_mut().zip(chars) {
            *to = match from {
                b'+' => b'-',
                b'/' => b'_',
                other => *other,
            };
        }
        let decoded = BASE64.decode_slice(&*translated, &mut self.piece).ok();
        translated.zeroize();
        decoded
    }
}

impl Drop for Payload<'_> {
    fn drop(&mut self) {
        // As a slice, which is wiped at once; an array is wiped byte by byte.
        self.piece.as_mut_slice().zeroize();
    }
}
