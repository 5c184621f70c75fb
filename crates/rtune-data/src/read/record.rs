//! Records of CSV and its relatives, read strictly.
//!
//! A field that begins with a quote ends with one, and a quote within it is written twice. A quote
//! in any other field is a character. Everything else is a fault of the record that it is in, as in
//! Python's `csv` with `strict=True`.

use super::RowError;
use super::lines::{Line, Lines};
use crate::DataProblem;
use std::io;

/// The fields of a row, and the line that it begins at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) line: u64,
    pub(super) fields: Vec<String>,
}

/// A record with a fault, and its fields before that.
#[derive(Debug)]
pub(super) struct Damaged {
    pub(super) error: RowError,
    pub(super) fields: Vec<String>,
}

/// The signs between and around fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signs {
    pub(super) delimiter: char,
    /// True if quotes enclose fields; if not, they are characters.
    pub(super) quotes: bool,
}

/// Reads the next record; empty lines before it are skipped. Also returns its lines.
///
/// After a fault, the line that follows the first line of the record is the next one again: if a
/// quote is wrong, the reader does not know where the record ends.
pub(super) fn next(
    lines: &mut Lines,
    signs: Signs,
) -> io::Result<Option<(Result<Record, Damaged>, Vec<Line>)>> {
    let first = loop {
        match lines.next()? {
            None => return Ok(None),
            Some(line) if line.text.as_ref().is_ok_and(String::is_empty) => {}
            Some(line) => break line,
        }
    };
    let number = first.number;
    let mut used = Vec::new();
    let mut parser = Parser::new(signs);
    let mut next = Some(first);
    let mut size = 0;
    let fault = loop {
        let Some(line) = next else {
            break DataProblem::OpenQuote;
        };
        let parsed = match &line.text {
            Ok(text) => {
                size += text.len();
                parser.line(text, line.end, line.number)
            }
            Err(fault) => {
                // A second fault, in the text before this one, changes nothing.
                let _ = parser.text(&line.before, line.number);
                Err(fault.clone().into())
            }
        };
        used.push(line);
        match parsed {
            Ok(true) => {
                let fields = parser.fields;
                let record = Record {
                    line: number,
                    fields,
                };
                return Ok(Some((Ok(record), used)));
            }
            Ok(false) if size > super::lines::LIMIT => break DataProblem::OpenQuote,
            Ok(false) => next = lines.next()?,
            Err(fault) => break fault,
        }
    };
    let rest = used.split_off(1);
    lines.put_back(rest.into_iter());
    let damaged = Damaged {
        error: RowError::new(number, fault),
        fields: parser.fields,
    };
    Ok(Some((Err(damaged), used)))
}

enum State {
    /// Before the first character of a field.
    Start,
    /// In a field without quotes.
    Plain,
    /// In a field with quotes.
    Quoted,
    /// After a quote in such a field: its end, or the first of two.
    Quote,
}

struct Parser {
    signs: Signs,
    state: State,
    field: String,
    fields: Vec<String>,
}

impl Parser {
    fn new(signs: Signs) -> Self {
        Self {
            signs,
            state: State::Start,
            field: String::new(),
            fields: Vec::new(),
        }
    }

    /// Reads a line and returns true if the record ends with it.
    fn line(&mut self, text: &str, end: &str, number: u64) -> Result<bool, DataProblem> {
        self.text(text, number)?;
        if let State::Quoted = self.state {
            self.field.push_str(end);
            return Ok(false);
        }
        self.end_field()?;
        Ok(true)
    }

    /// Reads a part of a line.
    fn text(&mut self, text: &str, number: u64) -> Result<(), DataProblem> {
        for sign in text.chars() {
            let delimits = sign == self.signs.delimiter;
            self.state = match self.state {
                State::Start if sign == '"' && self.signs.quotes => State::Quoted,
                State::Quoted if sign == '"' => State::Quote,
                State::Quote if sign == '"' => {
                    self.field.push('"');
                    State::Quoted
                }
                State::Start | State::Plain | State::Quote if delimits => {
                    self.end_field()?;
                    State::Start
                }
                State::Quote => return Err(DataProblem::AfterQuote { line: number }),
                State::Start | State::Plain => {
                    self.field.push(sign);
                    State::Plain
                }
                State::Quoted => {
                    self.field.push(sign);
                    State::Quoted
                }
            };
        }
        Ok(())
    }

    fn end_field(&mut self) -> Result<(), DataProblem> {
        let field = std::mem::take(&mut self.field);
        let plain = matches!(self.state, State::Plain);
        // Some writers put a space before the quote; others mean both as characters.
        if plain && self.signs.quotes && field.starts_with(' ') {
            let rest = field.trim_start_matches(' ');
            if rest.starts_with('"') {
                return Err(DataProblem::BeforeQuote);
            }
        }
        self.fields.push(field);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::Input;
    use super::*;
    use std::path::Path;

    /// The records with their lines, and the faults.
    fn records(content: &str, signs: Signs) -> Vec<Result<(u64, Vec<String>), String>> {
        let reader = Box::new(io::Cursor::new(content.as_bytes().to_vec()));
        let (input, utf16) = Input::text(Path::new("a.csv"), reader).unwrap();
        let mut lines = Lines::new(input, utf16);
        let mut found = Vec::new();
        while let Some((record, _)) = next(&mut lines, signs).unwrap() {
            found.push(match record {
                Ok(record) => Ok((record.line, record.fields)),
                Err(Damaged { error, .. }) => Err(format!("{}: {}", error.line, error.problem)),
            });
        }
        found
    }

    const CSV: Signs = Signs {
        delimiter: ',',
        quotes: true,
    };

    #[test]
    fn legal_records_are_read() {
        for (content, expected) in [
            ("a,b\n", &[(1, &["a", "b"][..])][..]),
            ("\n\na,\r\n,b", &[(3, &["a", ""]), (4, &["", "b"])]),
            ("\"a, b\",0\n", &[(1, &["a, b", "0"])]),
            (
                "\"a\r\n\nb\",0\nc,1\n",
                &[(1, &["a\r\n\nb", "0"]), (4, &["c", "1"])],
            ),
            ("\"say \"\"no\"\"\",\"\"\n", &[(1, &["say \"no\"", ""])]),
            ("\"\"\"\",\"\"\"a\"\n", &[(1, &["\"", "\"a"])]),
            ("the 27\" film,1", &[(1, &["the 27\" film", "1"])]),
            ("a \"good\" film,1\n", &[(1, &["a \"good\" film", "1"])]),
            ("a\"\"b,\"c\"\n", &[(1, &["a\"\"b", "c"])]),
            ("a\rb\r", &[(1, &["a"]), (2, &["b"])]),
            ("\"\"\n", &[(1, &[""])]),
        ] {
            let found: Result<Vec<_>, _> = records(content, CSV).into_iter().collect();
            let found = found.unwrap();
            let found: Vec<(u64, Vec<&str>)> = found
                .iter()
                .map(|(line, fields)| (*line, fields.iter().map(String::as_str).collect()))
                .collect();
            let expected: Vec<_> = expected.iter().map(|(l, f)| (*l, f.to_vec())).collect();
            assert_eq!(found, expected, "{content:?}");
        }
    }

    #[test]
    fn wrong_quotes_are_faults_of_their_first_line() {
        for (content, line) in [
            ("\"good\" indeed,0\n", 1),
            ("\"good\" ,0\n", 1),
            ("a,\"b\"c\n", 1),
            ("\"the film,1\ngood,0\n\"bad\",1\n", 1),
            ("a,b\n\"say \\\"no\\\" now\",1\n", 2),
            ("a,b\n\"c,1\nd,0\n", 2),
            ("a,b\n1, \"c\"\n", 2),
        ] {
            let found: Vec<_> = records(content, CSV).into_iter().collect();
            let faults: Vec<_> = found.iter().filter_map(|r| r.as_ref().err()).collect();
            assert_eq!(faults.len(), 1, "{found:?}");
            assert!(faults[0].starts_with(&format!("{line}: ")), "{faults:?}");
        }
    }

    #[test]
    fn reading_goes_on_after_the_first_line_of_a_fault() {
        let found = records("\"the film,1\ngood,0\n\"bad\",1\n", CSV);
        let good: Vec<u64> = found.iter().flatten().map(|(line, _)| *line).collect();
        assert_eq!(good, [2, 3]);
    }

    #[test]
    fn quotes_can_be_characters() {
        let signs = Signs {
            delimiter: '\t',
            quotes: false,
        };
        let found = records("\"a film\t0\n\"b\"c\t1\n", signs);
        let row =
            |line, text: &str, label: &str| Ok((line, vec![text.to_owned(), label.to_owned()]));
        assert_eq!(found, [row(1, "\"a film", "0"), row(2, "\"b\"c", "1")]);
    }
}
