//! Reads the diagram in `src/transitions.md`: boxes, and lines with arrow heads between them.

use std::collections::{BTreeMap, BTreeSet};

/// An arrow, and its label.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) label: String,
}

/// One step: rows down, columns right.
type Step = (isize, isize);
const UP: Step = (-1, 0);
const DOWN: Step = (1, 0);
const LEFT: Step = (0, -1);
const RIGHT: Step = (0, 1);

/// The directions of a line's character.
fn ways(character: char) -> &'static [Step] {
    match character {
        '─' => &[LEFT, RIGHT],
        '│' => &[UP, DOWN],
        '┌' => &[DOWN, RIGHT],
        '┐' => &[DOWN, LEFT],
        '└' => &[UP, RIGHT],
        '┘' => &[UP, LEFT],
        '├' => &[UP, DOWN, RIGHT],
        '┤' => &[UP, DOWN, LEFT],
        '┬' => &[LEFT, RIGHT, DOWN],
        '┴' => &[LEFT, RIGHT, UP],
        _ => &[],
    }
}

/// The direction of an arrow head.
fn points(character: char) -> Option<Step> {
    match character {
        '▲' => Some(UP),
        '▼' => Some(DOWN),
        '◀' => Some(LEFT),
        '▶' => Some(RIGHT),
        _ => None,
    }
}

struct Drawing {
    cells: BTreeMap<(isize, isize), char>,
    /// The box of each cell of a frame.
    frames: BTreeMap<(isize, isize), String>,
}

/// Every arrow of the drawings in the document's fenced `text` blocks.
pub(crate) fn read(document: &str) -> BTreeSet<Arrow> {
    let fenced = document.split("```text\n").skip(1).filter_map(|rest| rest.split("```").next());
    fenced.flat_map(|text| Drawing::new(text).arrows()).collect()
}

impl Drawing {
    fn new(text: &str) -> Self {
        let line = |(row, line): (usize, &str)| -> Vec<_> {
            line.chars().enumerate().map(|(column, c)| ((row as isize, column as isize), c)).collect()
        };
        let mut drawing = Self { cells: text.lines().enumerate().flat_map(line).collect(), frames: BTreeMap::new() };
        for corner in drawing.cells.keys().copied().filter(|at| drawing.at(*at) == '┌').collect::<Vec<_>>() {
            drawing.frame(corner);
        }
        drawing
    }

    fn at(&self, at: (isize, isize)) -> char {
        self.cells.get(&at).copied().unwrap_or(' ')
    }

    /// Remembers the box that begins at this corner: three lines, a name in the middle.
    fn frame(&mut self, (row, left): (isize, isize)) {
        let right = (left..).find(|column| self.at((row, *column)) == '┐').expect("a box is closed");
        let inside: String = (left + 1..right).map(|column| self.at((row + 1, column))).collect();
        let name = inside.trim().to_owned();
        assert!(name.chars().all(|c| c.is_alphabetic() || c == ' ') && !name.is_empty(), "no name: {inside:?}");
        for column in left..=right {
            self.frames.insert((row, column), name.clone());
            self.frames.insert((row + 2, column), name.clone());
        }
        self.frames.insert((row + 1, left), name.clone());
        self.frames.insert((row + 1, right), name);
    }

    fn arrows(&self) -> Vec<Arrow> {
        let mut found = Vec::new();
        let mut heads = BTreeSet::new();
        for (at, name) in &self.frames {
            let border = self.at(*at);
            let outward = ways(border).iter().filter(|step| border_exit(border, **step));
            for step in outward {
                let mut walk = Walk { drawing: self, seen: BTreeSet::new(), label: String::new(), ends: Vec::new() };
                walk.along(*at, *step);
                assert!(!walk.ends.is_empty(), "a line from {name} leads nowhere");
                let label: Vec<_> = walk.label.split_whitespace().collect();
                for (head, to) in walk.ends {
                    heads.insert(head);
                    found.push(Arrow { from: name.clone(), to, label: label.join(" ") });
                }
            }
        }
        let drawn = self.cells.iter().filter(|(_, c)| points(**c).is_some()).count();
        assert_eq!(heads.len(), drawn, "every arrow head is reached by a line from a box");
        found
    }
}

/// Whether a frame's character has a line that leads out of the box.
fn border_exit(border: char, step: Step) -> bool {
    matches!((border, step), ('├', RIGHT) | ('┤', LEFT) | ('┬', DOWN) | ('┴', UP))
}

struct Walk<'a> {
    drawing: &'a Drawing,
    seen: BTreeSet<(isize, isize)>,
    label: String,
    /// Arrow heads reached, and the boxes they point at.
    ends: Vec<((isize, isize), String)>,
}

impl Walk<'_> {
    fn along(&mut self, from: (isize, isize), step: Step) {
        let at = (from.0 + step.0, from.1 + step.1);
        let character = self.drawing.at(at);
        if self.drawing.frames.contains_key(&at) {
            return;
        }
        if let Some(head) = points(character) {
            assert_eq!(head, step, "an arrow head lies in its line");
            let target = self.drawing.frames.get(&(at.0 + head.0, at.1 + head.1));
            self.ends.push((at, target.expect("an arrow head touches a box").clone()));
            return;
        }
        if !self.seen.insert(at) {
            return;
        }
        let back = (-step.0, -step.1);
        if ways(character).contains(&back) {
            self.label.push(' ');
            for next in ways(character).iter().filter(|next| **next != back) {
                self.along(at, *next);
            }
        } else {
            // A word written on the line.
            assert!(step.0 == 0 && !ways(character).contains(&step), "a line ends at {at:?}");
            assert!(self.drawing.cells.contains_key(&at), "a line leaves the drawing");
            if step == RIGHT {
                self.label.push(character)
            } else {
                self.label.insert(0, character)
            }
            self.along(at, step);
        }
    }
}
