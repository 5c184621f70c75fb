use crate::{Format, RowError};
use rtune_text::TextError;
use std::io;
use std::path::{Path, PathBuf};

/// A fault of a data file: the file, the line if one line is at fault, and the fault itself.
#[derive(Debug, thiserror::Error)]
#[error("{}", message(path, *line, problem))]
pub struct DataError {
    /// The file.
    pub path: PathBuf,
    /// The line that the row begins at, or in a Parquet file its number, counted from 1.
    pub line: Option<u64>,
    /// The fault. Its message says what was expected and found.
    pub problem: DataProblem,
}

/// The faults of data files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataProblem {
    /// I/O error.
    #[error("{0}")]
    Io(io::Error),
    /// Compressed data cannot be decompressed.
    #[error("the gzip data is damaged or cut off: {0}")]
    Gzip(io::Error),
    /// A Parquet file cannot be read.
    #[error("the Parquet file cannot be read: {0}")]
    Parquet(
        /// The reader's message.
        String,
    ),
    /// A column of a Parquet file has a type that is not read.
    #[error("the column `{name}` has the type {found}; expected {expected}")]
    ColumnType {
        /// The name of the column.
        name: String,
        /// Its type.
        found: String,
        /// The types that it may have.
        expected: &'static str,
    },
    /// A column of a Parquet file has a compression that is not read.
    #[error(
        "the column `{name}` is compressed with {found}; \
         write the file with snappy, gzip or zstd, or uncompressed"
    )]
    Compression {
        /// The name of the column.
        name: String,
        /// Its compression.
        found: String,
    },
    /// The suffix of the file's name is not known.
    #[error(
        "unknown kind of file; supported endings are .csv, .tsv, .json, .jsonl, .parquet \
         and, for texts without labels, .txt, each also with .gz after it"
    )]
    UnknownFormat,
    /// A folder stands in place of a file.
    #[error("is a folder; give a .csv, .tsv, .json, .jsonl or .parquet file")]
    IsFolder,
    /// No file of the folder has a known suffix.
    #[error("the folder holds no .txt, .csv, .tsv, .json, .jsonl or .parquet file")]
    NoFiles,
    /// The file has no rows, or no characters but white space.
    #[error("the file is empty")]
    Empty,
    /// The file has a header only.
    #[error("the file has a header, but no row")]
    NoRows,
    /// Labels are wanted of a file of plain texts.
    #[error("a .txt file has no labels; use .csv, .tsv, .json or .jsonl")]
    NoLabels,
    /// Other columns are wanted of a file of plain texts.
    #[error("a .txt file has no columns; use .csv, .tsv, .json or .jsonl")]
    NoOthers,
    /// The bytes are those of another kind of file.
    #[error("the file is {0}, not text; save its rows as .csv, .tsv, .json or .jsonl")]
    NotText(
        /// The kind.
        &'static str,
    ),
    /// The file has an encoding that is not read.
    #[error("the file is {0}{note}; convert it to UTF-8", note = unmarked(_0))]
    Encoding(
        /// The encoding.
        &'static str,
    ),
    /// A line is not UTF-8.
    #[error("byte {byte} of the line, 0x{value:02X}, is not UTF-8; {}", cause(*mixed, around))]
    NotUtf8 {
        /// The position of the byte in the line, counted from 1.
        byte: usize,
        /// The byte.
        value: u8,
        /// The word around it, if the file is Windows-1252.
        around: String,
        /// True if other lines have characters of UTF-8 beyond ASCII.
        mixed: bool,
    },
    /// A line of UTF-16 has half of a pair of units, or half of a unit.
    #[error("the line is not UTF-16; the file is damaged or cut off")]
    DamagedUtf16,
    /// A line has a NUL byte.
    #[error("byte {byte} of the line is NUL, which no text has; remove it")]
    Nul {
        /// The position of the byte in the line, counted from 1.
        byte: usize,
    },
    /// A line or row is too long.
    #[error(
        "the row has more than {} MiB; shorten it, or check line breaks and quotes",
        limit >> 20
    )]
    TooLong {
        /// The largest number of bytes.
        limit: usize,
    },
    /// Several rows cannot be used.
    #[error("{}", listed(first, *count, labels.as_deref(), "line"))]
    BadRows {
        /// The first of them.
        first: Vec<RowError>,
        /// The number of all.
        count: usize,
        /// A fault of the labels of all rows.
        labels: Option<Box<DataProblem>>,
    },
    /// The names in the header are empty.
    #[error("the header, the first line with text, has no names of columns")]
    NoHeader,
    /// Two columns have the same name.
    #[error("the header has two columns `{name}`; rename one")]
    ColumnTwice {
        /// The use of the column.
        column: Column,
        /// Its name.
        name: String,
    },
    /// The header lacks a column.
    #[error("no column `{name}`; the file has {}", quoted(found))]
    NoColumn {
        /// The use of the column.
        column: Column,
        /// Its name.
        name: String,
        /// The names in the header.
        found: Vec<String>,
    },
    /// A JSON object lacks a field.
    #[error("no field `{name}`")]
    NoField {
        /// The use of the field.
        column: Column,
        /// Its name.
        name: String,
    },
    /// A row has more or fewer fields than the header.
    #[error(
        "{found} fields, the header has {expected}; \
         quote a text that holds the separator or a line break"
    )]
    FieldCount {
        /// Number of fields in the row.
        found: usize,
        /// Number of fields in the header.
        expected: usize,
    },
    /// A quote is not closed before the end of the file.
    #[error(
        "a quote is opened in this row and never closed; \
         close it, or write \"\" for a quote within quotes"
    )]
    OpenQuote,
    /// Text follows the closing quote of a field.
    #[error(
        "text follows a closing quote on line {line}; write \"\" for a quote within quotes, \
         and check where the quotes of this row begin"
    )]
    AfterQuote {
        /// The line of the text.
        line: u64,
    },
    /// A space stands before the opening quote of a field.
    #[error("a space stands before the quote that opens a field; remove the space")]
    BeforeQuote,
    /// A line or value is not JSON.
    #[error("not JSON at column {column}: {reason}")]
    Json {
        /// The column of the line, counted from 1.
        column: usize,
        /// The parser's message.
        reason: String,
    },
    /// A line or value is JSON, but no object.
    #[error("not an object; a row is an object with a field for each column")]
    NotObject,
    /// An object has a field twice.
    #[error("two fields `{name}`; rename or remove one")]
    FieldTwice {
        /// Its name.
        name: String,
    },
    /// The text of a JSON object is not a string.
    #[error("the text is {found}, not a string")]
    NotString {
        /// Its kind.
        found: &'static str,
    },
    /// The label of a JSON object is an array or object.
    #[error("the label is {found}, not a single value")]
    NotScalar {
        /// Its kind.
        found: &'static str,
    },
    /// Something stands between or after the values of a JSON array.
    #[error("the array is broken: expected {expected}")]
    JsonArray {
        /// The right continuation.
        expected: &'static str,
    },
    /// The file ends within a JSON array or object.
    #[error("the file ends within an array or object; is it cut off?")]
    JsonCut,
    /// A label cannot be understood.
    #[error("{0}")]
    Label(#[from] LabelProblem),
    /// The labels of training rows that have no names do not number the classes from 0.
    #[error(
        "the labels are {}{}; labels without names are the integers from 0 without gaps",
        found.join(", "),
        and_more(*more)
    )]
    Unnamed {
        /// The labels in order.
        found: Vec<String>,
        /// The number of labels that are not listed.
        more: usize,
    },
    /// All labels name the same class.
    #[error("all labels are {0}; at least two classes are needed")]
    OneClass(
        /// The class.
        String,
    ),
    /// No rows can be held out of the training rows, or all would be.
    #[error(
        "the file has too few rows, {rows}, to hold some out for validation; \
         training needs one, and one of each class"
    )]
    TooFewToHoldOut {
        /// Number of rows.
        rows: usize,
    },
    /// A text cannot be tokenized.
    #[error("{0}")]
    Text(#[from] TextError),
}

/// The faults of labels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelProblem {
    /// There is no label.
    #[error("the label is missing")]
    Missing,
    /// The label of a regression is not a number, or NaN, or infinite.
    #[error("label `{0}` is not a finite number{point}", point = point(_0))]
    NotFinite(String),
    /// The label is not the index of a class.
    #[error("label `{0}` is not an integer from 0")]
    NotIndex(String),
    /// The index is beyond the named classes.
    #[error("label {class} is out of range; there are {classes} classes, 0 to {}", classes - 1)]
    OutOfRange {
        /// The label.
        class: usize,
        /// Number of classes.
        classes: usize,
    },
    /// The label is not one of the names.
    #[error("unknown label `{label}`; the labels are {}", labels.join(", "))]
    Unknown {
        /// The label.
        label: String,
        /// The names.
        labels: Vec<String>,
    },
}

/// The use of a column or field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// It holds texts.
    Text,
    /// It holds labels.
    Label,
    /// It holds something else, such as an id.
    Other,
}

impl DataProblem {
    /// Files return neither of these kinds of errors, but a decompressor does.
    pub(crate) fn of_io(error: io::Error) -> Self {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match error.kind() {
            InvalidData | InvalidInput | UnexpectedEof => Self::Gzip(error),
            _ => Self::Io(error),
        }
    }
}

impl DataError {
    /// Creates an error about a file as a whole.
    pub fn file(path: &Path, problem: impl Into<DataProblem>) -> Self {
        Self {
            path: path.to_owned(),
            line: None,
            problem: problem.into(),
        }
    }

    /// Creates an error about the row that begins at `line`.
    pub fn row(path: &Path, line: u64, problem: impl Into<DataProblem>) -> Self {
        Self {
            line: Some(line),
            ..Self::file(path, problem)
        }
    }

    /// Returns true if the caller's input is the cause, which holds for all of these.
    pub fn is_input(&self) -> bool {
        true
    }
}

fn unmarked(encoding: &str) -> &'static str {
    match encoding {
        "UTF-32" => "",
        _ => " without a byte order mark",
    }
}

fn cause(mixed: bool, around: &str) -> String {
    match mixed {
        true => "lines before it are, so correct this one".to_owned(),
        false => format!(
            "if the file is Windows-1252 or Latin-1, where the word is `{around}`, \
             convert it to UTF-8"
        ),
    }
}

/// The bad rows, one on each line.
fn listed(first: &[RowError], count: usize, labels: Option<&DataProblem>, unit: &str) -> String {
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

/// The remedy for a decimal comma.
fn point(label: &str) -> &'static str {
    match label.replacen(',', ".", 1).parse::<f64>() {
        Ok(_) if label.contains(',') => "; write a point in place of the comma",
        _ => "",
    }
}

fn and_more(count: usize) -> String {
    match count {
        0 => String::new(),
        more => format!(", and {more} more"),
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// A message with the file and the line, or the number of the row in a file without lines.
fn message(path: &Path, line: Option<u64>, problem: &DataProblem) -> String {
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
