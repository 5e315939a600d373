//! One plot: lines in an SVG, with axes and a key.

use std::fmt::Write as _;

use super::{escape, number};

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 62.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 8.0;
const RIGHT: f64 = 10.0;
const TICKS: u32 = 4;
/// Told apart by most eyes, on light and dark paper.
const COLOURS: [&str; 8] = [
    "#0969da", "#d1570b", "#1a7f37", "#8250df", "#bf3989", "#9a6700", "#0a8f8f", "#cf222e",
];

/// One line of a plot.
pub(super) struct Line {
    pub(super) name: String,
    /// Lines of one group have one colour; a second one in it is dashed.
    pub(super) group: usize,
    pub(super) is_dashed: bool,
    pub(super) points: Vec<(f64, f64)>,
}

/// How the horizontal axis is told.
#[derive(Clone, Copy)]
pub(super) enum Axis {
    Seconds,
    /// Percentiles: the further right, the rarer; one decade for each nine.
    Nines,
}

/// The plot; nothing if there is nothing to show.
pub(super) fn plot(title: &str, axis: Axis, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let x_max = points().map(|point| point.0).fold(0.0, f64::max);
    let y_max = round_up(points().map(|point| point.1).fold(0.0, f64::max));
    if x_max <= 0.0 || y_max <= 0.0 {
        return String::new();
    }
    let x = |value: f64| LEFT + value / x_max * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / y_max * (HEIGHT - BOTTOM - TOP);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escape(title)
    );
    for tick in 0..=TICKS {
        let value = y_max * f64::from(tick) / f64::from(TICKS);
        let (at, label) = (y(value), number(value));
        let (right, text) = (WIDTH - RIGHT, LEFT - 6.0);
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{text}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            at + 4.0
        );
    }
    for (value, label) in marks(axis, x_max) {
        let (at, below) = (x(value), HEIGHT - 6.0);
        let _ = write!(
            svg,
            "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{label}</text>"
        );
    }
    for line in lines {
        let points: Vec<String> = line
            .points
            .iter()
            .map(|(a, b)| format!("{:.1},{:.1}", x(*a), y(*b)))
            .collect();
        let dashes = if line.is_dashed {
            " stroke-dasharray=\"4 3\""
        } else {
            ""
        };
        let _ = write!(
            svg,
            "<polyline class=\"line\" stroke=\"{}\"{dashes} points=\"{}\"><title>{}</title></polyline>",
            colour(line.group),
            points.join(" "),
            escape(&line.name)
        );
    }
    format!(
        "<figure><figcaption>{}</figcaption>{svg}</svg>{}</figure>",
        escape(title),
        key(lines)
    )
}

fn key(lines: &[Line]) -> String {
    let mut key = String::from("<p class=\"key\">");
    for line in lines {
        let opacity = if line.is_dashed { ";opacity:.5" } else { "" };
        let _ = write!(
            key,
            "<i style=\"background:{}{opacity}\"></i>{}",
            colour(line.group),
            escape(&line.name)
        );
    }
    key + "</p>"
}

fn colour(group: usize) -> &'static str {
    COLOURS[group % COLOURS.len()]
}

fn marks(axis: Axis, x_max: f64) -> Vec<(f64, String)> {
    match axis {
        Axis::Seconds => {
            let at = |tick| x_max * f64::from(tick) / f64::from(TICKS);
            (0..=TICKS)
                .map(|tick| (at(tick), format!("{} s", number(at(tick)))))
                .collect()
        }
        Axis::Nines => {
            let labels = [
                "0 %",
                "90 %",
                "99 %",
                "99.9 %",
                "99.99 %",
                "99.999 %",
                "99.9999 %",
            ];
            let marks = (0_u32..)
                .zip(labels)
                .map(|(nines, label)| (f64::from(nines), label.to_owned()));
            marks.filter(|(nines, _)| *nines <= x_max).collect()
        }
    }
}

/// The next of 1, 2, 4, 5, 8 and 10 times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 0.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0].map(|step| step * power);
    steps
        .into_iter()
        .find(|step| *step >= value * 0.999_999)
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::{Axis, Line, plot, round_up};

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, round) in [(3.1, 4.0), (0.07, 0.08), (81.0, 100.0), (100.0, 100.0)] {
            assert!((round_up(value) - round).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn what_has_no_points_is_not_shown() {
        let mut line = Line {
            name: "a<b".to_owned(),
            group: 0,
            is_dashed: false,
            points: Vec::new(),
        };
        assert_eq!(plot("p", Axis::Seconds, std::slice::from_ref(&line)), "");
        line.points = vec![(0.0, 1.0), (2.0, 3.0)];
        let svg = plot("p", Axis::Seconds, &[line]);
        assert!(svg.contains("<polyline") && svg.contains("a&lt;b"), "{svg}");
    }
}
