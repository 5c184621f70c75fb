use rtune_text::TextError;
use std::path::{Path, PathBuf};

/// A fault of a data file: the file, the line if one line is at fault, and the fault itself.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {problem}", path.display(), Place(*line))]
pub struct DataError {
    /// The file.
    pub path: PathBuf,
    /// The line that the row begins at, counted from 1.
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
    Io(std::io::Error),
    /// The suffix of the file's name is not known.
    #[error(
        "unknown kind of file; supported endings are .csv, .tsv, .jsonl \
         and, for texts without labels, .txt"
    )]
    UnknownFormat,
    /// A folder stands in place of a file.
    #[error("is a folder; give a .csv, .tsv or .jsonl file")]
    IsFolder,
    /// No file of the folder has a known suffix.
    #[error("the folder holds no .txt, .csv, .tsv or .jsonl file")]
    NoFiles,
    /// The file has no characters but white space.
    #[error("the file is empty")]
    Empty,
    /// The file has a header only.
    #[error("the file has a header, but no row")]
    NoRows,
    /// Labels are wanted of a file of plain texts.
    #[error("a .txt file has no labels; use .csv, .tsv or .jsonl")]
    NoLabels,
    /// The file is not UTF-8.
    #[error("not UTF-8; convert the file first")]
    NotUtf8,
    /// Two columns have the same name.
    #[error("the header has two columns `{name}`; rename one")]
    ColumnTwice {
        /// The use of the column.
        column: Column,
        /// Its name.
        name: String,
    },
    /// The header lacks a column.
    #[error("no column `{name}`; the header has {}", quoted(found))]
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
        found: u64,
        /// Number of fields in the header.
        expected: u64,
    },
    /// A quote is not closed before the end of the file.
    #[error(
        "a quote is opened in this row and never closed; \
         close it, or write \"\" for a quote within quotes"
    )]
    OpenQuote,
    /// A table cannot be read for another reason.
    #[error("{0}")]
    Table(String),
    /// A line is not JSON.
    #[error("not JSON at column {column}: {reason}")]
    Json {
        /// The column of the line, counted from 1.
        column: usize,
        /// The parser's message.
        reason: String,
    },
    /// The text of a JSON object is not a string.
    #[error("the text is not a string")]
    NotString,
    /// A label cannot be understood.
    #[error("{0}")]
    Label(#[from] LabelProblem),
    /// A label is beyond the classes of the training data.
    #[error(
        "label {class} is out of range; the training data has classes 0 to {}",
        classes.saturating_sub(1)
    )]
    ClassOutOfRange {
        /// The label.
        class: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A class has no example.
    #[error("class {class} of {classes} has no example; number the labels without gaps from 0")]
    ClassWithoutExample {
        /// The class.
        class: usize,
        /// Number of classes.
        classes: usize,
    },
    /// All labels name the same class.
    #[error("all labels are {0}; at least two classes are needed")]
    OneClass(
        /// The class.
        String,
    ),
    /// A label is too large to number the classes of the rows without gaps.
    #[error("label {class} in {rows} rows; labels number the classes from 0 without gaps")]
    TooFewRows {
        /// The largest label.
        class: usize,
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
    /// The label of a regression is not a number, or NaN, or infinite.
    #[error("label `{0}` is not a finite number")]
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

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// `, line N` or nothing.
struct Place(Option<u64>);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(line) => write!(f, ", line {line}"),
            None => Ok(()),
        }
    }
}
