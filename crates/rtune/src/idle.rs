//! Flags that have no effect beside others. Each flag of each command has a row in [`TABLE`].

use crate::arguments::{Flag, Given, Origin, find};
use crate::exit::usage;
use anyhow::Result;
use clap::Command;
use rtune_data::Format;
use std::path::{Path, PathBuf};

/// A reason why a flag has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Another flag is given. [`VALUES`] stands for texts and other values without a flag.
    With(&'static str),
    /// Another flag is not given.
    Without(&'static str),
    /// Another flag has this value, given or by default.
    Is(&'static str, &'static str),
    /// Another flag has another value than this one, given or by default.
    IsNot(&'static str, &'static str),
    /// Other flags name files, or folders of files, that all have no columns.
    NoColumns(&'static [&'static str]),
    /// Other flags name files, or folders of files, none of which is a table with separators.
    NoTable(&'static [&'static str]),
}

use Cause::{Is, IsNot, NoColumns, NoTable, With, Without};

const VALUES: &str = "VALUE";
const IS_LINES: Cause = Is("input-format", "txt");
/// The causes for flags of tables with separators in the command that has `--input-format`.
const NO_TABLE: &[Cause] = &[
    With(VALUES),
    NoTable(&["input"]),
    IS_LINES,
    Is("input-format", "json"),
    Is("input-format", "jsonl"),
    Is("input-format", "parquet"),
];
const NOT_ORDINAL: Cause = IsNot("task", "ordinal");
const REGRESSION: Cause = Is("task", "regression");

/// A command, the flags that have an effect in every case, and for each other flag the causes that
/// take its effect away.
struct Row {
    command: &'static str,
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "a test holds that no flag is forgotten")
    )]
    always: &'static [&'static str],
    idle: &'static [(&'static str, &'static [Cause])],
}

const TABLE: &[Row] = &[
    Row {
        command: "finetune",
        always: &[
            "device",
            "dtype",
            "early-stopping-patience",
            "eval-batch-size",
            "eval-steps",
            "force",
            "gradient-accumulation-steps",
            "head-learning-rate",
            "init-head",
            "json",
            "label-column",
            "learning-rate",
            "logging-steps",
            "lr-scheduler-type",
            "max-grad-norm",
            "max-length",
            "max-steps",
            "metric-for-best-model",
            "model",
            "output",
            "pooling",
            "report-to",
            "save-hook",
            "save-steps",
            "save-total-limit",
            "seed",
            "spot",
            "task",
            "test",
            "text-column",
            "text-pair-column",
            "threads",
            "train",
            "train-batch-size",
            "validation",
            "warmup-steps",
            "weight-decay",
        ],
        idle: &[
            ("class-weights", &[REGRESSION]),
            ("cutpoint-learning-rate", &[NOT_ORDINAL]),
            ("cutpoints", &[NOT_ORDINAL]),
            ("decision", &[NOT_ORDINAL]),
            ("delimiter", &[NoTable(&["train", "validation", "test"])]),
            ("head-start-rows", &[NOT_ORDINAL]),
            ("labels", &[REGRESSION]),
            ("link", &[NOT_ORDINAL]),
            ("no-quotes", &[NoTable(&["train", "validation", "test"])]),
            ("no-refit", &[NOT_ORDINAL]),
            ("num-train-epochs", &[With("max-steps")]),
            ("spot-endpoint", &[Is("spot", "off")]),
            ("warmup-ratio", &[With("warmup-steps")]),
        ],
    },
    Row {
        command: "export",
        always: &[
            "force",
            "json",
            "model",
            "normalize",
            "opset",
            "output",
            "outputs",
            "pooling",
            "threads",
        ],
        idle: &[],
    },
    Row {
        command: "verify",
        always: &[
            "atol",
            "candidate",
            "data",
            "json",
            "reference",
            "rtol",
            "samples",
            "threads",
        ],
        idle: &[
            ("delimiter", &[NoTable(&["data"])]),
            ("no-quotes", &[NoTable(&["data"])]),
            ("text-column", &[NoColumns(&["data"])]),
            ("text-pair-column", &[NoColumns(&["data"])]),
        ],
    },
    Row {
        command: "quantize",
        always: &[
            "calib",
            "calib-samples",
            "eval-data",
            "float-embeddings",
            "force",
            "full-range-weights",
            "json",
            "method",
            "model",
            "output",
            "threads",
        ],
        idle: &[
            ("delimiter", &[NoTable(&["calib", "eval-data"])]),
            ("label-column", &[Without("eval-data")]),
            ("max-metric-drop", &[Without("eval-data")]),
            ("metric", &[Without("eval-data")]),
            ("no-quotes", &[NoTable(&["calib", "eval-data"])]),
            ("percentile", &[IsNot("method", "percentile")]),
            ("text-column", &[NoColumns(&["calib", "eval-data"])]),
            ("text-pair-column", &[NoColumns(&["calib", "eval-data"])]),
        ],
    },
    Row {
        command: "evaluate",
        always: &[
            "data",
            "decision",
            "device",
            "eval-batch-size",
            "json",
            "label-column",
            "model",
            "text-column",
            "text-pair-column",
            "threads",
        ],
        idle: &[
            ("delimiter", &[NoTable(&["data"])]),
            ("no-quotes", &[NoTable(&["data"])]),
        ],
    },
    Row {
        command: "predict",
        always: &[
            "device",
            "json",
            "model",
            "output",
            "output-format",
            "threads",
        ],
        idle: &[
            ("delimiter", NO_TABLE),
            ("force", &[Without("output")]),
            (
                "id-column",
                &[With(VALUES), NoColumns(&["input"]), IS_LINES],
            ),
            ("input", &[With(VALUES)]),
            ("input-format", &[With(VALUES)]),
            ("no-quotes", NO_TABLE),
            (
                "text-column",
                &[With(VALUES), NoColumns(&["input"]), IS_LINES],
            ),
            ("text-pair", &[With("input")]),
            (
                "text-pair-column",
                &[With(VALUES), NoColumns(&["input"]), IS_LINES],
            ),
        ],
    },
    Row {
        command: "inspect",
        always: &["json", "threads"],
        idle: &[("graph", &[With("json")]), ("model", &[With(VALUES)])],
    },
    Row {
        command: "doctor",
        always: &["json", "threads"],
        idle: &[],
    },
];

/// Refuses a flag that has no effect. A flag of a config file is removed without an error if the
/// command line takes its effect away, or if several commands share it; and of two flags that
/// exclude each other, the one from the place that yields. Returns whether one was removed.
///
/// # Errors
/// If a flag has no effect because of a flag from the same place or one that yields to it, or
/// because of a default.
pub(crate) fn remove(command: &Command, given: &mut Given) -> Result<bool> {
    let row = TABLE.iter().find(|row| row.command == command.get_name());
    let mut removed = Vec::new();
    for (name, causes) in row.map_or(&[][..], |row| row.idle) {
        let Some(flag) = given.flag(name) else {
            continue;
        };
        let found = causes.iter().find_map(|cause| cause.holds(command, given));
        let Some(found) = found else {
            continue;
        };
        let rank = rank(flag);
        if rank == SHARED || rank < found.rank {
            removed.push(flag.name.clone());
            continue;
        }
        if let Some(other) = found.excludes.filter(|_| found.rank < rank) {
            removed.push(other.to_owned());
            continue;
        }
        let reason = found.reason;
        return Err(usage(match flag.place() {
            Some(place) => format!("{place}: has no effect {reason}"),
            None => format!("--{name} has no effect {reason}"),
        }));
    }
    given.flags.retain(|flag| !removed.contains(&flag.name));
    Ok(!removed.is_empty())
}

const SHARED: u8 = 0;
const LINE: u8 = 2;

/// Returns a larger number for a place that wins over another.
fn rank(flag: &Flag) -> u8 {
    match flag.origin {
        Origin::Shared(_) => SHARED,
        Origin::File(_) => 1,
        Origin::Line => LINE,
    }
}

/// A cause that holds.
struct Found {
    /// The end of the message.
    reason: String,
    /// The rank of the place that the cause comes from.
    rank: u8,
    /// The flag that takes the effect away by its presence.
    excludes: Option<&'static str>,
}

impl Cause {
    /// Returns the cause if it holds.
    fn holds(self, command: &Command, given: &Given) -> Option<Found> {
        match self {
            With(VALUES) => given.values.first().map(|value| Found {
                reason: format!(
                    "with `{}` on the command line; remove one of them",
                    value.to_string_lossy()
                ),
                rank: LINE,
                excludes: None,
            }),
            With(name) => given.flag(name).map(|flag| Found {
                reason: format!("with --{name}; remove one of them"),
                rank: rank(flag),
                excludes: Some(name),
            }),
            Without(name) => given.flag(name).is_none().then(|| Found {
                reason: format!("without --{name}; add that, or remove this"),
                rank: SHARED,
                excludes: None,
            }),
            Is(name, value) => has_value(command, given, name, &|found| found == value),
            IsNot(name, value) => has_value(command, given, name, &|found| found != value),
            NoColumns(names) => on_files(given, names, has_no_columns, "has no columns"),
            NoTable(names) => on_files(given, names, has_no_table, "is no table with separators"),
        }
    }
}

/// Returns the cause that all files that flags name have a property, if they do.
fn on_files(
    given: &Given,
    names: &[&str],
    holds: fn(&Path) -> bool,
    property: &str,
) -> Option<Found> {
    // A stated format takes the place of the one of the name.
    let is_stated = |name: &&str| given.flag(&format!("{name}-format")).is_some();
    if names.iter().any(is_stated) {
        return None;
    }
    let flags: Vec<&Flag> = names.iter().filter_map(|name| given.flag(name)).collect();
    let paths = flags.iter().filter_map(|flag| flag.value.as_ref());
    let mut paths = paths.map(Path::new);
    if !paths.clone().all(holds) {
        return None;
    }
    let first = paths.next()?.display();
    Some(Found {
        reason: format!("on {first}, which {property}; remove it"),
        rank: flags.into_iter().map(rank).min()?,
        excludes: None,
    })
}

/// Returns the cause that a flag has a value that `holds` accepts, if it has.
fn has_value(
    command: &Command,
    given: &Given,
    name: &str,
    holds: &dyn Fn(&str) -> bool,
) -> Option<Found> {
    let flag = given.flag(name);
    let value = match flag {
        Some(flag) => flag.value.as_deref()?,
        None => find(command, name)?.get_default_values().first()?,
    };
    let value = value.to_str().filter(|value| holds(value))?;
    Some(Found {
        reason: format!("with --{name} {value}; remove it"),
        rank: flag.map_or(SHARED, rank),
        excludes: None,
    })
}

/// True for a file of plain texts or tensors, and for a folder that holds no table but such files.
fn has_no_columns(path: &Path) -> bool {
    let plain = |path: &Path| match Format::of(path) {
        Some(format) => format == Format::Lines,
        None => path
            .extension()
            .is_some_and(|ending| ending == "safetensors"),
    };
    match files_of(path) {
        None => plain(path),
        Some(files) => {
            let table = |file: &PathBuf| Format::of(file).is_some() && !plain(file);
            files.iter().any(|file| plain(file)) && !files.iter().any(table)
        }
    }
}

/// True for a file of another known format than a table with separators, and for a folder that
/// holds such files only.
fn has_no_table(path: &Path) -> bool {
    let table = |path: &Path| matches!(Format::of(path), Some(Format::Delimited(_)));
    match files_of(path) {
        None => Format::of(path).is_some() && !table(path) || has_no_columns(path),
        Some(files) => !files.is_empty() && !files.iter().any(|file| table(file)),
    }
}

/// Returns the files of a folder; `None` if the path is none.
fn files_of(path: &Path) -> Option<Vec<PathBuf>> {
    let entries = std::fs::read_dir(path).ok()?;
    Some(entries.flatten().map(|entry| entry.path()).collect())
}

#[cfg(test)]
mod tests;
