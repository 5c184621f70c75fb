//! Lines as an editor counts them: LF, CRLF and CR end a line.

use super::input::Input;
use crate::DataProblem;
use std::collections::VecDeque;
use std::io;

/// Largest size of a row in bytes. Rows are read one after the other, so this bounds the memory.
pub(super) const LIMIT: usize = 4 << 20;

/// A line of a file.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: u64,
    /// The text without the line break, or the reason why it cannot be read.
    pub(super) text: Result<String, Fault>,
    /// The text before a fault.
    pub(super) before: String,
    /// The line break; empty at the end of the file.
    pub(super) end: &'static str,
}

/// A line that is not text.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    TooLong,
    Nul {
        byte: usize,
    },
    NotUtf8 {
        byte: usize,
        value: u8,
        around: String,
        mixed: bool,
    },
    DamagedUtf16,
}

impl From<Fault> for DataProblem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TooLong => Self::TooLong { limit: LIMIT },
            Fault::Nul { byte } => Self::Nul { byte },
            Fault::DamagedUtf16 => Self::DamagedUtf16,
            Fault::NotUtf8 {
                byte,
                value,
                around,
                mixed,
            } => Self::NotUtf8 {
                byte,
                value,
                around,
                mixed,
            },
        }
    }
}

/// The lines of an input, one after the other.
pub(super) struct Lines {
    input: Input,
    encoding: Encoding,
    /// Number of lines that were read from the input.
    read: u64,
    /// Lines to read again before the input's.
    again: VecDeque<Line>,
}

impl Lines {
    pub(super) fn new(input: Input, utf16: bool) -> Self {
        Self {
            input,
            encoding: Encoding::new(utf16),
            read: 0,
            again: VecDeque::new(),
        }
    }

    /// Returns the next line, or `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.again.pop_front() {
            return Ok(Some(line));
        }
        let Some((bytes, end)) = self.bytes()? else {
            return Ok(None);
        };
        self.read += 1;
        let text = match &bytes {
            Some(bytes) => self.encoding.check(bytes).map(str::to_owned),
            None => Err(Fault::TooLong),
        };
        let before = match text {
            Ok(_) => String::new(),
            Err(_) => text_before_fault(&bytes.unwrap_or_default()),
        };
        Ok(Some(Line {
            number: self.read,
            text,
            before,
            end,
        }))
    }

    /// Makes lines the next ones again.
    pub(super) fn put_back(&mut self, lines: impl DoubleEndedIterator<Item = Line>) {
        for line in lines.rev() {
            self.again.push_front(line);
        }
    }

    /// Reads the bytes of a line and the line break; no bytes if there are too many.
    fn bytes(&mut self) -> io::Result<Option<(Option<Vec<u8>>, &'static str)>> {
        let mut line = Some(Vec::new());
        loop {
            let bytes = self.input.peek(1)?;
            if bytes.is_empty() {
                let nothing = line.as_ref().is_some_and(Vec::is_empty);
                return Ok((!nothing).then_some((line, "")));
            }
            let found = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let length = found.unwrap_or(bytes.len());
            line = line.filter(|line| line.len() + length <= LIMIT);
            if let Some(line) = &mut line {
                line.extend_from_slice(&bytes[..length]);
            }
            let carriage_return = found.is_some_and(|at| bytes[at] == b'\r');
            self.input.consume(length);
            if !carriage_return {
                if found.is_none() {
                    continue;
                }
                self.input.consume(1);
                return Ok(Some((line, "\n")));
            }
            let end = match self.input.peek(2)? {
                [_, b'\n', ..] => "\r\n",
                _ => "\r",
            };
            self.input.consume(end.len());
            return Ok(Some((line, end)));
        }
    }
}

/// The encoding of a file, as far as it is known.
pub(super) struct Encoding {
    /// True if the bytes are those of decoded UTF-16.
    utf16: bool,
    /// True if a character beyond ASCII was found.
    beyond_ascii: bool,
}

impl Encoding {
    pub(super) fn new(utf16: bool) -> Self {
        Self {
            utf16,
            beyond_ascii: false,
        }
    }

    /// Returns the bytes of a line as text without NUL.
    pub(super) fn check<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a str, Fault> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            match bytes.get(at) {
                Some(value) if !self.utf16 => Fault::NotUtf8 {
                    byte: at + 1,
                    value: *value,
                    around: windows_1252(bytes, at),
                    mixed: self.beyond_ascii,
                },
                _ => Fault::DamagedUtf16,
            }
        })?;
        self.beyond_ascii |= !text.is_ascii();
        match bytes.iter().position(|byte| *byte == 0) {
            Some(at) => Err(Fault::Nul { byte: at + 1 }),
            None => Ok(text),
        }
    }
}

/// Returns the part of a line before the first byte that is not text.
fn text_before_fault(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = text.utf8_chunks().next();
    text.map_or_else(String::new, |chunk| chunk.valid().to_owned())
}

/// Returns the word around a byte as Windows-1252 has it, so that a reader recognizes the place.
fn windows_1252(bytes: &[u8], at: usize) -> String {
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80;
    let before = bytes[..at]
        .iter()
        .rev()
        .take(15)
        .take_while(|b| inside(b))
        .count();
    let after = bytes[at..]
        .iter()
        .take(15)
        .take_while(|b| inside(b))
        .count();
    let word = bytes[at - before..at + after].iter();
    word.map(|byte| match byte {
        0x80 => '€',
        0x85 => '…',
        0x91 => '‘',
        0x92 => '’',
        0x93 => '“',
        0x94 => '”',
        0x96 => '–',
        0x97 => '—',
        byte => char::from(*byte),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn lines(bytes: impl Into<Vec<u8>>) -> Lines {
        let reader = Box::new(io::Cursor::new(bytes.into()));
        let (input, utf16) = Input::text(Path::new("a.txt"), reader).unwrap();
        Lines::new(input, utf16)
    }

    fn all(mut lines: Lines) -> Vec<(u64, String, &'static str)> {
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push((line.number, line.text.unwrap(), line.end));
        }
        found
    }

    #[test]
    fn every_line_break_ends_a_line() {
        let found = all(lines("a\nb\r\nc\r\r\n\nd"));
        let texts: Vec<_> = found
            .iter()
            .map(|(n, text, end)| (*n, &**text, *end))
            .collect();
        assert_eq!(
            texts,
            [
                (1, "a", "\n"),
                (2, "b", "\r\n"),
                (3, "c", "\r"),
                (4, "", "\r\n"),
                (5, "", "\n"),
                (6, "d", "")
            ]
        );
        assert_eq!(all(lines("a\r")), [(1, "a".to_owned(), "\r")]);
        assert_eq!(all(lines("")), []);
    }

    #[test]
    fn a_line_break_may_lie_across_blocks() {
        for before in (1 << 16) - 2..(1 << 16) + 2 {
            let text = "a".repeat(before);
            let found = all(lines(format!("{text}\r\nb")));
            assert_eq!((&*found[0].1, found[0].2), (&*text, "\r\n"));
            assert_eq!(found[1].0, 2);
        }
    }

    #[test]
    fn a_line_beyond_the_limit_is_skipped() {
        let mut lines = lines(format!("{}\nb\n", "a".repeat(LIMIT + 1)));
        let first = lines.next().unwrap().unwrap();
        assert!(matches!(first.text, Err(Fault::TooLong)));
        assert_eq!(lines.next().unwrap().unwrap().text.unwrap(), "b");
    }

    #[test]
    fn bytes_that_are_no_text_are_named() {
        let fault = |bytes: &[u8]| lines(bytes).next().unwrap().unwrap().text.unwrap_err();
        match fault(b"a caf\xe9 \x93here\x94") {
            Fault::NotUtf8 {
                byte: 6,
                value: 0xe9,
                around,
                mixed: false,
            } => assert_eq!(around, "café"),
            other => panic!("{other:?}"),
        }
        assert!(matches!(fault(b"ab\0c"), Fault::Nul { byte: 3 }));
        assert!(matches!(fault(b"\xff\xfea\0\x3d\xd8"), Fault::DamagedUtf16));
    }
}
