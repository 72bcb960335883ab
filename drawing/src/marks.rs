//! The marks: each outcome has a shape of its own, not a colour only.

use alloc::format;
use alloc::string::String;

use crate::axis::{PX, Tenths};
use crate::svg::{Svg, px};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// It brought a token.
    Dot,
    /// It failed.
    Cross,
    /// The credential gave it up.
    Diamond,
    /// The caller gave it up.
    Ring,
    /// Served at once.
    Tick,
    /// The clock was set.
    Triangle,
    /// Another event.
    Flag,
}

impl Mark {
    /// Half of its width.
    pub(crate) const fn reach(self) -> Tenths {
        match self {
            Self::Tick => PX,
            Self::Dot | Self::Cross | Self::Diamond | Self::Ring | Self::Triangle | Self::Flag => 5 * PX,
        }
    }

    /// The class of the thin lines that stand for many of it.
    pub(crate) const fn ticks(self) -> &'static str {
        match self {
            Self::Dot | Self::Tick => "tick",
            Self::Cross | Self::Diamond => "tick no",
            Self::Ring => "tick left",
            Self::Triangle | Self::Flag => "tick mark",
        }
    }

    /// Draws it with its middle here.
    pub(crate) fn draw(self, svg: &mut Svg, (x, y): (Tenths, Tenths), tooltip: &str) {
        let at = |dx: Tenths, dy: Tenths| format!("{} {}", px(x + dx), px(y + dy));
        let circle = |radius: &str| format!("cx=\"{}\" cy=\"{}\" r=\"{radius}\"", px(x), px(y));
        let path = |corners: &[(Tenths, Tenths)], close: &str| {
            let points = corners.iter().map(|(dx, dy)| at(*dx, *dy));
            let joined = points.enumerate().fold(String::new(), |text, (number, point)| match number {
                0 => format!("M{point}"),
                _ => format!("{text}L{point}"),
            });
            format!("d=\"{joined}{close}\"")
        };
        match self {
            Self::Dot => svg.shape("circle", "good", &circle("4.5"), tooltip),
            Self::Ring => svg.shape("circle", "ring", &circle("3.7"), tooltip),
            Self::Cross => {
                let (from, to) = (at(-40, -40), at(40, 40));
                let (other, end) = (at(-40, 40), at(40, -40));
                svg.shape("path", "bad", &format!("d=\"M{from}L{to}M{other}L{end}\""), tooltip);
            }
            Self::Diamond => {
                svg.shape("path", "dropped", &path(&[(0, -45), (45, 0), (0, 45), (-45, 0)], "Z"), tooltip);
            }
            Self::Tick => svg.shape("path", "tick", &path(&[(0, -50), (0, 50)], ""), tooltip),
            Self::Triangle => svg.shape("path", "event", &path(&[(0, -45), (45, 40), (-45, 40)], "Z"), tooltip),
            Self::Flag => {
                let corners = [(-30, 50), (-30, -45), (45, -20), (-15, 5), (-15, 50)];
                svg.shape("path", "event", &path(&corners, "Z"), tooltip);
            }
        }
    }
}
