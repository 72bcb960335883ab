//! Writes SVG: every text and attribute goes through [`escape`].

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use crate::axis::{PX, Tenths};

/// The text of an SVG document, growing.
#[derive(Debug, Default)]
pub(crate) struct Svg(pub(crate) String);

impl Svg {
    /// Writes markup as it is. Only for text from this package.
    pub(crate) fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// An element without content, or with a tooltip as its only content.
    pub(crate) fn shape(&mut self, name: &str, class: &str, attributes: &str, tooltip: &str) {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let _ = match tooltip {
            "" => writeln!(self.0, "<{name}{class} {attributes}/>"),
            _ => writeln!(self.0, "<{name}{class} {attributes}><title>{}</title></{name}>", escape(tooltip)),
        };
    }

    pub(crate) fn rect(&mut self, class: &str, (x, y): (Tenths, Tenths), (width, height): (Tenths, Tenths), tip: &str) {
        let (x, y, width, height) = (px(x), px(y), px(width), px(height));
        self.shape("rect", class, &format!("x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\""), tip);
    }

    /// A rectangle with the hatching of the picture with this id.
    pub(crate) fn hatched(&mut self, id: &str, (x, y): (Tenths, Tenths), (width, height): (Tenths, Tenths), tip: &str) {
        let (x, y, width, height) = (px(x), px(y), px(width), px(height));
        let place = format!("x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"url(#{id}-due)\"");
        self.shape("rect", "", &place, tip);
    }

    pub(crate) fn line(&mut self, class: &str, from: (Tenths, Tenths), to: (Tenths, Tenths)) {
        let path = format!("d=\"M{} {}L{} {}\"", px(from.0), px(from.1), px(to.0), px(to.1));
        self.shape("path", class, &path, "");
    }

    /// Thin upright lines, for what there is too much of. Those that would touch are left out.
    pub(crate) fn ticks(&mut self, class: &str, at: impl Iterator<Item = Tenths>, span: (Tenths, Tenths), tip: &str) {
        let (top, height) = (px(span.0), px(span.1));
        let mut drawn = None;
        let mut path = String::new();
        for x in at {
            if drawn.is_none_or(|last| x >= last + 2 * PX) {
                let _ = write!(path, "M{} {top}v{height}", px(x));
                drawn = Some(x);
            }
        }
        self.shape("path", class, &format!("d=\"{path}\""), tip);
    }

    pub(crate) fn text(&mut self, class: &str, (x, y): (Tenths, Tenths), text: &str) {
        let _ = writeln!(self.0, "<text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>", px(x), px(y), escape(text));
    }
}

/// A length as SVG has it.
pub(crate) fn px(tenths: Tenths) -> String {
    let (sign, tenths) = (if tenths < 0 { "-" } else { "" }, tenths.unsigned_abs());
    match tenths % 10 {
        0 => format!("{sign}{}", tenths / 10),
        rest => format!("{sign}{}.{rest}", tenths / 10),
    }
}

/// Text for XML. A character that XML does not have, or that would turn the direction of the text, is replaced.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push('\u{fffd}');
            }
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The cells of a font of fixed width that a text takes at most: two for each character that is not plain ASCII.
pub(crate) fn cells(text: &str) -> usize {
    text.chars().map(cell).sum()
}

fn cell(character: char) -> usize {
    let is_plain = character.is_ascii() && !character.is_ascii_control();
    if is_plain || "×·…±−".contains(character) { 1 } else { 2 }
}

/// The text, cut to this many cells.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if cells(text) <= most {
        return text.into();
    }
    let mut left = most.saturating_sub(1);
    let fits = |character: &char| {
        let cells = cell(*character);
        left.checked_sub(cells).is_some_and(|rest| {
            left = rest;
            true
        })
    };
    let mut short: String = text.chars().take_while(fits).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// Lines of at most this many cells, broken between words. A word that is longer is cut.
pub(crate) fn wrap(text: &str, most: usize) -> alloc::vec::Vec<String> {
    let mut lines = alloc::vec::Vec::<String>::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if cells(line) + 1 + cells(word) <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(cut(word, most)),
        }
    }
    lines
}
