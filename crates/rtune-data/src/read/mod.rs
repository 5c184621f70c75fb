mod delimited;
mod files;
mod format;
mod input;
mod json;
mod lines;
mod object;
mod parquet;
mod record;
mod utf16;

pub use files::{read_texts, text_files};
pub use format::Format;

use crate::{Column, Columns, DataError, DataProblem};
use bytes::Bytes;
use input::Input;
use rtune_text::Text;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A row of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The line that the row begins at, counted from 1.
    pub line: u64,
    /// The text.
    pub text: String,
    /// The second text, if rows are pairs.
    pub pair: Option<String>,
    /// The label, if labels are read.
    pub label: Option<String>,
    /// The other columns that are read, in the order of [`Columns::others`].
    pub others: Vec<String>,
}

impl Row {
    /// Returns the text or the pair of texts.
    pub fn texts(&self) -> Text<'_> {
        Text {
            first: &self.text,
            second: self.pair.as_deref(),
        }
    }
}

/// A row that cannot be read. The rows after it can.
#[derive(Debug)]
pub struct RowError {
    /// The line that the row begins at, or the one with the fault, counted from 1.
    pub line: u64,
    /// The fault.
    pub problem: DataProblem,
    /// The other columns that are read, in the order of [`Columns::others`], as far as they can be
    /// read; empty if none can.
    pub others: Vec<Option<String>>,
}

impl RowError {
    /// Creates an error of a row of which nothing else is known.
    pub fn new(line: u64, problem: impl Into<DataProblem>) -> Self {
        Self {
            line,
            problem: problem.into(),
            others: Vec::new(),
        }
    }

    fn with_others(self, others: Vec<Option<String>>) -> Self {
        Self { others, ..self }
    }

    /// Returns the error with the name of its file.
    pub fn of(self, path: &Path) -> DataError {
        DataError::row(path, self.line, self.problem)
    }
}

/// The rows of a file, read one after the other; the memory does not grow with the file.
///
/// An item is an error if the file cannot be read on, and then the last one. Within it stands a
/// row, or the reason why one row cannot be used; the rows after that one follow.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use rtune_data::{Columns, Format, RowReader};
/// use std::path::Path;
///
/// let columns = Columns {
///     others: vec!["id".to_owned()],
///     ..Columns::default()
/// };
/// let path = Path::new("rows.csv");
/// let content = "id,text\n7,a film\n8,\"a\" cast\n9,\"a\nplot\"\n".as_bytes();
/// let reader = RowReader::new(path, Format::Delimited(','), Box::new(content), &columns)?;
/// let mut found = Vec::new();
/// for row in reader {
///     match row? {
///         Ok(row) => found.push(format!("{} {} {}", row.line, row.others[0], row.text)),
///         Err(error) => found.push(error.of(path).to_string()),
///     }
/// }
/// assert_eq!(found[0], "2 7 a film");
/// assert!(found[1].starts_with("rows.csv, line 3: "));
/// assert_eq!(found[2], "4 9 a\nplot");
/// # Ok(())
/// # }
/// ```
pub struct RowReader {
    path: PathBuf,
    rows: Rows,
    wanted: Wanted<String>,
    /// True if no row was found yet.
    empty: bool,
    done: bool,
}

enum Rows {
    Table(Box<delimited::Table>),
    Json(json::Json),
    Lines(lines::Lines),
    Parquet(Box<parquet::Parquet>),
}

impl RowReader {
    /// Opens a file to read texts, without their labels.
    ///
    /// # Errors
    /// If the file is missing or empty, its kind is unknown, or its header lacks a column.
    pub fn open(path: &Path, columns: &Columns) -> Result<Self, DataError> {
        Self::with_labels(path, None, columns, None)
    }

    /// Opens a file to read texts, in a format whatever its name is.
    ///
    /// # Errors
    /// Those of [`RowReader::open`].
    pub fn open_as(path: &Path, format: Format, columns: &Columns) -> Result<Self, DataError> {
        Self::with_labels(path, Some(format), columns, None)
    }

    /// Opens a file to read texts with their labels.
    ///
    /// # Errors
    /// Those of [`RowReader::open`], and if the file is one of plain texts.
    pub fn labelled(path: &Path, columns: &Columns) -> Result<Self, DataError> {
        Self::with_labels(path, None, columns, Some(columns.label.clone()))
    }

    fn with_labels(
        path: &Path,
        format: Option<Format>,
        columns: &Columns,
        label: Option<String>,
    ) -> Result<Self, DataError> {
        if path.is_dir() {
            return Err(DataError::file(path, DataProblem::IsFolder));
        }
        let file = File::open(path).map_err(|e| DataError::file(path, DataProblem::Io(e)))?;
        let format = format.or_else(|| Format::of(path));
        let format = format.ok_or_else(|| DataError::file(path, DataProblem::UnknownFormat))?;
        let zipped = path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
        if format == Format::Parquet && !zipped {
            let wanted = Wanted::new(columns, label);
            let rows = parquet::Parquet::open(path, file, &wanted)?;
            return Ok(Self::with_rows(path, Rows::Parquet(Box::new(rows)), wanted));
        }
        Self::read(path, format, Box::new(file), columns, label)
    }

    /// Reads texts from a reader. The name `path` stands in messages.
    ///
    /// # Errors
    /// Those of [`RowReader::open`].
    pub fn new(
        path: &Path,
        format: Format,
        reader: Box<dyn Read + Send>,
        columns: &Columns,
    ) -> Result<Self, DataError> {
        Self::read(path, format, reader, columns, None)
    }

    fn read(
        path: &Path,
        format: Format,
        reader: Box<dyn Read + Send>,
        columns: &Columns,
        label: Option<String>,
    ) -> Result<Self, DataError> {
        let io = |error| DataError::file(path, DataProblem::of_io(error));
        let wanted = Wanted::new(columns, label);
        let rows = match format {
            Format::Delimited(usual) => {
                let lines = text_lines(path, reader)?;
                let table = delimited::Table::open(path, lines, usual, &wanted, columns.dialect)?;
                Rows::Table(Box::new(table))
            }
            Format::Json => {
                let (input, utf16) = text(path, reader)?;
                Rows::Json(json::Json::open(input, utf16).map_err(io)?)
            }
            Format::Lines if wanted.label.is_some() => {
                return Err(DataError::file(path, DataProblem::NoLabels));
            }
            Format::Lines if wanted.pair.is_some() || !wanted.others.is_empty() => {
                return Err(DataError::file(path, DataProblem::NoOthers));
            }
            Format::Lines => Rows::Lines(text_lines(path, reader)?),
            Format::Parquet => {
                // Its parts are read in another order than that of the file.
                let mut bytes = Vec::new();
                let mut input = Input::decompressed(reader).map_err(io)?;
                input.read_to_end(&mut bytes).map_err(io)?;
                let parquet = parquet::Parquet::open(path, Bytes::from(bytes), &wanted)?;
                Rows::Parquet(Box::new(parquet))
            }
        };
        Ok(Self::with_rows(path, rows, wanted))
    }

    fn with_rows(path: &Path, rows: Rows, wanted: Wanted<String>) -> Self {
        Self {
            path: path.to_owned(),
            rows,
            wanted,
            empty: true,
            done: false,
        }
    }

    /// Returns the separator of a table, if it was found out by the header; users should know it.
    pub fn detected_delimiter(&self) -> Option<char> {
        match &self.rows {
            Rows::Table(table) => table.detected(),
            _ => None,
        }
    }

    fn next_row(&mut self) -> Reading {
        match &mut self.rows {
            Rows::Table(table) => table.next(),
            Rows::Json(json) => json.next(&self.wanted),
            Rows::Lines(lines) => next_text(lines),
            Rows::Parquet(parquet) => parquet.next(),
        }
    }
}

impl std::fmt::Debug for RowReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowReader")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Iterator for RowReader {
    type Item = Result<Result<Row, RowError>, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        match self.next_row() {
            Ok(Some(row)) => {
                self.empty = false;
                Some(Ok(row))
            }
            Ok(None) => {
                self.done = true;
                let problem = match self.rows {
                    Rows::Table(_) => DataProblem::NoRows,
                    _ => DataProblem::Empty,
                };
                self.empty
                    .then(|| Err(DataError::file(&self.path, problem)))
            }
            Err(stop) => {
                self.done = true;
                Some(Err(DataError {
                    line: stop.line,
                    ..DataError::file(&self.path, stop.problem)
                }))
            }
        }
    }
}

/// Opens a file of text that is not empty. Returns true beside it if it was UTF-16.
fn text(path: &Path, reader: Box<dyn Read + Send>) -> Result<(Input, bool), DataError> {
    let (mut input, utf16) = Input::text(path, reader)?;
    let start = input.peek(1);
    let start = start.map_err(|error| DataError::file(path, DataProblem::of_io(error)))?;
    match start.is_empty() {
        true => Err(DataError::file(path, DataProblem::Empty)),
        false => Ok((input, utf16)),
    }
}

fn text_lines(path: &Path, reader: Box<dyn Read + Send>) -> Result<lines::Lines, DataError> {
    let (input, utf16) = text(path, reader)?;
    Ok(lines::Lines::new(input, utf16))
}

/// Reads the next line that is not blank as a text.
fn next_text(lines: &mut lines::Lines) -> Reading {
    while let Some(line) = lines.next()? {
        let text = match line.text {
            Ok(text) if text.trim().is_empty() => continue,
            Ok(text) => text,
            Err(fault) => return Ok(Some(Err(RowError::new(line.number, fault)))),
        };
        return Ok(Some(Ok(Row {
            line: line.number,
            text,
            pair: None,
            label: None,
            others: Vec::new(),
        })));
    }
    Ok(None)
}

/// The next row, or `None` at the end of the file.
type Reading = Result<Option<Result<Row, RowError>>, Stop>;

/// The reason why a file cannot be read on.
struct Stop {
    line: Option<u64>,
    problem: DataProblem,
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self {
            line: None,
            problem: DataProblem::of_io(error),
        }
    }
}

/// The columns to read, by name or by position.
struct Wanted<T> {
    text: T,
    pair: Option<T>,
    label: Option<T>,
    others: Vec<T>,
}

impl Wanted<String> {
    fn new(columns: &Columns, label: Option<String>) -> Self {
        Self {
            text: columns.text.clone(),
            pair: columns.pair.clone(),
            label,
            others: columns.others.clone(),
        }
    }
}

impl<T> Wanted<T> {
    fn iter(&self) -> impl Iterator<Item = &T> {
        let first = std::iter::once(&self.text);
        let texts = first.chain(&self.pair);
        texts.chain(&self.label).chain(&self.others)
    }

    fn find<U>(
        &self,
        mut find: impl FnMut(Column, &T) -> Result<U, DataProblem>,
    ) -> Result<Wanted<U>, DataProblem> {
        let others = |other| find(Column::Other, other);
        let others = self.others.iter().map(others).collect::<Result<_, _>>()?;
        let label = self.label.as_ref().map(|label| find(Column::Label, label));
        let pair = self.pair.as_ref().map(|pair| find(Column::Pair, pair));
        Ok(Wanted {
            text: find(Column::Text, &self.text)?,
            pair: pair.transpose()?,
            label: label.transpose()?,
            others,
        })
    }
}
