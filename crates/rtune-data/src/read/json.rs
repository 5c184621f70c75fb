//! JSON objects: one on each line, one after the other, or in an array.

use super::input::Input;
use super::lines::{Encoding, Fault, LIMIT, Lines};
use super::object::Object;
use super::{Reading, Row, RowError, Stop, Wanted};
use crate::{Column, DataProblem};
use std::io;

/// The rows of a JSON file.
pub(super) enum Json {
    /// An object on each line.
    Lines(Lines),
    /// Objects over several lines.
    Values(Values),
}

impl Json {
    /// Looks at the first characters. An array begins with `[`; `{` alone on a line begins an
    /// object of several lines.
    pub(super) fn open(mut input: Input, utf16: bool) -> io::Result<Self> {
        let mut wanted = 1;
        loop {
            let bytes = input.peek(wanted)?;
            let mut signs = bytes.iter().filter(|byte| !matches!(byte, b' ' | b'\t'));
            let first = signs.find(|byte| !matches!(byte, b'\r' | b'\n'));
            let in_array = first == Some(&b'[');
            let (first, second) = (first.copied(), signs.next().copied());
            if !in_array && matches!(first, None | Some(b'{')) && second.is_none() {
                if bytes.len() < wanted || wanted > LIMIT {
                    return Ok(Self::Lines(Lines::new(input, utf16)));
                }
                wanted = bytes.len() + 1;
                continue;
            }
            let several = first == Some(b'{') && matches!(second, Some(b'\r' | b'\n'));
            return Ok(match in_array || several {
                true => Self::Values(Values::new(input, utf16, in_array)),
                false => Self::Lines(Lines::new(input, utf16)),
            });
        }
    }

    pub(super) fn next(&mut self, wanted: &Wanted<String>) -> Reading {
        let (line, text) = match self {
            Self::Values(values) => match values.next()? {
                None => return Ok(None),
                Some(value) => value,
            },
            Self::Lines(lines) => loop {
                let Some(line) = lines.next()? else {
                    return Ok(None);
                };
                let blank = |text: &String| text.trim().is_empty();
                if !line.text.as_ref().is_ok_and(blank) {
                    let text = line.text.map_err(|fault| RowError::new(line.number, fault));
                    break (line.number, text);
                }
            },
        };
        Ok(Some(text.and_then(|text| row(line, &text, wanted))))
    }
}

fn row(line: u64, text: &str, wanted: &Wanted<String>) -> Result<Row, RowError> {
    let object =
        Object::parse(text).map_err(|(below, problem)| RowError::new(line + below, problem))?;
    let fault = |problem| {
        let others = wanted.others.iter().map(|name| object.other(name).ok());
        RowError::new(line, problem).with_others(others.collect())
    };
    let label = wanted.label.as_ref().map(|name| object.label(name));
    let others = wanted.others.iter().map(|name| object.other(name));
    let pair = wanted
        .pair
        .as_ref()
        .map(|name| object.text(Column::Pair, name));
    Ok(Row {
        line,
        text: object.text(Column::Text, &wanted.text).map_err(fault)?,
        pair: pair.transpose().map_err(fault)?,
        label: label.transpose().map_err(fault)?,
        others: others.collect::<Result<_, _>>().map_err(fault)?,
    })
}

/// Values that are separated by commas in an array, or else by white space.
pub(super) struct Values {
    input: Input,
    encoding: Encoding,
    in_array: bool,
    line: u64,
    /// True if the last byte was a carriage return.
    carriage_return: bool,
    place: Place,
}

/// The place between two values.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Before the array.
    Before,
    /// Before a value, or the end of an empty array.
    First,
    /// Before a value.
    Value,
    /// After a value.
    After,
    /// After the array.
    End,
}

impl Values {
    fn new(input: Input, utf16: bool, in_array: bool) -> Self {
        Self {
            input,
            encoding: Encoding::new(utf16),
            in_array,
            line: 1,
            carriage_return: false,
            place: if in_array {
                Place::Before
            } else {
                Place::First
            },
        }
    }

    /// Returns the next value and its first line.
    fn next(&mut self) -> Result<Option<(u64, Result<String, RowError>)>, Stop> {
        loop {
            let byte = self.input.peek(1)?.first().copied();
            let expected = |what| DataProblem::JsonArray { expected: what };
            self.place = match (self.place, byte) {
                (_, Some(b' ' | b'\t' | b'\r' | b'\n')) => {
                    self.take();
                    continue;
                }
                (Place::Before, Some(b'[')) => Place::First,
                (Place::First | Place::After, Some(b']')) if self.in_array => Place::End,
                (Place::After, Some(b',')) if self.in_array => Place::Value,
                (Place::First | Place::Value, Some(b',' | b']')) if self.in_array => {
                    return Err(self.stop(expected("a value")));
                }
                (Place::First | Place::Value, Some(_)) => return self.value().map(Some),
                (Place::After, Some(_)) if !self.in_array => return self.value().map(Some),
                (Place::End, None) => return Ok(None),
                (_, None) if !self.in_array => return Ok(None),
                (Place::End, Some(_)) => return Err(self.stop(expected("nothing"))),
                (_, None) => return Err(self.stop(DataProblem::JsonCut)),
                (_, Some(_)) => return Err(self.stop(expected("`,` or `]`"))),
            };
            self.take();
        }
    }

    fn stop(&self, problem: DataProblem) -> Stop {
        Stop {
            line: Some(self.line),
            problem,
        }
    }

    /// Consumes a byte and counts the line that it ends. Returns the byte, or a line feed for any
    /// line break.
    fn take(&mut self) -> Option<u8> {
        let byte = self.input.peek(1).ok()?.first().copied()?;
        self.input.consume(1);
        let was_carriage_return = std::mem::replace(&mut self.carriage_return, byte == b'\r');
        match byte {
            b'\n' if was_carriage_return => None,
            b'\r' | b'\n' => {
                self.line += 1;
                Some(b'\n')
            }
            other => Some(other),
        }
    }

    /// Reads a value to its end: the comma or bracket after it, or its last bracket.
    fn value(&mut self) -> Result<(u64, Result<String, RowError>), Stop> {
        let first = self.line;
        let mut bytes = Some(Vec::new());
        let (mut depth, mut in_string, mut escaped) = (0_u64, false, false);
        self.place = Place::After;
        loop {
            let Some(byte) = self.input.peek(1)?.first().copied() else {
                match self.in_array || depth > 0 {
                    true => return Err(self.stop(DataProblem::JsonCut)),
                    false => break,
                }
            };
            if depth == 0 && !in_string {
                let ends = matches!(byte, b',' | b']') && self.in_array;
                if ends || !self.in_array && byte.is_ascii_whitespace() {
                    break;
                }
            }
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
                _ => {}
            }
            bytes = bytes.filter(|bytes| bytes.len() < LIMIT);
            if let (Some(byte), Some(bytes)) = (self.take(), &mut bytes) {
                bytes.push(byte);
            }
            if depth == 0 && !in_string && byte == b'}' {
                break;
            }
        }
        let text = match bytes {
            None => Err(RowError::new(first, Fault::TooLong)),
            Some(bytes) => self.text(first, &bytes),
        };
        Ok((first, text))
    }

    /// Returns bytes from the line `first` on as text.
    fn text(&mut self, first: u64, bytes: &[u8]) -> Result<String, RowError> {
        let mut text = String::with_capacity(bytes.len() + 1);
        for (line, bytes) in (first..).zip(bytes.split(|byte| *byte == b'\n')) {
            let checked = self.encoding.check(bytes);
            text += checked.map_err(|fault| RowError::new(line, fault))?;
            text.push('\n');
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// The rows of a file, its bad rows, and the end of reading if it is not the file's.
    fn rows(content: &str) -> Vec<Result<(u64, String, String), String>> {
        let reader = Box::new(io::Cursor::new(content.as_bytes().to_vec()));
        let (input, utf16) = Input::text(Path::new("a.json"), reader).unwrap();
        let mut json = Json::open(input, utf16).unwrap();
        let wanted = Wanted {
            pair: None,
            text: "text".to_owned(),
            label: Some("label".to_owned()),
            others: Vec::new(),
        };
        let mut found = Vec::new();
        loop {
            match json.next(&wanted) {
                Ok(None) => return found,
                Ok(Some(Ok(row))) => found.push(Ok((row.line, row.text, row.label.unwrap()))),
                Ok(Some(Err(error))) => {
                    found.push(Err(format!("{}: {}", error.line, error.problem)))
                }
                Err(stop) => {
                    let line = stop.line.unwrap();
                    found.push(Err(format!("stop at {line}: {}", stop.problem)));
                    return found;
                }
            }
        }
    }

    fn row(line: u64, text: &str, label: &str) -> Result<(u64, String, String), String> {
        Ok((line, text.to_owned(), label.to_owned()))
    }

    #[test]
    fn every_arrangement_of_objects_is_read() {
        let one = [row(1, "a \"film\", [{", "good"), row(3, "café", "2.5")];
        let lines = "{\"text\": \"a \\\"film\\\", [{\", \"label\": \"good\"}\n\n\
                     {\"label\": 2.5, \"text\": \"caf\\u00e9\"}\n";
        assert_eq!(rows(lines), one);
        assert_eq!(rows(&lines.replace('\n', "\r\n")), one);
        assert_eq!(rows(&lines.replace('\n', "\r")), one);
        let array = format!("[{}]", lines.trim().replace("\n\n", ",\r\n\n"));
        assert_eq!(rows(&array), one);
        let pretty = "\n [\n  {\n    \"text\": \"a\",\n    \"label\": true\n  },\n  {\n    \
                      \"text\": \"b\",\n    \"label\": 1\n  }\n]\n";
        let expected = [row(3, "a", "true"), row(7, "b", "1")];
        assert_eq!(rows(pretty), expected);
        assert_eq!(rows(&pretty.replace('\n', "\r\n")), expected);
        let objects = pretty.replace(" [", "").replace("},", "}").replace(']', "");
        assert_eq!(rows(&objects), expected);
    }

    #[test]
    fn bad_rows_do_not_end_the_file() {
        let good = "{\"text\": \"a\", \"label\": 0}";
        for (bad, message) in [
            (
                "{\"text\": \"a\", \"label\": ",
                "1: not JSON at column 23: EOF while parsing a value",
            ),
            ("film", "1: not JSON at column 2: expected ident"),
            (
                "{\"text\": \"a\"} x",
                "1: not JSON at column 15: trailing characters",
            ),
        ] {
            assert_eq!(
                rows(&format!("{bad}\n{good}\n")),
                [Err(message.to_owned()), row(2, "a", "0")]
            );
        }
        let found = rows(&format!("[\n{{\"text\": \"a\",\n \"label\"; 0}},\n{good}]"));
        let message = "3: not JSON at column 9: expected `:`";
        assert_eq!(found, [Err(message.to_owned()), row(4, "a", "0")]);
    }

    #[test]
    fn a_broken_array_ends_reading() {
        let good = "{\"text\": \"a\", \"label\": 0}";
        for (content, message) in [
            (
                format!("[{good}\n{good}]"),
                "stop at 2: the array is broken: expected `,` or `]`",
            ),
            (
                format!("[{good},\n]"),
                "stop at 2: the array is broken: expected a value",
            ),
            (
                format!("[{good}]\nx"),
                "stop at 2: the array is broken: expected nothing",
            ),
            (
                format!("[{good},\n{{\"text"),
                "stop at 2: the file ends within an array or object; is it cut off?",
            ),
        ] {
            assert_eq!(rows(&content), [row(1, "a", "0"), Err(message.to_owned())]);
        }
        assert_eq!(rows("[]"), []);
    }
}
