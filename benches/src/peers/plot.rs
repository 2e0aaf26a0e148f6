//! How are the waits for `/healthz` drawn?
//!
//! As an SVG: for each load and peer a dot at its p99, on a logarithmic scale, and a line over the
//! spread of the rounds.

use std::fmt::{self, Write};

use super::loads::HEALTH_P99;
use super::peer::Peer;
use super::table::{Cell, Table};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 300.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = 40.0;
/// The height of a peer's lane, and of the gap between two loads.
const LANE: f64 = 9.0;
const GAP: f64 = 14.0;
/// The scale's ends, in milliseconds.
const SHORTEST: f64 = 0.01;
const LONGEST: f64 = 10_000.0;

/// One colour for each of [`Peer::COLUMNS`].
const COLOURS: [&str; 7] = ["#6b7280", "#b45309", "#dc2626", "#7c3aed", "#0891b2", "#16a34a", "#86b817"];

/// Draws those tables that have the row.
pub fn plot(tables: &[Table]) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_plot(&mut text, tables);
    text
}

fn write_plot(out: &mut String, tables: &[Table]) -> fmt::Result {
    let bands: Vec<(&str, &[Cell])> = tables
        .iter()
        .filter_map(|table| {
            let line = table.lines.iter().find(|line| line.row.name == HEALTH_P99)?;
            Some((table.title.as_str(), line.cells.as_slice()))
        })
        .collect();
    let band = |cells: &[Cell]| cells.len() as f64 * LANE + GAP;
    let bottom = TOP + bands.iter().map(|(_, cells)| band(cells)).sum::<f64>();
    let height = bottom + BOTTOM;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    )?;
    label(out, (20.0, 22.0), "start", "black", "p99 of /healthz beside requests that compute, in ms")?;
    for (index, peer) in Peer::COLUMNS.iter().enumerate() {
        label(
            out,
            (20.0 + index as f64 * 122.0, 46.0),
            "start",
            colour(*peer),
            &format!("● {}", peer.name()),
        )?;
    }
    let mut ms = SHORTEST;
    while ms <= LONGEST * 1.01 {
        line(out, (x(ms), TOP), (x(ms), bottom), "#ddd", 1.0)?;
        label(out, (x(ms), bottom + 18.0), "middle", "black", &format!("{}", (ms * 1e3).round() / 1e3))?;
        ms *= 10.0;
    }
    let mut top = TOP;
    for (title, cells) in bands {
        line(out, (20.0, top), (WIDTH - RIGHT, top), "#ddd", 1.0)?;
        label(out, (20.0, top + band(cells) / 2.0 + 4.0), "start", "black", title)?;
        for (lane, cell) in cells.iter().enumerate().filter(|(_, cell)| cell.shown.is_finite()) {
            let y = top + f64::midpoint(GAP, LANE) + lane as f64 * LANE;
            line(out, (x(cell.min), y), (x(cell.max), y), colour(cell.peer), 2.0)?;
            let (x, colour) = (x(cell.shown), colour(cell.peer));
            writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>")?;
        }
        top += band(cells);
    }
    writeln!(out, "</svg>")
}

fn label(out: &mut String, (x, y): (f64, f64), anchor: &str, colour: &str, text: &str) -> fmt::Result {
    writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>")
}

fn line(out: &mut String, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) -> fmt::Result {
    let ((x1, y1), (x2, y2)) = (from, to);
    writeln!(
        out,
        "<path d=\"M{x1:.1} {y1:.1} L{x2:.1} {y2:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
    )
}

fn colour(peer: Peer) -> &'static str {
    let index = Peer::COLUMNS.iter().position(|&column| column == peer);
    index.map_or("black", |index| COLOURS[index])
}

fn x(ms: f64) -> f64 {
    let share = (ms.clamp(SHORTEST, LONGEST) / SHORTEST).log10() / (LONGEST / SHORTEST).log10();
    LEFT + (WIDTH - LEFT - RIGHT) * share
}

#[cfg(test)]
mod tests {
    use super::super::table::Row;
    use super::*;

    fn table(row: &'static str, values: [f64; 2]) -> Table {
        let samples = values.map(|value| vec![vec![value]]);
        Table::new("load".to_owned(), vec![Row::less(row, "ms")], &[Peer::Rayon, Peer::SecondNice], &samples)
    }

    #[test]
    fn each_peer_of_each_load_has_a_dot() {
        let tables =
            [table(HEALTH_P99, [0.1, 10.0]), table(HEALTH_P99, [1.0, f64::NAN]), table("other", [1.0, 1.0])];
        let svg = plot(&tables);
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains(&format!("cx=\"{:.1}\"", x(10.0))) && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn the_scale_is_logarithmic_and_has_ends() {
        assert!((x(1.0) - x(0.1) - (x(100.0) - x(10.0))).abs() < 1e-9);
        assert!((x(0.0) - LEFT).abs() < 1e-9 && (x(1e9) - (WIDTH - RIGHT)).abs() < 1e-9);
    }
}
