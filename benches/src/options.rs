//! Which options do the programs share that serve?

use std::path::PathBuf;

use lexopt::prelude::*;

use crate::probe::Probe;
use crate::workloads::Setting;

/// The options of a command line; `C` is a column of the table.
pub struct Options<C> {
    /// How each column is measured.
    pub setting: Setting,
    /// What the name of a row must contain.
    pub rows: String,
    /// The measurements of each column.
    pub rounds: usize,
    /// The columns that were selected; none means all.
    pub only: Vec<C>,
    /// Where the table is to be written for programs.
    pub json: Option<PathBuf>,
    /// Whether a missed target is a failure.
    pub gate: bool,
    /// In a child process: what to measure, and of which column.
    pub probe: Option<(Probe, C)>,
}

/// Reads the command line. `column` finds a column by its name. `more` takes the option of that
/// name, with its value, if it is one of the program's own. Returns `None` if help is wanted.
pub fn parse<C>(
    column: impl Fn(&str) -> Option<C>,
    mut more: impl FnMut(&str, &mut lexopt::Parser) -> Result<bool, lexopt::Error>,
) -> Result<Option<Options<C>>, lexopt::Error> {
    let column = |name: &str| column(name).ok_or_else(|| format!("no column is called `{name}`"));
    let columns = |list: &str| list.split(',').map(column).collect::<Result<Vec<_>, _>>();
    let probe_of = |name: &str| Probe::from_name(name).ok_or_else(|| format!("no probe is called `{name}`"));
    let setting = Setting { workers: 2, quick: false };
    let (rows, json, gate) = (String::new(), None, false);
    let mut options = Options { setting, rows, rounds: 5, only: Vec::new(), json, gate, probe: None };
    let (mut probe, mut runtime) = (None, None);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("workers") => options.setting.workers = arguments.value()?.parse::<usize>()?.max(1),
            Long("rows") => options.rows = arguments.value()?.string()?,
            Long("rounds") => options.rounds = arguments.value()?.parse::<usize>()?.max(1),
            Long("only") => options.only.extend(arguments.value()?.parse_with(columns)?),
            Long("quick") => options.setting.quick = true,
            Long("json") => options.json = Some(arguments.value()?.into()),
            Long("gate") => options.gate = true,
            // For this program's own child processes.
            Long("probe") => probe = Some(arguments.value()?.parse_with(probe_of)?),
            Long("runtime") => runtime = Some(arguments.value()?.parse_with(column)?),
            Long("help") | Short('h') => return Ok(None),
            Long(name) => {
                let name = name.to_owned();
                if !more(&name, &mut arguments)? {
                    return Err(lexopt::Error::UnexpectedOption(format!("--{name}")));
                }
            }
            _ => return Err(argument.unexpected()),
        }
    }
    // A child with only one of the two must not measure every row: it would start children in turn.
    options.probe = match (probe, runtime) {
        (Some(probe), Some(runtime)) => Some((probe, runtime)),
        (None, None) => None,
        _ => return Err("--probe and --runtime go together".into()),
    };
    Ok(Some(options))
}
