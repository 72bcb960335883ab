//! One row of a panel, and the places of its labels.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::axis::{Axis, PX, Tenths, words};
use crate::marks::Mark;
use crate::svg::{Svg, cells, cut};

/// The width of a cell of labels: 12 px, of which a font of fixed width takes 0.60 to 0.61.
pub(crate) const CELL: Tenths = 73;
/// The height of a row of shapes, and of a strip of labels below it.
pub(crate) const ROW: Tenths = 18 * PX;
pub(crate) const STRIP: Tenths = 14 * PX;
/// Between a label and what is beside it.
const GAP: Tenths = 4 * PX;
/// From more of a kind in a row, only those are named whose name has a place beside them.
pub(crate) const MOST_NAMES: usize = 12;
/// At least so wide is a bar.
pub(crate) const LEAST: Tenths = 3 * PX;
const LONGEST: usize = 40;

/// Something that is drawn in a lane: a bar, a mark, or a bar that ends with a mark.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The class of its bar. A moment has none.
    pub(crate) bar: Option<&'static str>,
    pub(crate) mark: Option<Mark>,
    pub(crate) label: String,
    /// What many such are called.
    pub(crate) many: &'static str,
    pub(crate) tooltip: String,
}

/// A lane: one row of shapes, and strips of labels below it, as many as are needed.
#[derive(Debug)]
pub(crate) struct Lane {
    axis: Axis,
    top: Tenths,
    strips: Vec<Vec<(Tenths, Tenths)>>,
    most_strips: usize,
    /// Whether a label may stand beside its shape.
    beside: bool,
}

impl Lane {
    pub(crate) fn new(axis: Axis, top: Tenths, most_strips: usize) -> Self {
        Self { axis, top, strips: alloc::vec![Vec::new()], most_strips, beside: true }
    }

    /// A lane in which a label beside a shape would look like the name of something else.
    pub(crate) fn without_labels_beside(self) -> Self {
        Self { beside: false, ..self }
    }

    pub(crate) fn middle(&self) -> Tenths {
        self.top + ROW / 2
    }

    pub(crate) fn bottom(&self) -> Tenths {
        self.top + ROW + STRIP * (self.strips.len() as Tenths - 1)
    }

    /// Nothing else may be drawn here in the row.
    pub(crate) fn occupy(&mut self, from: Tenths, to: Tenths) {
        if let Some(row) = self.strips.first_mut() {
            row.push((from, to));
        }
    }

    /// Writes the label inside of `inside` if it fits; else beside or below what reaches from `from` to `to`; else nowhere.
    pub(crate) fn label(
        &mut self,
        svg: &mut Svg,
        text: &str,
        (from, to): (Tenths, Tenths),
        inside: Option<(Tenths, Tenths)>,
    ) {
        if text.is_empty() {
            return;
        }
        let text = cut(text, LONGEST);
        let width = CELL * cells(&text) as Tenths;
        if let Some((left, right)) = inside
            && right - left >= width + 2 * GAP
        {
            return svg.text("in", ((left + right - width) / 2, self.top + 13 * PX), &text);
        }
        let centred = ((from + to - width) / 2).min(self.axis.right - width).max(self.axis.left);
        let beside = [to + GAP, from - GAP - width].into_iter().filter(|_| self.beside).map(|left| (0, left));
        let below = (1..=self.most_strips).map(|strip| (strip, centred));
        for (strip, left) in beside.chain(below) {
            let right = left + width;
            let is_free = |taken: &Vec<(Tenths, Tenths)>| {
                taken.iter().all(|(start, end)| right + GAP <= *start || *end + GAP <= left)
            };
            if left < self.axis.left || right > self.axis.right || !self.strips.get(strip).is_none_or(is_free) {
                continue;
            }
            if strip == self.strips.len() {
                self.strips.push(Vec::new());
            }
            if let Some(taken) = self.strips.get_mut(strip) {
                taken.push((left, right));
            }
            let baseline = match strip {
                0 => self.top + 13 * PX,
                _ => self.top + ROW + STRIP * (strip as Tenths - 1) + 11 * PX,
            };
            return svg.text("label", (left, baseline), &text);
        }
    }

    /// Draws all items, in the order of their start. Those that would cover each other become one, with a count.
    pub(crate) fn draw(&mut self, svg: &mut Svg, mut items: Vec<Item>) {
        items.sort_by_key(|item| (item.from, item.to));
        let mut clusters = Vec::<Cluster>::new();
        for item in items {
            let cluster = Cluster::of(self.axis, item);
            match clusters.last_mut() {
                Some(last) if cluster.left < last.right + cluster.apart() => last.join(cluster),
                _ => clusters.push(cluster),
            }
        }
        for cluster in &clusters {
            self.occupy(cluster.left, cluster.right);
            cluster.draw(svg, self.axis, self.middle());
        }
        let few = clusters.len() <= MOST_NAMES;
        for cluster in &clusters {
            let inside = cluster.inside(self.axis);
            let (text, place) = (cluster.label(), (cluster.left, cluster.right));
            let most = self.most_strips;
            if !few {
                self.most_strips = 0;
            }
            self.label(svg, &text, place, inside);
            self.most_strips = most;
        }
    }

    /// Draws an item for which there is room.
    pub(crate) fn draw_one(&mut self, svg: &mut Svg, item: &Item) {
        let (left, right) = extent(self.axis, item);
        self.occupy(left, right);
        draw_bar(svg, self.axis, self.middle(), item);
        if let Some(mark) = item.mark {
            mark.draw(svg, (self.axis.x(item.to), self.middle()), &item.tooltip);
        }
    }

    /// Whether this place in the row is free.
    pub(crate) fn has_room(&self, (from, to): (Tenths, Tenths)) -> bool {
        self.strips.first().is_some_and(|row| row.iter().all(|(start, end)| to + GAP <= *start || *end + GAP <= from))
    }
}

/// Items that cannot be drawn apart.
#[derive(Debug)]
struct Cluster {
    left: Tenths,
    right: Tenths,
    items: Vec<Item>,
}

impl Cluster {
    fn of(axis: Axis, item: Item) -> Self {
        let (left, right) = extent(axis, &item);
        Self { left, right, items: alloc::vec![item] }
    }

    /// How far it must be from another. Bars may touch.
    fn apart(&self) -> Tenths {
        if self.items.iter().all(|item| item.mark.is_none()) { 0 } else { PX }
    }

    fn join(&mut self, other: Self) {
        self.right = self.right.max(other.right);
        self.items.extend(other.items);
    }

    fn label(&self) -> String {
        match self.items.as_slice() {
            [] => String::new(),
            [one] => one.label.clone(),
            [first, ..] if first.mark == Some(Mark::Tick) => String::new(),
            [first, rest @ ..] => {
                let same = rest.iter().all(|item| item.label == first.label);
                let what = if same { first.label.as_str() } else { first.many };
                String::from(format!("{}× {what}", self.items.len()).trim_end())
            }
        }
    }

    fn tooltip(&self) -> String {
        match self.items.as_slice() {
            [] => String::new(),
            [one] => one.tooltip.clone(),
            [first, .., last] => {
                format!(
                    "{} from {} to {}: first {}",
                    self.items.len(),
                    words(first.from),
                    words(last.to),
                    first.tooltip
                )
            }
        }
    }

    /// Where a label has room in a bar.
    fn inside(&self, axis: Axis) -> Option<(Tenths, Tenths)> {
        match self.items.as_slice() {
            [one] if one.mark.is_none() && one.bar == Some("sleep") => Some((axis.x(one.from), axis.x(one.to))),
            _ => None,
        }
    }

    fn draw(&self, svg: &mut Svg, axis: Axis, middle: Tenths) {
        let Some(last) = self.items.last() else { return };
        let is_one = self.items.len() == 1;
        let is_seen = |item: &Item| item.bar.is_some() && axis.x(item.to) - axis.x(item.from) >= LEAST;
        // Many short bars would be as many elements.
        let (seen, unseen): (Vec<_>, Vec<_>) = self.items.iter().partition(|item| is_one || is_seen(item));
        for item in seen {
            draw_bar(svg, axis, middle, item);
        }
        if !unseen.is_empty() {
            let class = last.mark.map_or("tick no", Mark::ticks);
            let at = unseen.iter().map(|item| axis.x(item.from));
            svg.ticks(class, at, (middle - 5 * PX, 10 * PX), &self.tooltip());
        }
        match last.mark {
            Some(Mark::Tick) if self.items.len() > 1 => {}
            Some(mark) => mark.draw(svg, (axis.x(last.to), middle), &self.tooltip()),
            None => {}
        }
    }
}

fn draw_bar(svg: &mut Svg, axis: Axis, middle: Tenths, item: &Item) {
    let Some(class) = item.bar else { return };
    let width = (axis.x(item.to) - axis.x(item.from)).max(LEAST);
    let height = if class == "sleep" { ROW - 4 * PX } else { 6 * PX };
    let from = axis.x(item.from).min(axis.right - width);
    svg.rect(class, (from, middle - height / 2), (width, height), &item.tooltip);
}

/// From where to where an item is drawn.
pub(crate) fn extent(axis: Axis, item: &Item) -> (Tenths, Tenths) {
    let (from, to) = (axis.x(item.from), axis.x(item.to));
    let (mut left, mut right) = (from, to);
    if item.bar.is_some() {
        right = right.max(left + LEAST);
    }
    if let Some(mark) = item.mark {
        (left, right) = (left.min(to - mark.reach()), right.max(to + mark.reach()));
    }
    (left, right)
}

/// When, for a tooltip.
pub(crate) fn when(from: u64, to: u64) -> String {
    if from == to {
        return format!("at {}", words(from));
    }
    format!("from {} to {}, {}", at(from), at(to), words(to - from))
}

fn at(moment: u64) -> String {
    if moment == 0 { "the start".to_owned() } else { words(moment) }
}
