//! Tables with a header: CSV, TSV, and the same with other separators.

use super::lines::Lines;
use super::record::{self, Damaged, Record, Signs};
use super::{Reading, Row, RowError, Wanted};
use crate::{DataError, DataProblem, Dialect};
use std::path::Path;

/// Separators that are tried if the header does not have the columns.
const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// The rows of a table.
pub(super) struct Table {
    lines: Lines,
    signs: Signs,
    columns: Wanted<usize>,
    width: usize,
    /// True if the separator is neither that of the file's name nor the caller's.
    detected: bool,
}

impl Table {
    /// Reads the header.
    ///
    /// # Errors
    /// If the file is empty, or no separator gives a header with the columns.
    pub(super) fn open(
        path: &Path,
        mut lines: Lines,
        usual: char,
        wanted: &Wanted<String>,
        dialect: Dialect,
    ) -> Result<Self, DataError> {
        let io = |error| DataError::file(path, DataProblem::of_io(error));
        let stated = stated_delimiter(&mut lines).map_err(io)?;
        let fixed = dialect.delimiter.or(stated);
        let others = DELIMITERS
            .into_iter()
            .filter(|d| fixed.is_none() && *d != usual);
        let mut fault: Option<(Fit, DataError)> = None;
        for delimiter in std::iter::once(fixed.unwrap_or(usual)).chain(others) {
            let signs = Signs {
                delimiter,
                quotes: dialect.quotes,
            };
            let Some((header, used)) = record::next(&mut lines, signs).map_err(io)? else {
                return Err(DataError::file(path, DataProblem::Empty));
            };
            let fit = Fit::of(&header, wanted);
            let found = header.map_err(|damaged| damaged.error.of(path));
            let found = found.and_then(|header| {
                let columns = find(&header, wanted);
                let columns = columns.map_err(|problem| DataError::file(path, problem))?;
                Ok((columns, header.fields.len()))
            });
            match found {
                Ok((columns, width)) => {
                    return Ok(Self {
                        lines,
                        signs,
                        columns,
                        width,
                        detected: fault.is_some(),
                    });
                }
                Err(error) => {
                    lines.put_back(used.into_iter());
                    // Of one name that is wrong, not of the separator, if another one fits better.
                    if fault.as_ref().is_none_or(|(best, _)| fit > *best) {
                        fault = Some((fit, error));
                    }
                }
            }
        }
        let error = fault.map(|(_, error)| error);
        Err(error.unwrap_or_else(|| DataError::file(path, DataProblem::Empty)))
    }

    /// Returns the separator, if it was found out.
    pub(super) fn detected(&self) -> Option<char> {
        self.detected.then_some(self.signs.delimiter)
    }

    pub(super) fn next(&mut self) -> Reading {
        let Some((record, _)) = record::next(&mut self.lines, self.signs)? else {
            return Ok(None);
        };
        Ok(Some(match record {
            Ok(record) => self.row(record),
            Err(Damaged { error, fields }) => Err(error.with_others(self.others(&fields))),
        }))
    }

    fn row(&self, mut record: Record) -> Result<Row, RowError> {
        let found = record.fields.len();
        if found != self.width {
            let problem = DataProblem::FieldCount {
                found,
                expected: self.width,
            };
            // Most often a text has separators that are not in quotes, which moves the fields
            // after it.
            let texts = [Some(self.columns.text), self.columns.pair];
            let known = texts.into_iter().flatten().fold(found, usize::min);
            let others = self.others(&record.fields[..known]);
            return Err(RowError::new(record.line, problem).with_others(others));
        }
        let others = self.columns.others.iter();
        Ok(Row {
            line: record.line,
            pair: self.columns.pair.map(|pair| record.fields[pair].clone()),
            label: self.columns.label.map(|label| record.fields[label].clone()),
            others: others.map(|other| record.fields[*other].clone()).collect(),
            text: std::mem::take(&mut record.fields[self.columns.text]),
        })
    }

    /// Returns the other columns, as far as the first fields of a row have them.
    fn others(&self, fields: &[String]) -> Vec<Option<String>> {
        let others = self.columns.others.iter();
        others.map(|other| fields.get(*other).cloned()).collect()
    }
}

/// How well a separator fits a header; more is better.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    /// The number of wanted columns that the header has.
    columns: usize,
    /// True if the header is more than one name.
    is_split: bool,
}

impl Fit {
    fn of(header: &Result<Record, Damaged>, wanted: &Wanted<String>) -> Self {
        let fields = header.as_ref().map_or(&[][..], |header| &header.fields);
        let has = |name: &&String| fields.iter().any(|field| field.trim() == name.as_str());
        Self {
            columns: wanted.iter().filter(has).count(),
            is_split: fields.len() > 1,
        }
    }
}

/// Reads the line `sep=;` with which some programs begin a table.
fn stated_delimiter(lines: &mut Lines) -> std::io::Result<Option<char>> {
    let Some(first) = lines.next()? else {
        return Ok(None);
    };
    let stated = first
        .text
        .as_ref()
        .ok()
        .and_then(|text| text.strip_prefix("sep="));
    let mut signs = stated.unwrap_or_default().chars();
    if let (Some(delimiter), None) = (signs.next(), signs.next()) {
        return Ok(Some(delimiter));
    }
    lines.put_back(std::iter::once(first));
    Ok(None)
}

/// Finds the wanted columns in a header.
fn find(header: &Record, wanted: &Wanted<String>) -> Result<Wanted<usize>, DataProblem> {
    if header.fields.iter().all(|name| name.trim().is_empty()) {
        return Err(DataProblem::NoHeader);
    }
    wanted.find(|column, name| {
        let names = header.fields.iter().map(|name| name.trim());
        let mut found = (0..).zip(names).filter(|(_, found)| found == name);
        let name = name.clone();
        match (found.next(), found.next()) {
            (Some((index, _)), None) => Ok(index),
            (Some(_), Some(_)) => Err(DataProblem::ColumnTwice { column, name }),
            (None, _) => Err(DataProblem::NoColumn {
                column,
                name,
                place: "header",
                found: header.fields.clone(),
            }),
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::{Columns, Format, RowReader};
    use std::path::Path;

    /// Of a bad row, the fields before the fault are known; a separator too many may be in the
    /// text, so those after it are not.
    #[test]
    fn bad_rows_keep_the_columns_that_can_be_read() {
        for (name, header, row, expected) in [
            ("a.csv", "id,text\n", &b"7,\"a\"b\n"[..], Some("7")),
            ("a.csv", "id,text\n", b"7,the film,good\n", Some("7")),
            ("a.csv", "id,text\n", b"7\n", Some("7")),
            ("a.csv", "id,text\n", b"7,caf\xe9\n", Some("7")),
            ("a.csv", "id,text\n", b"7,the \0 film\n", Some("7")),
            ("a.csv", "id,text\n", b"7,\"the film\n", Some("7")),
            ("a.csv", "id,text\n", b"\"7,a\n", None),
            ("a.csv", "id,text\n", b"7\xe9,a\n", None),
            ("a.csv", "text,id\n", b"the film,good,7\n", None),
            ("a.csv", "text,id\n", b"\"a\"b,7\n", None),
            ("a.csv", "text,id,n\n", b"a,7,\"b\"c\n", Some("7")),
            ("a.jsonl", "", b"{\"text\": 1, \"id\": 7}\n", Some("7")),
            ("a.jsonl", "", b"{\"id\": 7, \"text\n", None),
        ] {
            let columns = Columns {
                others: vec!["id".to_owned()],
                ..Columns::default()
            };
            let content = [header.as_bytes(), row].concat();
            let reader = Box::new(std::io::Cursor::new(content));
            let format = Format::of(Path::new(name)).unwrap();
            let mut rows = RowReader::new(Path::new(name), format, reader, &columns).unwrap();
            let error = rows.next().unwrap().unwrap().unwrap_err();
            let found = error.others.first().cloned().flatten();
            let place = String::from_utf8_lossy(row);
            assert_eq!(found.as_deref(), expected, "{place} {}", error.problem);
        }
    }
}
