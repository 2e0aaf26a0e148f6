//! How are the numbers shown?

use serde_json::{Value, json};

use super::goals::{Bound, Goal, Judged};
use super::peer::Peer;
use crate::report::{Verdict, align, number};
use crate::stats::median;

/// What a row shows.
pub(super) struct Row {
    pub(super) name: &'static str,
    unit: &'static str,
    more_is_better: bool,
    /// Whether the largest sample is shown, and not the median.
    is_largest: bool,
    pub(super) goals: Vec<Goal>,
}

impl Row {
    /// More is better.
    pub(super) fn more(name: &'static str, unit: &'static str) -> Self {
        Self { name, unit, more_is_better: true, is_largest: false, goals: Vec::new() }
    }

    /// Less is better.
    pub(super) fn less(name: &'static str, unit: &'static str) -> Self {
        Self { more_is_better: false, ..Self::more(name, unit) }
    }

    /// Shows the largest sample.
    pub(super) fn largest(self) -> Self {
        Self { is_largest: true, ..self }
    }

    /// Adds a goal.
    pub(super) fn goal(mut self, peer: Peer, bound: Bound) -> Self {
        self.goals.push(Goal { peer, bound });
        self
    }
}

/// The samples of one peer in one row, summed up.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    pub(super) peer: Peer,
    pub(super) shown: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

/// A row, measured.
pub(super) struct Line {
    pub(super) row: Row,
    pub(super) cells: Vec<Cell>,
}

impl Line {
    fn new(row: Row, samples: Vec<(Peer, Vec<f64>)>) -> Self {
        let cell = |(peer, samples): (Peer, Vec<f64>)| {
            let fold = |better: fn(f64, f64) -> f64| samples.iter().copied().fold(f64::NAN, better);
            let (min, max) = (fold(f64::min), fold(f64::max));
            Cell { peer, shown: if row.is_largest { max } else { median(samples) }, min, max }
        };
        let cells = samples.into_iter().map(cell).collect();
        Self { row, cells }
    }

    /// The number of this peer, or NaN.
    pub(super) fn of(&self, peer: Peer) -> f64 {
        self.cells.iter().find(|cell| cell.peer == peer).map_or(f64::NAN, |cell| cell.shown)
    }

    pub(super) fn best_bridge(&self) -> Option<(Peer, f64)> {
        let bridges = self.cells.iter().filter(|cell| cell.peer.is_bridge() && !cell.shown.is_nan());
        let bridges = bridges.map(|cell| (cell.peer, cell.shown));
        let by_value = |a: &(Peer, f64), b: &(Peer, f64)| a.1.total_cmp(&b.1);
        if self.row.more_is_better { bridges.max_by(by_value) } else { bridges.min_by(by_value) }
    }
}

/// What was measured under one load.
pub struct Table {
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
}

impl Table {
    /// `samples` has a list for each peer, with the values of all rows for each round.
    pub(super) fn new(title: String, rows: Vec<Row>, peers: &[Peer], samples: &[Vec<Vec<f64>>]) -> Self {
        let line = |(index, row): (usize, Row)| {
            let samples = peers.iter().zip(samples);
            let of_row = |rounds: &Vec<Vec<f64>>| rounds.iter().map(|values| values[index]).collect();
            Line::new(row, samples.map(|(&peer, rounds)| (peer, of_row(rounds))).collect())
        };
        Self { title, lines: rows.into_iter().enumerate().map(line).collect() }
    }

    /// Prints aligned columns. The ratio is Selvedge's to the best bridge.
    #[allow(clippy::print_stdout, reason = "it is what the program is for")]
    pub fn print(&self) {
        let Some(first) = self.lines.first() else { return };
        let mut head = vec!["row", "unit"];
        head.extend(first.cells.iter().map(|cell| cell.peer.name()));
        head.extend(["ratio", "best bridge"]);
        let mut cells = vec![head.into_iter().map(str::to_owned).collect()];
        for line in &self.lines {
            let (best, ratio) = line.compared();
            let mut row = vec![line.row.name.to_owned(), line.row.unit.to_owned()];
            row.extend(line.cells.iter().map(|cell| number(cell.shown)));
            row.extend([number(ratio), best.map_or("-", Peer::name).to_owned()]);
            cells.push(row);
        }
        println!("\n{}\n{}", self.title, align(&cells));
    }

    fn judged(&self) -> impl Iterator<Item = (&Line, Judged)> {
        self.lines.iter().flat_map(|line| line.row.goals.iter().map(move |goal| (line, goal.judge(line))))
    }
}

impl Line {
    /// The best bridge, and Selvedge's ratio to it.
    fn compared(&self) -> (Option<Peer>, f64) {
        let best = self.best_bridge();
        let ratio = best.map_or(f64::NAN, |(_, value)| self.of(Peer::Selvedge) / value);
        (best.map(|(peer, _)| peer), ratio)
    }
}

/// Prints each goal beside what was measured. Returns how many were reached, and how many missed.
#[allow(clippy::print_stdout, reason = "it is what the program is for")]
pub fn judge(tables: &[Table]) -> (usize, usize) {
    let head = ["load", "row", "whose", "value", "target", "from", "verdict"];
    let mut cells = vec![head.map(str::to_owned).to_vec()];
    let (mut reached, mut missed) = (0, 0);
    for table in tables {
        for (line, judged) in table.judged() {
            reached += usize::from(judged.verdict == Verdict::Ok);
            missed += usize::from(judged.verdict == Verdict::Over);
            let sign = if judged.is_least() { ">=" } else { "<=" };
            cells.push(vec![
                table.title.clone(),
                line.row.name.to_owned(),
                judged.goal.peer.name().to_owned(),
                number(judged.value),
                format!("{sign} {}", number(judged.limit)),
                judged.reason(),
                judged.verdict.word().to_owned(),
            ]);
        }
    }
    println!(
        "\ntargets\n{}\n\ntargets that are reached: {reached}, that are missed: {missed}",
        align(&cells)
    );
    (reached, missed)
}

/// The tables as JSON, with the spread of each number.
pub fn to_json(title: &str, tables: &[Table]) -> Value {
    let cell = |cell: &Cell| {
        let values = json!({ "shown": cell.shown, "min": cell.min, "max": cell.max });
        (cell.peer.name().to_owned(), values)
    };
    let line = |line: &Line| {
        let (best, ratio) = line.compared();
        json!({
            "row": line.row.name,
            "unit": line.row.unit,
            "values": line.cells.iter().map(cell).collect::<serde_json::Map<_, _>>(),
            "best_bridge": best.map(Peer::name),
            "ratio": ratio,
        })
    };
    let goal = |(line, judged): (&Line, Judged)| {
        json!({
            "row": line.row.name,
            "whose": judged.goal.peer.name(),
            "value": judged.value,
            if judged.is_least() { "at_least" } else { "at_most" }: judged.limit,
            "verdict": judged.verdict.word().to_lowercase(),
        })
    };
    let table = |table: &Table| {
        json!({
            "load": table.title,
            "lines": table.lines.iter().map(line).collect::<Vec<_>>(),
            "targets": table.judged().map(goal).collect::<Vec<_>>(),
        })
    };
    json!({ "title": title, "tables": tables.iter().map(table).collect::<Vec<_>>() })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A line of one sample for each of these peers.
    pub(in super::super) fn line(more_is_better: bool, values: &[(Peer, f64)]) -> Line {
        let row = if more_is_better { Row::more("r", "u") } else { Row::less("r", "u") };
        Line::new(row, values.iter().map(|&(peer, value)| (peer, vec![value])).collect())
    }

    #[test]
    fn the_best_bridge_has_the_least_wait_or_the_most_answers() {
        let values = [(Peer::TokioInline, 9.0), (Peer::Rayon, 2.0), (Peer::SecondNice, 4.0)];
        assert_eq!(line(false, &values).best_bridge(), Some((Peer::Rayon, 2.0)));
        assert_eq!(line(true, &values).best_bridge(), Some((Peer::SecondNice, 4.0)));
        assert_eq!(line(true, &values[..1]).best_bridge(), None);
        assert_eq!(line(true, &[(Peer::Rayon, f64::NAN)]).best_bridge(), None);
    }

    #[test]
    fn rounds_are_summed_up_by_median_and_spread() {
        let rows = || vec![Row::less("a", "ms"), Row::less("b", "ms").largest()];
        let rounds = vec![vec![1.0, 10.0], vec![5.0, 50.0], vec![2.0, 20.0]];
        let table = Table::new("t".to_owned(), rows(), &[Peer::Rayon], &[rounds]);
        let [a, b] = [0, 1].map(|index| table.lines[index].cells[0]);
        assert_eq!([a.shown, a.min, a.max].map(number), ["2.00", "1.00", "5.00"]);
        assert_eq!(number(b.shown), "50.0");
        let json = to_json("title", &[table]);
        assert_eq!(json["tables"][0]["lines"][0]["values"]["rayon"]["max"], 5.0);
    }
}
