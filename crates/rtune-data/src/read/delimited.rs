//! Tables with a header: CSV with quotes, TSV without.

use super::RawRow;
use crate::{Column, DataError, DataProblem};
use std::path::Path;

/// Reads the columns `text` and `label` of a table.
pub(super) fn read(
    path: &Path,
    content: &str,
    delimiter: u8,
    text: &str,
    label: Option<&str>,
) -> Result<Vec<RawRow>, DataError> {
    let quoting = delimiter == b',';
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(quoting)
        .from_reader(content.as_bytes());
    let header = reader
        .headers()
        .map_err(|error| table_error(path, content, &error))?;
    let text = find(path, header, Column::Text, text)?;
    let label = label.map(|label| find(path, header, Column::Label, label));
    let label = label.transpose()?;
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    let mut last = reader.position().clone();
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                // A quote that is not closed also swallows the row's other fields.
                let start = error.position().unwrap_or(&last);
                check_closed(path, content, start, quoting)?;
                return Err(table_error(path, content, &error));
            }
        }
        if let Some(position) = record.position() {
            last = position.clone();
        }
        rows.push(RawRow {
            line: first_line(content, &last),
            text: record[text].to_owned(),
            label: label.map(|label| record[label].to_owned()),
        });
    }
    if !rows.is_empty() {
        check_closed(path, content, &last, quoting)?;
    }
    Ok(rows)
}

/// Returns the line of a record's first character; the reader counts empty lines before a record
/// as part of it.
fn first_line(content: &str, start: &csv::Position) -> u64 {
    let bytes = usize::try_from(start.byte()).ok();
    let rest = bytes.and_then(|start| content.as_bytes().get(start..));
    let empty = rest.unwrap_or_default().iter();
    let empty = empty.take_while(|byte| matches!(byte, b'\r' | b'\n'));
    start.line() + empty.filter(|byte| **byte == b'\n').count() as u64
}

fn find(
    path: &Path,
    header: &csv::StringRecord,
    column: Column,
    name: &str,
) -> Result<usize, DataError> {
    let mut found = (0..).zip(header).filter(|(_, h)| h.trim() == name);
    let name = name.to_owned();
    match (found.next(), found.next()) {
        (Some((index, _)), None) => Ok(index),
        (Some(_), Some(_)) => Err(DataError::file(
            path,
            DataProblem::ColumnTwice { column, name },
        )),
        (None, _) => {
            let found = header.iter().map(ToOwned::to_owned).collect();
            let problem = DataProblem::NoColumn {
                column,
                name,
                found,
            };
            Err(DataError::file(path, problem))
        }
    }
}

/// Checks the quotes of the last row. A quote that is not closed makes one field of all that
/// follows, and the reader accepts that as a row.
fn check_closed(
    path: &Path,
    content: &str,
    start: &csv::Position,
    quoting: bool,
) -> Result<(), DataError> {
    let bytes = usize::try_from(start.byte()).ok();
    let row = bytes
        .and_then(|start| content.get(start..))
        .unwrap_or_default();
    let quotes = row.bytes().filter(|byte| *byte == b'"').count();
    if quoting && !quotes.is_multiple_of(2) {
        let line = first_line(content, start);
        return Err(DataError::row(path, line, DataProblem::OpenQuote));
    }
    Ok(())
}

fn table_error(path: &Path, content: &str, error: &csv::Error) -> DataError {
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => DataProblem::FieldCount {
            found: *len,
            expected: *expected_len,
        },
        _ => DataProblem::Table(error.to_string()),
    };
    DataError {
        line: error.position().map(|start| first_line(content, start)),
        ..DataError::file(path, problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(content: &str) -> Result<Vec<(u64, String, String)>, String> {
        table(content, b',')
    }

    fn table(content: &str, delimiter: u8) -> Result<Vec<(u64, String, String)>, String> {
        let rows = read(
            Path::new("a.csv"),
            content,
            delimiter,
            "text",
            Some("label"),
        );
        let rows = rows.map_err(|error| error.to_string())?;
        let row = |row: RawRow| (row.line, row.text, row.label.unwrap());
        Ok(rows.into_iter().map(row).collect())
    }

    fn row(line: u64, text: &str, label: &str) -> (u64, String, String) {
        (line, text.to_owned(), label.to_owned())
    }

    #[test]
    fn quotes_hold_separators_line_breaks_and_quotes() {
        let content = "text,label\n\"a, b\",0\n\"two\nlines\",1\n\"say \"\"no\"\"\",2\n";
        assert_eq!(
            rows(content).unwrap(),
            [
                row(2, "a, b", "0"),
                row(3, "two\nlines", "1"),
                row(5, "say \"no\"", "2")
            ]
        );
    }

    #[test]
    fn lines_are_counted_as_an_editor_counts_them() {
        for content in [
            "text,label\n\na,0\n\n\nb,1\n",
            "text,label\r\n\r\na,0\r\n\r\n\r\nb,1\r\n",
        ] {
            assert_eq!(rows(content).unwrap(), [row(3, "a", "0"), row(6, "b", "1")]);
        }
    }

    #[test]
    fn columns_are_found_by_name_with_white_space_around_it() {
        let content = "id, label ,text\n7,0,a\n";
        assert_eq!(rows(content).unwrap(), [row(2, "a", "0")]);
    }

    #[test]
    fn quotes_of_a_tsv_file_are_characters() {
        let content = "text\tlabel\n\"a film\t0\nsay \"no\"\t1\n";
        assert_eq!(
            table(content, b'\t').unwrap(),
            [row(2, "\"a film", "0"), row(3, "say \"no\"", "1")]
        );
    }

    #[test]
    fn faults_of_the_header_name_its_columns() {
        let twice = "a.csv: the header has two columns `text`; rename one";
        assert_eq!(rows("text,text,label\na,b,1\n").unwrap_err(), twice);
        let none = "a.csv: no column `text`; the header has `sentence`, `label`";
        assert_eq!(rows("sentence,label\na,1\n").unwrap_err(), none);
    }

    #[test]
    fn a_row_with_another_number_of_fields_is_an_error() {
        let message = "a.csv, line 3: 3 fields, the header has 2; \
                       quote a text that holds the separator or a line break";
        assert_eq!(rows("text,label\na,0\nb, or so,1\n").unwrap_err(), message);
    }

    #[test]
    fn an_open_quote_is_found_at_its_row() {
        let message = "a.csv, line 3: a quote is opened in this row and never closed; \
                       close it, or write \"\" for a quote within quotes";
        for content in [
            "label,text\n0,a\n0,\"b\n1,c\n",
            "text,label\na,0\n\"b,1\nc,0\n",
        ] {
            assert_eq!(rows(content).unwrap_err(), message);
        }
    }
}
