//! The whole picture: title, lives, legend, scale.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::axis::{Axis, PX, Tenths, words};
use crate::history::History;
use crate::lane::{CELL, LEAST};
use crate::life::Life;
use crate::marks::Mark;
use crate::panel::{self, GUTTER};
use crate::svg::{Svg, cells, escape, px, wrap};

pub(crate) const MARGIN: Tenths = 12 * PX;
const STYLE: &str = include_str!("style.css");
const NARROWEST: u32 = 320;

/// One or more lives, one below the other, on the same axis of time.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// Letters, digits and hyphens, different from those of other pictures on the same page. Other characters are left out.
    pub id: &'a str,
    /// The title.
    pub title: &'a str,
    /// The lives.
    pub lives: &'a [Life],
    /// Where the axis of time begins, in milliseconds. What was over by then is left out.
    pub from: u64,
    /// Where it ends. Later facts are left out.
    pub until: u64,
    /// The width in pixels, at least 320. The height follows from what there is to see.
    pub width: u32,
}

impl Picture<'_> {
    /// The picture as an SVG document. It stands alone: no font, script or other file is needed.
    ///
    /// ```
    /// use acs_common_drawing::{Life, Picture};
    ///
    /// let nothing = Picture { id: "n", title: "<nothing>", lives: &[Life::new("a")], from: 0, until: 1_000, width: 400 };
    /// assert!(nothing.draw().contains("&lt;nothing&gt;"));
    /// assert_eq!(nothing.draw(), nothing.draw());
    /// ```
    #[must_use]
    pub fn draw(&self) -> String {
        let id: String = self.id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        let width = Tenths::from(self.width.max(NARROWEST)) * PX;
        let axis = Axis::new(GUTTER, width - MARGIN, (self.from, self.until));
        let histories: Vec<_> =
            self.lives.iter().map(|life| (life, History::of(life, self.from, self.until))).collect();
        let mut body = Svg::default();
        let mut used = BTreeSet::new();
        let mut y = MARGIN;
        for line in wrap(self.title, ((width - 2 * MARGIN) / TITLE_CELL) as usize) {
            body.text("title", (MARGIN, y + 14 * PX), &line);
            y += 20 * PX;
        }
        for (life, history) in &histories {
            y += 8 * PX;
            y = panel::draw(&mut body, &mut used, &life.name, history, axis, &id, y);
        }
        y = legend(&mut body, &used, &id, width, y + 10 * PX);
        for line in wrap(&scale(axis), ((width - 2 * MARGIN) / CELL) as usize) {
            body.text("muted", (MARGIN, y + 12 * PX), &line);
            y += 16 * PX;
        }
        let height = y + MARGIN / 2;

        let mut description = String::new();
        for (life, history) in &histories {
            let _ = write!(description, "{}: {} ", life.name, history.summary());
        }
        let (w, h) = (px(width), px(height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"acs\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\" \
             width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\">\n\
             <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>\n<style>\n{STYLE}</style>\n\
             <defs>{}</defs>\n\
             <rect class=\"paper\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n{}</svg>\n",
            escape(self.title),
            escape(description.trim_end()),
            hatch(&id),
            px(width - PX),
            px(height - PX),
            body.0,
        )
    }
}

/// The width of a cell of the title: 15 px, bold.
const TITLE_CELL: Tenths = 92;

fn hatch(id: &str) -> String {
    format!(
        "<pattern id=\"{id}-due\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <rect class=\"gap\" width=\"6\" height=\"6\"/><rect class=\"hatch\" width=\"2.5\" height=\"6\"/></pattern>"
    )
}

fn scale(axis: Axis) -> String {
    format!(
        "Time runs from left to right, to scale: grid lines are {} apart. What is shorter than {} is drawn wider.",
        words(axis.grid(12 * CELL)),
        words(axis.millis(LEAST).max(1)),
    )
}

/// What the legend explains, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Token,
    Due,
    Expired,
    NoToken,
    Refreshed,
    RefreshFailed,
    RefreshDropped,
    Backoff,
    Served,
    Waits,
    CallerFailed,
    Cancelled,
    Outage,
    Asleep,
    ClockSet,
    Event,
}

impl Key {
    const fn text(self) -> &'static str {
        match self {
            Self::Token => "valid token",
            Self::Due => "valid, due for renewal",
            Self::Expired => "token expires",
            Self::NoToken => "no valid token",
            Self::Refreshed => "refresh brings a token",
            Self::RefreshFailed => "refresh fails",
            Self::RefreshDropped => "refresh given up",
            Self::Backoff => "backoff",
            Self::Served => "caller served at once",
            Self::Waits => "caller waits, gets a token",
            Self::CallerFailed => "caller gets an error",
            Self::Cancelled => "caller cancels",
            Self::Outage => "issuer fails",
            Self::Asleep => "computer sleeps",
            Self::ClockSet => "wall clock is set",
            Self::Event => "event",
        }
    }

    /// Draws the sample, 18 px wide, with its middle at this height.
    fn draw(self, svg: &mut Svg, id: &str, (x, y): (Tenths, Tenths)) {
        let bar = |svg: &mut Svg, class: &str, height: Tenths| {
            svg.rect(class, (x, y - height / 2), (18 * PX, height), "");
        };
        let with = |svg: &mut Svg, class: &str, mark: Mark| {
            svg.rect(class, (x, y - 3 * PX), (13 * PX, 6 * PX), "");
            mark.draw(svg, (x + 13 * PX, y), "");
        };
        match self {
            Self::Token => bar(svg, "token", 12 * PX),
            Self::Due => svg.hatched(id, (x, y - 6 * PX), (18 * PX, 12 * PX), ""),
            Self::Expired => svg.line("expired", (x + 9 * PX, y - 8 * PX), (x + 9 * PX, y + 8 * PX)),
            Self::NoToken => bar(svg, "none", 12 * PX),
            Self::Refreshed => with(svg, "call", Mark::Dot),
            Self::RefreshFailed => with(svg, "call", Mark::Cross),
            Self::RefreshDropped => with(svg, "call", Mark::Diamond),
            Self::Backoff => bar(svg, "backoff", 6 * PX),
            Self::Served => Mark::Tick.draw(svg, (x + 9 * PX, y), ""),
            Self::Waits => with(svg, "wait", Mark::Dot),
            Self::CallerFailed => with(svg, "wait", Mark::Cross),
            Self::Cancelled => with(svg, "wait", Mark::Ring),
            Self::Outage => bar(svg, "outage", 6 * PX),
            Self::Asleep => bar(svg, "sleep", 12 * PX),
            Self::ClockSet => Mark::Triangle.draw(svg, (x + 9 * PX, y), ""),
            Self::Event => Mark::Flag.draw(svg, (x + 9 * PX, y), ""),
        }
    }
}

/// Explains what was used, in columns.
fn legend(svg: &mut Svg, used: &BTreeSet<Key>, id: &str, width: Tenths, top: Tenths) -> Tenths {
    let longest = used.iter().map(|key| cells(key.text())).max().unwrap_or_default();
    let column = 24 * PX + CELL * longest as Tenths + 12 * PX;
    let columns = ((width - 2 * MARGIN + 12 * PX) / column).max(1) as usize;
    for (number, key) in used.iter().enumerate() {
        let (across, down) = (number % columns, number / columns);
        let (x, y) = (MARGIN + column * across as Tenths, top + 18 * PX * down as Tenths);
        key.draw(svg, id, (x, y + 9 * PX));
        svg.text("muted", (x + 24 * PX, y + 13 * PX), key.text());
    }
    top + 18 * PX * used.len().div_ceil(columns) as Tenths + 4 * PX
}
