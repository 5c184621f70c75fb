use crate::{Columns, DataError, Example, LabelKind};
use std::path::{Path, PathBuf};

/// A row before its label is understood.
struct RawRow {
    line: u64,
    text: String,
    label: Option<String>,
}

/// Reads labelled rows. The format follows from the file's ending: `.csv`, `.tsv`, `.jsonl` or
/// `.ndjson`.
///
/// # Errors
/// Where the file is missing, empty, or has a row that is broken, by file and line.
pub fn read_examples(
    path: &Path,
    columns: &Columns,
    kind: &LabelKind,
) -> Result<Vec<Example>, DataError> {
    let rows = read_rows(path, &columns.text, Some(&columns.label))?;
    rows.into_iter()
        .map(|row| {
            let target = kind.parse(row.label.as_deref().unwrap_or_default());
            let target = target.map_err(|problem| DataError::Row {
                path: path.to_owned(),
                line: row.line,
                problem,
            })?;
            Ok(Example {
                line: row.line,
                text: row.text,
                target,
            })
        })
        .collect()
}

/// The files of texts that `path` is or, as a folder, holds, by name.
///
/// # Errors
/// Where there is none.
pub fn text_files(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let io = |source| DataError::Io {
        path: path.to_owned(),
        source,
    };
    if !std::fs::metadata(path).map_err(io)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.path();
        if file.is_file() && Format::of(&file).is_ok() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        let problem = "the folder holds no .txt, .csv, .tsv or .jsonl file".to_owned();
        return Err(DataError::File {
            path: path.to_owned(),
            problem,
        });
    }
    Ok(files)
}

/// Reads texts with their lines: a named column of a table, or each line of a `.txt` file. A folder
/// stands for all such files in it, by name.
///
/// # Errors
/// Where a file is missing, empty or broken, or the folder holds no text.
pub fn read_texts(
    path: &Path,
    text_column: &str,
) -> Result<Vec<(PathBuf, u64, String)>, DataError> {
    let mut texts = Vec::new();
    for file in text_files(path)? {
        texts.extend(read_text_file(&file, text_column)?);
    }
    Ok(texts)
}

fn read_text_file(
    path: &Path,
    text_column: &str,
) -> Result<Vec<(PathBuf, u64, String)>, DataError> {
    let rows = read_rows(path, text_column, None)?;
    Ok(rows
        .into_iter()
        .map(|row| (path.to_owned(), row.line, row.text))
        .collect())
}

enum Format {
    Delimited(u8),
    JsonLines,
    Lines,
}

impl Format {
    fn of(path: &Path) -> Result<Self, DataError> {
        let ending = path
            .extension()
            .map(|e| e.to_string_lossy().to_ascii_lowercase())
            .unwrap_or_default();
        match ending.as_str() {
            "csv" => Ok(Self::Delimited(b',')),
            "tsv" => Ok(Self::Delimited(b'\t')),
            "jsonl" | "ndjson" => Ok(Self::JsonLines),
            "txt" => Ok(Self::Lines),
            _ => {
                let problem = "unknown kind of file; supported endings are .csv, .tsv, .jsonl and, for texts without labels, .txt";
                Err(DataError::File {
                    path: path.to_owned(),
                    problem: problem.to_owned(),
                })
            }
        }
    }
}

fn read_rows(path: &Path, text: &str, label: Option<&str>) -> Result<Vec<RawRow>, DataError> {
    let file = |problem: &str| DataError::File {
        path: path.to_owned(),
        problem: problem.to_owned(),
    };
    if path.is_dir() {
        return Err(file("is a folder; give a .csv, .tsv or .jsonl file"));
    }
    let bytes = std::fs::read(path).map_err(|source| DataError::Io {
        path: path.to_owned(),
        source,
    })?;
    let content = std::str::from_utf8(&bytes).map_err(|e| {
        let line = 1 + bytes[..e.valid_up_to()]
            .iter()
            .filter(|b| **b == b'\n')
            .count() as u64;
        DataError::Row {
            path: path.to_owned(),
            line,
            problem: "not UTF-8; convert the file first".to_owned(),
        }
    })?;
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    if content.trim().is_empty() {
        return Err(file("the file is empty"));
    }
    let rows = match Format::of(path)? {
        Format::Delimited(delimiter) => read_delimited(path, content, delimiter, text, label)?,
        Format::JsonLines => read_json_lines(path, content, text, label)?,
        Format::Lines if label.is_some() => {
            return Err(file("a .txt file has no labels; use .csv, .tsv or .jsonl"));
        }
        Format::Lines => {
            let lines = (1..)
                .zip(content.lines())
                .filter(|(_, line)| !line.trim().is_empty());
            lines
                .map(|(line, text)| RawRow {
                    line,
                    text: text.to_owned(),
                    label: None,
                })
                .collect()
        }
    };
    if rows.is_empty() {
        return Err(file("the file has a header, but no row"));
    }
    Ok(rows)
}

fn read_delimited(
    path: &Path,
    content: &str,
    delimiter: u8,
    text: &str,
    label: Option<&str>,
) -> Result<Vec<RawRow>, DataError> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(delimiter == b',')
        .from_reader(content.as_bytes());
    let header = reader.headers().map_err(|e| csv_error(path, &e))?.clone();
    let column = |name: &str, flag: &str| {
        if header.iter().filter(|h| h.trim() == name).count() > 1 {
            let problem = format!(
                "the header has two columns `{name}`; rename one, or name another with {flag}"
            );
            return Err(DataError::File {
                path: path.to_owned(),
                problem,
            });
        }
        header.iter().position(|h| h.trim() == name).ok_or_else(|| {
            let found = header
                .iter()
                .map(|h| format!("`{h}`"))
                .collect::<Vec<_>>()
                .join(", ");
            let problem = format!(
                "no column `{name}`; the header has {found}; name the right one with {flag}"
            );
            DataError::File {
                path: path.to_owned(),
                problem,
            }
        })
    };
    let text = column(text, "--text-column")?;
    let label = label
        .map(|label| column(label, "--label-column"))
        .transpose()?;
    let mut rows = Vec::new();
    let mut last = None;
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                // A quote that is never closed also swallows the row's other fields.
                if delimiter == b',' {
                    check_closed(path, content, error.position())?;
                }
                return Err(csv_error(path, &error));
            }
        };
        last = record.position().cloned();
        rows.push(RawRow {
            line: record.position().map_or(0, csv::Position::line),
            text: record[text].to_owned(),
            label: label.map(|label| record[label].to_owned()),
        });
    }
    if delimiter == b',' {
        check_closed(path, content, last.as_ref())?;
    }
    Ok(rows)
}

/// A quote that is never closed makes one text of all that follows; the reader takes that for a
/// last row.
fn check_closed(path: &Path, content: &str, last: Option<&csv::Position>) -> Result<(), DataError> {
    let Some(last) = last else { return Ok(()) };
    let row = usize::try_from(last.byte())
        .ok()
        .and_then(|start| content.get(start..))
        .unwrap_or_default();
    if row
        .bytes()
        .filter(|byte| *byte == b'"')
        .count()
        .is_multiple_of(2)
    {
        return Ok(());
    }
    let problem = "a quote is opened in this row and never closed; close it, or write \"\" for a quote within quotes";
    Err(DataError::Row {
        path: path.to_owned(),
        line: last.line(),
        problem: problem.to_owned(),
    })
}

fn csv_error(path: &Path, error: &csv::Error) -> DataError {
    let line = error.position().map_or(0, csv::Position::line);
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!(
                "{len} fields, the header has {expected_len}; quote a text that holds the separator or a line break"
            )
        }
        _ => error.to_string(),
    };
    DataError::Row {
        path: path.to_owned(),
        line,
        problem,
    }
}

fn read_json_lines(
    path: &Path,
    content: &str,
    text: &str,
    label: Option<&str>,
) -> Result<Vec<RawRow>, DataError> {
    let mut rows = Vec::new();
    for (line, content) in (1..)
        .zip(content.lines())
        .filter(|(_, content)| !content.trim().is_empty())
    {
        let fail = |problem: String| DataError::Row {
            path: path.to_owned(),
            line,
            problem,
        };
        let value: serde_json::Value =
            serde_json::from_str(content).map_err(|e| fail(format!("not JSON: {e}")))?;
        let field = |name: &str, flag: &str| {
            value
                .get(name)
                .ok_or_else(|| fail(format!("no field `{name}`; name the right one with {flag}")))
        };
        let text = field(text, "--text-column")?;
        let text = text
            .as_str()
            .ok_or_else(|| fail("the text is not a string".to_owned()))?
            .to_owned();
        let label = label
            .map(|name| field(name, "--label-column"))
            .transpose()?
            .map(|value| match value {
                serde_json::Value::String(value) => value.clone(),
                other => other.to_string(),
            });
        rows.push(RawRow { line, text, label });
    }
    Ok(rows)
}
