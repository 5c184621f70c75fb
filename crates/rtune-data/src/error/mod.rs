mod message;

use crate::RowError;
use message::{cause, listed, listed_names, message, nested, point, quoted, short, unmarked};
use rtune_interrupt::Interrupted;
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
    /// A stop was requested.
    #[error("{0} while the rows were read")]
    Interrupted(Interrupted),
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
    /// A model takes pairs of texts, and no column has the second ones.
    #[error("the model takes pairs of texts, but no column of second texts is named")]
    PairsExpected,
    /// A model takes single texts, and a column of second texts is named.
    #[error("the model takes single texts, but `{0}` is named as a column of second texts")]
    PairsNotTaken(
        /// The name of the column.
        String,
    ),
    /// The bytes are those of another kind of file.
    #[error("the file is {0}, not text; save its rows as .csv, .tsv, .json or .jsonl")]
    NotText(
        /// The kind.
        &'static str,
    ),
    /// The file has an encoding that is not read.
    #[error("the file is {}{}; convert it to UTF-8", .0, unmarked(.0))]
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
    #[error("no column `{name}`; the {place} has {}", quoted(found))]
    NoColumn {
        /// The use of the column.
        column: Column,
        /// Its name.
        name: String,
        /// The part of the file that names the columns.
        place: &'static str,
        /// The names in it.
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
        "{found} field{}, the header has {expected}; \
         quote a text that holds the separator or a line break",
        if *found == 1 { "" } else { "s" }
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
    #[error("the text is {found}, not a string{}", nested(found))]
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
        "the labels are {}; labels without names are the integers from 0 without gaps",
        listed_names(found.iter().map(|label| short(label)), found.len() + more)
    )]
    Unnamed {
        /// The labels in order.
        found: Vec<String>,
        /// The number of labels that are not listed.
        more: usize,
    },
    /// All labels name the same class.
    #[error("all labels are {}; at least two classes are needed", short(.0))]
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
    #[error("label `{}` is not a finite number{}", short(.0), point(.0))]
    NotFinite(String),
    /// The label is not the index of a class.
    #[error("label `{}` is not an integer from 0", short(.0))]
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
    #[error(
        "unknown label `{}`; the labels are {}",
        short(label),
        listed_names(labels.iter().map(|label| short(label)), labels.len())
    )]
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
    /// It holds the second texts of pairs.
    Pair,
    /// It holds labels.
    Label,
    /// It holds something else, such as an id.
    Other,
}

impl DataProblem {
    /// Files return neither of these kinds of errors, but a decompressor does. A reader that waits
    /// for its input may return [`Interrupted`].
    pub(crate) fn of_io(error: io::Error) -> Self {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
        if let Some(interrupted) = cause {
            return Self::Interrupted(*interrupted);
        }
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
