//! The bytes of a file as UTF-8: decompressed, decoded, without a byte order mark.

use super::utf16::{Order, Utf16};
use crate::{DataError, DataProblem};
use flate2::read::MultiGzDecoder;
use std::io::{self, Read};
use std::path::Path;

/// Bytes that can be looked at before they are consumed.
pub(super) struct Input {
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
}

impl Input {
    const BLOCK: usize = 1 << 16;

    fn new(reader: Box<dyn Read + Send>) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            start: 0,
        }
    }

    /// Opens the bytes of the file `path` as text. Returns true beside it if it was UTF-16.
    ///
    /// # Errors
    /// If the bytes are those of an archive, or of text in another encoding.
    pub(super) fn text(
        path: &Path,
        reader: Box<dyn Read + Send>,
    ) -> Result<(Self, bool), DataError> {
        let fault = |problem| DataError::file(path, problem);
        let io = |error| DataError::file(path, DataProblem::of_io(error));
        let mut input = Self::decompressed(reader).map_err(io)?;
        let head = input.peek(8).map_err(io)?;
        if let Some(found) = foreign(head) {
            return Err(fault(DataProblem::NotText(found)));
        }
        let order = match *head {
            [0xef, 0xbb, 0xbf, ..] => {
                input.consume(3);
                return Ok((input, false));
            }
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
                return Err(fault(DataProblem::Encoding("UTF-32")));
            }
            [0xff, 0xfe, ..] => Order::LittleEndian,
            [0xfe, 0xff, ..] => Order::BigEndian,
            [first, 0, second, 0, ..] if first != 0 && second != 0 => {
                return Err(fault(DataProblem::Encoding("UTF-16LE")));
            }
            [0, first, 0, second, ..] if first != 0 && second != 0 => {
                return Err(fault(DataProblem::Encoding("UTF-16BE")));
            }
            _ => return Ok((input, false)),
        };
        input.consume(2);
        Ok((Self::new(Box::new(Utf16::new(input, order))), true))
    }

    /// Returns the bytes of a file, decompressed if they are gzip.
    pub(super) fn decompressed(reader: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut input = Self::new(reader);
        if input.peek(3)?.starts_with(&[0x1f, 0x8b, 8]) {
            input = Self::new(Box::new(MultiGzDecoder::new(input)));
        }
        Ok(input)
    }

    /// Returns the bytes that come next: at least `wanted`, unless the input ends before.
    pub(super) fn peek(&mut self, wanted: usize) -> io::Result<&[u8]> {
        while self.buffer.len() - self.start < wanted {
            self.buffer.drain(..self.start);
            self.start = 0;
            let length = self.buffer.len();
            self.buffer.resize(length + Self::BLOCK, 0);
            let read = self.read_some(length);
            self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
            if read? == 0 {
                break;
            }
        }
        Ok(&self.buffer[self.start..])
    }

    fn read_some(&mut self, at: usize) -> io::Result<usize> {
        loop {
            match self.reader.read(&mut self.buffer[at..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// Skips bytes that were looked at.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.buffer.len());
    }
}

impl Read for Input {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let bytes = self.peek(1)?;
        let length = bytes.len().min(target.len());
        target[..length].copy_from_slice(&bytes[..length]);
        self.consume(length);
        Ok(length)
    }
}

/// Returns the kind of a file that is no text, by its first bytes.
fn foreign(head: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 6] = [
        (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
        (b"PAR1", "a Parquet file"),
        (b"BZh", "compressed with bzip2"),
        (b"\xfd7zXZ", "compressed with xz"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
        (b"\xd0\xcf\x11\xe0", "an Excel workbook of the old kind"),
    ];
    let kind = KINDS.iter().find(|(magic, _)| head.starts_with(magic));
    kind.map(|(_, name)| *name)
}
