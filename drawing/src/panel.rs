//! One life: its rows on the axis of time.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::axis::{Axis, PX, Tenths, words};
use crate::history::{End, History, Outcome, Token};
use crate::lane::{CELL, Item, LEAST, Lane, MOST_NAMES, ROW, STRIP, extent, when};
use crate::marks::Mark;
use crate::picture::{Key, MARGIN};
use crate::svg::{Svg, cells, wrap};

/// The widest name of a row has seven cells.
pub(crate) const GUTTER: Tenths = MARGIN + 7 * CELL + 14 * PX;
/// At most so many rows of waiting callers.
const MOST_WAITS: usize = 10;

/// Draws the life below `top`. Returns where it ends.
pub(crate) fn draw(
    svg: &mut Svg,
    used: &mut BTreeSet<Key>,
    name: &str,
    history: &History,
    axis: Axis,
    id: &str,
    top: Tenths,
) -> Tenths {
    let most = ((axis.right - MARGIN) / CELL) as usize;
    let mut y = top;
    for (class, text) in [("name", name.to_owned()), ("muted", history.summary())] {
        for line in wrap(&text, most) {
            svg.text(class, (MARGIN, y + 12 * PX), &line);
            y += 16 * PX;
        }
    }
    y += 4 * PX;
    let lanes_top = y;
    let mut front = Svg::default();
    let mut rows = Rows { svg: &mut front, used, axis, y, id };
    rows.clock(history);
    rows.issuer(history);
    rows.events(history);
    rows.tokens(history);
    rows.calls(history);
    rows.backoffs(history);
    rows.callers(history);
    y = rows.y;

    let grid = axis.grid(12 * CELL);
    for tick in axis.ticks(grid) {
        svg.line("grid", (axis.x(tick), lanes_top), (axis.x(tick), y));
    }
    for (from, to) in &history.asleep {
        let (from, to) = (axis.x(*from), axis.x(*to));
        svg.rect("night", (from, lanes_top), ((to - from).max(LEAST), y - lanes_top), "");
    }
    for (at, _) in &history.clock {
        svg.line("step", (axis.x(*at), lanes_top), (axis.x(*at), y));
    }
    svg.raw(&front.0);
    let mut free = axis.left;
    for tick in axis.ticks(grid) {
        let text = words(tick);
        let width = CELL * cells(&text) as Tenths;
        let left = (axis.x(tick) - width / 2).min(axis.right - width).max(axis.left);
        if left >= free {
            svg.text("muted", (left, y + 12 * PX), &text);
            free = left + width + CELL;
        }
    }
    y + 18 * PX
}

struct Rows<'a> {
    svg: &'a mut Svg,
    used: &'a mut BTreeSet<Key>,
    axis: Axis,
    y: Tenths,
    id: &'a str,
}

impl Rows<'_> {
    /// A row with this name in front of it. Without items there is no row.
    fn row(&mut self, name: &str, items: Vec<Item>, strips: usize) {
        if items.is_empty() {
            return;
        }
        let mut lane = self.lane(name, strips);
        lane.draw(self.svg, items);
        self.y = lane.bottom();
    }

    fn lane(&mut self, name: &str, strips: usize) -> Lane {
        self.svg.text("row", (MARGIN, self.y + 13 * PX), name);
        Lane::new(self.axis, self.y, strips)
    }

    fn clock(&mut self, history: &History) {
        let steps = history.clock.iter().map(|(at, by)| {
            let by = format!("{}{}", if *by < 0 { "−" } else { "+" }, words(by.unsigned_abs()));
            Item {
                from: *at,
                to: *at,
                bar: None,
                mark: Some(Mark::Triangle),
                tooltip: format!("the wall clock is set by {by} at {}", words(*at)),
                label: by,
                many: "",
            }
        });
        let sleeps = history.asleep.iter().map(|(from, to)| Item {
            from: *from,
            to: *to,
            bar: Some("sleep"),
            mark: None,
            label: format!("sleeps {}", words(to - from)),
            many: "",
            tooltip: format!("the computer sleeps {}", when(*from, *to)),
        });
        self.used.extend(history.clock.first().map(|_| Key::ClockSet));
        self.used.extend(history.asleep.first().map(|_| Key::Asleep));
        self.row("clock", steps.chain(sleeps).collect(), 2);
    }

    fn issuer(&mut self, history: &History) {
        let items = history.issuer.iter().map(|(from, to, does)| Item {
            from: *from,
            to: *to,
            bar: Some("outage"),
            mark: None,
            label: does.clone(),
            many: "outages",
            tooltip: format!("the issuer: {does}, {}", when(*from, *to)),
        });
        self.used.extend(history.issuer.first().map(|_| Key::Outage));
        self.row("issuer", items.collect(), 3);
    }

    fn events(&mut self, history: &History) {
        let items = history.events.iter().map(|(at, what, many)| Item {
            from: *at,
            to: *at,
            bar: None,
            mark: Some(Mark::Flag),
            label: what.clone(),
            many,
            tooltip: format!("{what}, {}", when(*at, *at)),
        });
        self.used.extend(history.events.first().map(|_| Key::Event));
        self.row("events", items.collect(), 1);
    }

    fn tokens(&mut self, history: &History) {
        let runs = runs(self.axis, &history.tokens);
        let mut lane = self.lane("token", usize::from(runs.len() <= MOST_NAMES)).without_labels_beside();
        let (top, height) = (self.y + 2 * PX, ROW - 4 * PX);
        let gaps = history.without_token();
        for (from, to) in &gaps {
            let (left, right) = (self.axis.x(*from), self.axis.x(*to));
            // Inside of its outline, which is 1 px wide.
            if right - left >= LEAST {
                let tip = format!("no valid token {}", when(*from, *to));
                self.svg.rect("none", (left + 5, top + 5), (right - left - PX, height - PX), &tip);
                self.used.insert(Key::NoToken);
            }
        }
        let mut labels = Vec::new();
        for run in runs {
            let (left, right) = (run.left, run.right);
            lane.occupy(left, right);
            match run.tokens {
                [one] => {
                    let due = one.due.filter(|due| *due < one.to);
                    let due = due.map_or(right, |due| self.axis.x(due.max(one.from)).min(right));
                    let tip = describe(one);
                    if due > left {
                        self.svg.rect("token", (left, top), (due - left, height), &tip);
                        self.used.insert(Key::Token);
                    }
                    if right > due {
                        self.svg.hatched(self.id, (due, top), (right - due, height), &tip);
                        // The legend does not explain what cannot be seen.
                        self.used.extend((right - due >= PX).then_some(Key::Due));
                    }
                    self.svg.line("edge", (left, top), (left, top + height));
                    if one.end == End::Expired {
                        self.svg.line("expired", (right, top - 2 * PX), (right, top + height + 2 * PX));
                        self.used.insert(Key::Expired);
                    }
                    labels.push((one.name.clone(), (left, right), Some((left, due))));
                }
                many => {
                    let tip = many.first().map(describe).unwrap_or_default();
                    let at = many.iter().map(|token| self.axis.x(token.from));
                    self.svg.ticks("tick", at, (top, height), &format!("{} tokens: first {tip}", many.len()));
                    labels.push((format!("{}×", many.len()), (left, right), None));
                }
            }
        }
        for (text, bar, inside) in labels {
            lane.label(self.svg, &text, bar, inside);
        }
        self.y = lane.bottom() + 2 * PX;
    }

    fn calls(&mut self, history: &History) {
        let mut rows = [Vec::new(), Vec::new(), Vec::new()];
        for call in &history.calls {
            let (row, bar, mark, label, what) = match &call.outcome {
                Outcome::Open => (0, "open", None, "", "in flight at the end"),
                Outcome::Good => (0, "call", Some(Mark::Dot), "", "brought a token"),
                Outcome::Failed(kind) => (1, "call", Some(Mark::Cross), kind.as_str(), "failed"),
                Outcome::Dropped => (2, "call", Some(Mark::Diamond), "", "given up"),
            };
            let tooltip = format!("refresh {what} {}", when(call.from, call.to));
            let label = label.to_owned();
            let item = Item { from: call.from, to: call.to, bar: Some(bar), mark, label, many: "", tooltip };
            self.used.insert([Key::Refreshed, Key::RefreshFailed, Key::RefreshDropped][row]);
            rows[row].push(item);
        }
        for (name, items) in ["refresh", "failed", "dropped"].into_iter().zip(rows) {
            self.row(name, items, 1);
        }
    }

    fn backoffs(&mut self, history: &History) {
        let items = history.backoffs.iter().filter(|(from, to)| to > from).map(|(from, to)| Item {
            from: *from,
            to: *to,
            bar: Some("backoff"),
            mark: None,
            label: words(to - from),
            many: "",
            tooltip: format!("backs off {}", when(*from, *to)),
        });
        let items: Vec<_> = items.collect();
        self.used.extend(items.first().map(|_| Key::Backoff));
        self.row("backoff", items, 1);
    }

    fn callers(&mut self, history: &History) {
        let (mut rows, mut long) = ([Vec::new(), Vec::new(), Vec::new(), Vec::new()], Vec::new());
        for wait in &history.waits {
            let time = words(wait.to - wait.from);
            let is_short = self.axis.x(wait.to) - self.axis.x(wait.from) < LEAST;
            let (row, mark, key, what) = match &wait.outcome {
                Outcome::Open => (None, None, Key::Waits, "still waits"),
                Outcome::Good if wait.is_at_once() => (Some(0), Some(Mark::Tick), Key::Served, ""),
                Outcome::Good => (Some(1), Some(Mark::Dot), Key::Waits, ""),
                Outcome::Failed(kind) => (Some(2), Some(Mark::Cross), Key::CallerFailed, kind.as_str()),
                Outcome::Dropped => (Some(3), Some(Mark::Ring), Key::Cancelled, "cancelled"),
            };
            self.used.insert(key);
            let comma = if what.is_empty() { "" } else { ", " };
            let tooltip = match mark {
                Some(Mark::Cross) if wait.is_at_once() => format!("{}: an error at once{comma}{what}", wait.name),
                Some(Mark::Cross) => format!("{}: an error after {time}{comma}{what}", wait.name),
                _ if wait.is_at_once() => format!("{}: at once{comma}{what}", wait.name),
                _ => format!("{}: waits {time}{comma}{what}", wait.name),
            };
            let tooltip = format!("{tooltip}, {}", when(wait.from, wait.to));
            let item = |bar, label| Item { from: wait.from, to: wait.to, bar, mark, label, many: "", tooltip };
            match row.filter(|_| is_short) {
                Some(1) => rows[1].push(item(None, time)),
                Some(2) => rows[2].push(item(None, what.to_owned())),
                Some(row) => rows[row].push(item(None, String::new())),
                None => {
                    let label = format!("{}: {time}{comma}{what}", wait.name);
                    long.push(item(Some("wait"), label));
                }
            }
        }
        for (name, items) in ["served", "waited", "errors", "cancels"].into_iter().zip(rows) {
            self.row(name, items, 1);
        }
        self.waits(&long);
    }

    /// The waits that are long enough to be seen, each where there is room.
    fn waits(&mut self, waits: &[Item]) {
        let mut lanes = Vec::<Lane>::new();
        let mut drawn = Vec::new();
        for item in waits {
            let place = extent(self.axis, item);
            let number = match lanes.iter().position(|lane| lane.has_room(place)) {
                Some(number) => number,
                None if lanes.len() < MOST_WAITS => {
                    let name = if lanes.is_empty() { "waits" } else { "" };
                    lanes.push(self.lane(name, 0));
                    self.y += STRIP + PX;
                    lanes.len() - 1
                }
                None => continue,
            };
            if let Some(lane) = lanes.get_mut(number) {
                lane.draw_one(self.svg, item);
                drawn.push((number, &item.label, place));
            }
        }
        for (number, label, place) in &drawn {
            if let Some(lane) = lanes.get_mut(*number) {
                lane.label(self.svg, label, *place, None);
            }
        }
        if waits.len() > drawn.len() {
            let more = format!("and {} more that wait", waits.len() - drawn.len());
            self.svg.text("muted", (self.axis.left, self.y + 12 * PX), &more);
            self.y += STRIP + PX;
        }
        if !lanes.is_empty() {
            self.y += 3 * PX;
        }
    }
}

/// A token that can be seen, or several that cannot be drawn apart.
struct Run<'a> {
    left: Tenths,
    right: Tenths,
    tokens: &'a [Token],
}

fn runs(axis: Axis, tokens: &[Token]) -> Vec<Run<'_>> {
    let mut runs = Vec::<Run<'_>>::new();
    let (mut first, mut last_is_long) = (0, true);
    for (number, token) in tokens.iter().enumerate() {
        let (left, right) = (axis.x(token.from), axis.x(token.to));
        let is_long = right - left >= LEAST;
        let (left, right) = if is_long { (left, right) } else { (left.min(axis.right - LEAST), left + LEAST) };
        match runs.last_mut().filter(|run| left < run.right) {
            Some(run) if !is_long && !last_is_long => {
                run.right = run.right.max(right);
                run.tokens = tokens.get(first..=number).unwrap_or_default();
                continue;
            }
            // One of the two is drawn wider than it is.
            Some(run) => run.right = left,
            None => {}
        }
        (first, last_is_long) = (number, is_long);
        runs.push(Run { left, right, tokens: tokens.get(first..=number).unwrap_or_default() });
    }
    runs
}

fn describe(token: &Token) -> String {
    let end = match token.end {
        End::Open => "is still held",
        End::Expired => "expires",
        End::Replaced => "is replaced",
        End::Lost => "is dropped",
    };
    let due = match token.due.filter(|due| *due < token.to) {
        Some(due) => format!("; due for renewal at {}", words(due)),
        None => String::new(),
    };
    format!("token {} {}{due}; it {end}", token.name, when(token.from, token.to))
}
