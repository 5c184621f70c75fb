//! Parts of messages.

use super::{DataProblem, RowError};
use crate::Format;
use std::path::Path;

pub(super) fn unmarked(encoding: &str) -> &'static str {
    match encoding {
        "UTF-32" => "",
        _ => " without a byte order mark",
    }
}

pub(super) fn cause(mixed: bool, around: &str) -> String {
    match mixed {
        true => "lines before it are, so correct this one".to_owned(),
        false => format!(
            "if the file is Windows-1252 or Latin-1, where the word is `{around}`, \
             convert it to UTF-8"
        ),
    }
}

/// The bad rows, one on each line.
pub(super) fn listed(
    first: &[RowError],
    count: usize,
    labels: Option<&DataProblem>,
    unit: &str,
) -> String {
    let mut text = match count {
        1 => "1 row cannot be used".to_owned(),
        count => format!("{count} rows cannot be used"),
    };
    for row in first {
        text += &format!("\n  {unit} {}: {}", row.line, row.problem);
    }
    match count.saturating_sub(first.len()) {
        0 => {}
        more => text += &format!("\n  and {more} more"),
    }
    match labels {
        None => text,
        Some(labels) => text + &format!("\n  {labels}"),
    }
}

/// The remedy for a file with an object or array for each column.
pub(super) fn nested(found: &str) -> &'static str {
    match found {
        "an object" | "an array" => "; write an object for each row",
        _ => "",
    }
}

/// The remedy for a decimal comma.
pub(super) fn point(label: &str) -> &'static str {
    match label.replacen(',', ".", 1).parse::<f64>() {
        Ok(_) if label.contains(',') => "; write a point in place of the comma",
        _ => "",
    }
}

/// The beginning of a text that may be long.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(40) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// The first of `count` names.
pub(super) fn listed_names(names: impl Iterator<Item = String>, count: usize) -> String {
    let first: Vec<String> = names.take(20).collect();
    match count.saturating_sub(first.len()) {
        0 => first.join(", "),
        more => format!("{}, and {more} more", first.join(", ")),
    }
}

pub(super) fn quoted(names: &[String]) -> String {
    let quoted = names.iter().map(|name| format!("`{}`", short(name)));
    listed_names(quoted, names.len())
}

/// A message with the file and the line, or the number of the row in a file without lines.
pub(super) fn message(path: &Path, line: Option<u64>, problem: &DataProblem) -> String {
    let unit = match Format::of(path) {
        Some(Format::Parquet) => "row",
        _ => "line",
    };
    let problem = match problem {
        DataProblem::BadRows {
            first,
            count,
            labels,
        } => listed(first, *count, labels.as_deref(), unit),
        other => other.to_string(),
    };
    match line {
        Some(line) => format!("{}, {unit} {line}: {problem}", path.display()),
        None => format!("{}: {problem}", path.display()),
    }
}
