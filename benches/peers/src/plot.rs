//! Lines on two logarithmic axes, as SVG.

use std::fmt;

pub struct Plot {
    pub panels: Vec<Panel>,
    pub across: &'static str,
    pub up: &'static str,
}

pub struct Panel {
    pub title: &'static str,
    pub lines: Vec<Line>,
}

#[derive(Clone)]
pub struct Line {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 48.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 44.0;
/// The lines also differ without colours: by the marks at the points, and by the name at the end.
const COLOURS: [&str; 3] = ["#1b6ca8", "#b8570b", "#3a7d34"];

/// From one power of ten to another, on this number of pixels.
struct Axis {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64> + Clone, start: f64, end: f64) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min);
        let most = values.fold(f64::NEG_INFINITY, f64::max);
        let from = least.log10().floor();
        Self { from, to: most.log10().ceil().max(from + 1.0), start, end }
    }

    fn at(&self, value: f64) -> f64 {
        self.start + (value.log10() - self.from) / (self.to - self.from) * (self.end - self.start)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        (self.from as i32..=self.to as i32).map(|power| 10_f64.powi(power))
    }
}

impl fmt::Display for Plot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = WIDTH * self.panels.len() as f64;
        writeln!(
            f,
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}" font-family="sans-serif" font-size="12">"#
        )?;
        writeln!(f, r#"<rect width="{width}" height="{HEIGHT}" fill="white"/>"#)?;
        for (at, panel) in self.panels.iter().enumerate() {
            writeln!(f, r#"<g transform="translate({} 0)">"#, WIDTH * at as f64)?;
            self.panel(f, panel)?;
            writeln!(f, "</g>")?;
        }
        writeln!(f, "</svg>")
    }
}

impl Plot {
    fn panel(&self, f: &mut fmt::Formatter<'_>, panel: &Panel) -> fmt::Result {
        let points = || panel.lines.iter().flat_map(|line| &line.points);
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let across = Axis::of(points().map(|point| point.0), LEFT, right);
        let up = Axis::of(points().map(|point| point.1), bottom, TOP);
        writeln!(f, r#"<text x="{LEFT}" y="20" font-size="14">{}</text>"#, panel.title)?;
        for value in across.powers() {
            let x = across.at(value);
            writeln!(f, r##"<path d="M{x:.1} {TOP}V{bottom}" stroke="#ddd"/>"##)?;
            writeln!(f, r#"<text x="{x:.1}" y="{}" text-anchor="middle">{value}</text>"#, bottom + 16.0)?;
        }
        for value in up.powers() {
            let y = up.at(value);
            writeln!(f, r##"<path d="M{LEFT} {y:.1}H{right}" stroke="#ddd"/>"##)?;
            writeln!(f, r#"<text x="{}" y="{:.1}" text-anchor="end">{value} {}</text>"#, LEFT - 6.0, y + 4.0, self.up)?;
        }
        writeln!(
            f,
            r#"<text x="{}" y="{}" text-anchor="middle">{}</text>"#,
            (LEFT + right) / 2.0,
            bottom + 34.0,
            self.across
        )?;
        for (line, (colour, shape)) in panel.lines.iter().zip(COLOURS.into_iter().zip(["circle", "square", "triangle"]))
        {
            let places = line.points.iter().map(|point| (across.at(point.0), up.at(point.1))).collect::<Vec<_>>();
            let path = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect::<Vec<_>>().join("L");
            writeln!(f, r#"<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>"#)?;
            for (x, y) in &places {
                mark(f, shape, colour, *x, *y)?;
            }
            if let Some((x, y)) = places.last() {
                writeln!(f, r#"<text x="{:.1}" y="{:.1}" fill="{colour}">{}</text>"#, x + 7.0, y + 4.0, line.name)?;
            }
        }
        Ok(())
    }
}

fn mark(f: &mut fmt::Formatter<'_>, shape: &str, colour: &str, x: f64, y: f64) -> fmt::Result {
    match shape {
        "circle" => writeln!(f, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" fill="{colour}"/>"#),
        "square" => {
            writeln!(f, r#"<rect x="{:.1}" y="{:.1}" width="7" height="7" fill="{colour}"/>"#, x - 3.5, y - 3.5)
        }
        _ => writeln!(f, r#"<path d="M{x:.1} {:.1}l4 8h-8z" fill="{colour}"/>"#, y - 4.5),
    }
}
