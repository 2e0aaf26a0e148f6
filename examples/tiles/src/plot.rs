//! How are latencies drawn?
//!
//! As an SVG: for each share of the requests, the longest time that they took. The scale of shares
//! stretches towards the slowest, and the scale of times is logarithmic.

use std::fmt::{self, Write};

use crate::crowd::Seen;
use crate::latency::Latencies;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// Shares with a line and a name. The scale counts nines: the distance between two shares is the
/// number of powers of ten between their remainders.
const SHARES: [(f64, &str); 5] = [(0.0, "0"), (0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")];
const LAST_SHARE: f64 = 0.999;
const POINTS: u32 = 200;
/// The plot shows times from this number of milliseconds on.
const SHORTEST: f64 = 0.01;

pub(crate) fn plot(seen: &Seen) -> String {
    let longest = seen.tiles.longest().max(seen.healthz.longest()).as_secs_f64() * 1e3;
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_plot(&mut text, seen, longest.max(1.0));
    text
}

fn write_plot(out: &mut String, seen: &Seen, longest: f64) -> fmt::Result {
    let scale = Scale { decades: (longest / SHORTEST).log10().ceil() };
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"15\">Latency of tiles, and of /healthz beside them</text>"
    )?;
    for (share, name) in SHARES {
        let x = Scale::x(share);
        line(out, (x, TOP), (x, HEIGHT - BOTTOM))?;
        writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>",
            HEIGHT - BOTTOM + 18.0
        )?;
    }
    let mut ms = SHORTEST;
    while ms <= SHORTEST * 10_f64.powf(scale.decades) * 1.01 {
        let y = scale.y(ms);
        line(out, (LEFT, y), (WIDTH - RIGHT, y))?;
        let digits = usize::from(ms < 0.99) + usize::from(ms < 0.099);
        writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{ms:.digits$} ms</text>",
            LEFT - 6.0,
            y + 4.0
        )?;
        ms *= 10.0;
    }
    for (latencies, name, colour, place) in
        [(&seen.tiles, "tiles", "#c2410c", 420.0), (&seen.healthz, "/healthz", "#1d4ed8", 570.0)]
    {
        curve(out, &scale, latencies, colour)?;
        writeln!(out, "<text x=\"{place}\" y=\"22\" fill=\"{colour}\">{name}: {}</text>", latencies.len())?;
    }
    writeln!(out, "</svg>")
}

fn line(out: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> fmt::Result {
    writeln!(out, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\"/>")
}

fn curve(out: &mut String, scale: &Scale, latencies: &Latencies, colour: &str) -> fmt::Result {
    if latencies.len() == 0 {
        return Ok(());
    }
    write!(out, "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"")?;
    for point in 0..=POINTS {
        let share = Scale::share(f64::from(point) / f64::from(POINTS));
        let ms = latencies.percentile(share).as_secs_f64() * 1e3;
        write!(out, "{:.1},{:.1} ", Scale::x(share), scale.y(ms))?;
    }
    writeln!(out, "\"/>")
}

struct Scale {
    decades: f64,
}

impl Scale {
    fn nines() -> f64 {
        -(1.0 - LAST_SHARE).log10()
    }

    fn x(share: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * -(1.0 - share.min(LAST_SHARE)).log10() / Scale::nines()
    }

    /// The reverse of `x`, from 0 at the left to 1 at the right.
    fn share(place: f64) -> f64 {
        1.0 - 10_f64.powf(-place * Scale::nines())
    }

    fn y(&self, ms: f64) -> f64 {
        let height = HEIGHT - TOP - BOTTOM;
        HEIGHT - BOTTOM - height * ((ms.max(SHORTEST) / SHORTEST).log10() / self.decades)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    #[test]
    fn every_point_lies_within_the_axes() {
        let tiles = Latencies::new((1..=1000).map(Duration::from_millis).collect());
        let healthz = Latencies::new(vec![Duration::from_nanos(10), Duration::from_micros(30)]);
        let seen = Seen { elapsed: Duration::from_secs(1), tiles, healthz, picture: BTreeMap::new() };
        let svg = plot(&seen);
        let curves: Vec<&str> =
            svg.split("points=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(curves.len(), 2);
        for point in curves.iter().flat_map(|curve| curve.split_whitespace()) {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!(
                (LEFT..=WIDTH - RIGHT + 0.1).contains(&x) && (TOP - 0.1..=HEIGHT - BOTTOM + 0.1).contains(&y),
                "{point}"
            );
        }
        assert!(svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn nothing_at_all_is_plotted_too() {
        let seen = Seen {
            elapsed: Duration::ZERO,
            tiles: Latencies::default(),
            healthz: Latencies::default(),
            picture: BTreeMap::new(),
        };
        assert!(!plot(&seen).contains("polyline"));
    }
}
