//! How are the numbers shown, and which of them miss their goal?

use super::contender::Contender;
use super::rounds::Measured;
use crate::workloads::{Goal, Row};

/// Whether Selvedge reached a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Ok,
    /// No.
    Over,
    /// There is no value to compare with.
    Unknown,
}

impl Verdict {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Over => "OVER",
            Self::Unknown => "-",
        }
    }

    pub(crate) fn at_least(value: f64, limit: f64) -> Self {
        // The negation of `of`; NaN stays NaN.
        Self::of(-value, -limit)
    }

    pub(crate) fn of(value: f64, limit: f64) -> Self {
        if value.is_nan() {
            Self::Unknown
        } else if value <= limit {
            Self::Ok
        } else {
            Self::Over
        }
    }
}

/// One line, computed.
pub struct Line {
    /// The row.
    pub row: Row,
    /// The medians of [`Contender::COLUMNS`].
    pub values: Vec<f64>,
    /// The value of plain OS threads.
    pub by_os_threads: Option<f64>,
    /// Selvedge's value as a share of the best rival's. NaN if one of them is missing.
    pub ratio: f64,
    /// The goal for this number of workers.
    pub goal: Goal,
    /// Whether the goal was reached.
    pub verdict: Verdict,
}

/// The goals are stated for this number of workers.
const WORKERS_OF_THE_GOALS: usize = 2;

/// With more or fewer workers, no row may be worse than the best rival. A goal in the row's own
/// unit is still good enough: where it is reached, the rest is noise (idle cost) or depends on
/// where memory is counted (a rival keeps its timers inside their futures).
fn goal_for(workers: usize, goal: Goal) -> Goal {
    match goal {
        goal if workers == WORKERS_OF_THE_GOALS => goal,
        Goal::None => Goal::None,
        Goal::AtLeast(_) => Goal::AtLeast(1.0),
        Goal::Ratio(_) => Goal::Ratio(1.0),
        Goal::AtMost(limit) | Goal::AtMostOrBest(limit) => Goal::AtMostOrBest(limit),
    }
}

/// Compares the measured values with the goals.
pub fn lines(measured: &Measured, workers: usize) -> Vec<Line> {
    let line = |(index, (row, values)): (usize, (&Row, &Vec<f64>))| {
        let best = |ours: bool| {
            let columns = measured.contenders.iter().zip(values);
            let better = if matches!(row.goal, Goal::AtLeast(_)) { f64::max } else { f64::min };
            columns.filter(|(who, _)| who.is_ours() == ours).map(|(_, &value)| value).fold(f64::NAN, better)
        };
        let (ours, rivals) = (best(true), best(false));
        let ratio = ours / rivals;
        let goal = goal_for(workers, row.goal);
        let verdict = match goal {
            Goal::Ratio(limit) => Verdict::of(ratio, limit),
            Goal::AtMost(limit) => Verdict::of(ours, limit),
            Goal::AtMostOrBest(limit) => Verdict::of(ours, limit.max(rivals)),
            Goal::AtLeast(limit) => Verdict::at_least(ratio, limit),
            Goal::None => Verdict::Unknown,
        };
        let by_os_threads = measured.by_os_threads.as_ref().and_then(|values| values.get(index)).copied();
        Line { row: *row, values: values.clone(), by_os_threads, ratio, goal, verdict }
    };
    measured.rows.iter().zip(&measured.medians).enumerate().map(line).collect()
}

/// Prints a table of aligned columns.
#[allow(clippy::print_stdout, reason = "it is what the program is for")]
pub fn print(title: &str, contenders: &[Contender], lines: &[Line]) {
    let mut cells = vec![vec!["row".to_owned(), "unit".to_owned()]];
    let with_threads = lines.iter().any(|line| line.by_os_threads.is_some());
    cells[0].extend(contenders.iter().map(|contender| contender.name().to_owned()));
    cells[0].extend(with_threads.then(|| "OS threads".to_owned()));
    cells[0].extend(["ratio", "target", "verdict"].map(str::to_owned));
    for line in lines {
        let mut row = vec![line.row.name.to_owned(), line.row.unit.to_owned()];
        row.extend(line.values.iter().map(|&value| number(value)));
        if with_threads {
            row.push(line.by_os_threads.map_or_else(String::new, number));
        }
        row.push(number(line.ratio));
        row.push(match line.goal {
            Goal::Ratio(limit) => format!("ratio <= {limit:.2}"),
            Goal::AtMost(limit) => format!("<= {limit}"),
            Goal::AtMostOrBest(limit) => format!("<= {limit} or best"),
            Goal::AtLeast(limit) => format!("ratio >= {limit:.2}"),
            Goal::None => String::new(),
        });
        row.push(line.verdict.word().to_owned());
        cells.push(row);
    }
    println!("\n{title}");
    println!("{}", align(&cells));
}

/// Aligns text columns (the first two and the last) to the left, and numbers to the right.
pub(crate) fn align(cells: &[Vec<String>]) -> String {
    let columns = cells.first().map_or(0, Vec::len);
    let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let cell = |(column, text): (usize, &String)| {
        let width = widths[column];
        if column < 2 || column + 1 == columns {
            format!("{text:<width$}")
        } else {
            format!("{text:>width$}")
        }
    };
    let row = |row: &Vec<String>| row.iter().enumerate().map(cell).collect::<Vec<_>>().join(" | ");
    let mut rows: Vec<String> = cells.iter().map(row).map(|row| row.trim_end().to_owned()).collect();
    rows.insert(1, widths.iter().map(|&width| "-".repeat(width)).collect::<Vec<_>>().join("-+-"));
    rows.join("\n")
}

/// Writes a number with three significant digits.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        nan if nan.is_nan() => "-".to_owned(),
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The table as JSON.
pub fn to_json(title: &str, contenders: &[Contender], lines: &[Line]) -> serde_json::Value {
    let line = |line: &Line| {
        let values = contenders.iter().zip(&line.values);
        serde_json::json!({
            "row": line.row.name,
            "unit": line.row.unit,
            "values": values.map(|(who, value)| (who.name(), value)).collect::<std::collections::BTreeMap<_, _>>(),
            "os_threads": line.by_os_threads,
            "ratio": line.ratio,
            "target": match line.goal {
                Goal::Ratio(limit) => serde_json::json!({ "ratio": limit }),
                Goal::AtMost(limit) => serde_json::json!({ "at_most": limit }),
                Goal::AtMostOrBest(limit) => serde_json::json!({ "at_most_or_best": limit }),
                Goal::AtLeast(limit) => serde_json::json!({ "at_least": limit }),
                Goal::None => serde_json::Value::Null,
            },
            "verdict": line.verdict.word().to_lowercase(),
        })
    };
    serde_json::json!({ "title": title, "lines": lines.iter().map(line).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Row = Row { name: "r", unit: "u", goal: Goal::AtMost(2.0) };

    fn judge(workers: usize, goal: Goal, medians: &[f64]) -> Line {
        let rows: &'static [Row] = Box::leak(Box::new([Row { goal, ..ROW }]));
        let measured = Measured {
            rows,
            contenders: Contender::COLUMNS,
            medians: vec![medians[3 - Contender::COLUMNS.len()..].to_vec()],
            by_os_threads: None,
        };
        lines(&measured, workers).remove(0)
    }

    #[cfg(feature = "selvedge")]
    #[test]
    fn the_better_rival_counts() {
        let line = judge(2, Goal::Ratio(0.5), &[10.0, 25.0, 20.0]);
        assert!((line.ratio - 0.5).abs() < f64::EPSILON);
        assert_eq!(line.verdict, Verdict::Ok);
        assert_eq!(judge(2, Goal::Ratio(0.5), &[10.1, 25.0, 20.0]).verdict, Verdict::Over);
    }

    #[cfg(feature = "selvedge")]
    #[test]
    fn other_worker_counts_ask_for_no_worse() {
        assert_eq!(judge(2, Goal::AtMost(2.0), &[3.0, 30.0, 40.0]).verdict, Verdict::Over);
        assert_eq!(judge(8, Goal::AtMost(2.0), &[3.0, 30.0, 40.0]).verdict, Verdict::Ok);
        assert_eq!(judge(8, Goal::AtMost(2.0), &[1.0, 0.5, 0.6]).verdict, Verdict::Ok);
        assert_eq!(judge(1, Goal::Ratio(0.5), &[20.0, 25.0, 20.0]).verdict, Verdict::Ok);
        assert_eq!(judge(1, Goal::Ratio(0.5), &[21.0, 25.0, 20.0]).verdict, Verdict::Over);
    }

    #[cfg(not(feature = "selvedge"))]
    #[test]
    fn without_us_there_is_no_verdict() {
        assert_eq!(judge(2, Goal::Ratio(0.5), &[f64::NAN, 25.0, 20.0]).verdict, Verdict::Unknown);
    }

    #[cfg(feature = "selvedge")]
    #[test]
    fn of_rates_the_higher_one_counts() {
        let line = judge(2, Goal::AtLeast(1.0), &[25.0, 20.0, 25.0]);
        assert!((line.ratio - 1.0).abs() < f64::EPSILON);
        assert_eq!(line.verdict, Verdict::Ok);
        assert_eq!(judge(2, Goal::AtLeast(1.0), &[24.9, 20.0, 25.0]).verdict, Verdict::Over);
        assert_eq!(judge(2, Goal::AtLeast(1.0), &[1.0, 0.9, f64::NAN]).verdict, Verdict::Ok);
        assert_eq!(judge(2, Goal::None, &[1.0, 2.0, 3.0]).verdict, Verdict::Unknown);
    }

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(
            ["1234", "12.3", "1.23", "-"].map(str::to_owned),
            [1234.4, 12.34, 1.234, f64::NAN].map(number)
        );
    }
}
