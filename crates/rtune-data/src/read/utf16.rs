//! UTF-16 as UTF-8.

use super::input::Input;
use std::io::{self, Read};

/// The order of the two bytes of a unit.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    LittleEndian,
    BigEndian,
}

/// UTF-16 after its byte order mark, read as UTF-8. A byte that UTF-8 does not have, 0xFF, stands
/// for half of a pair or of a unit, so that the reader of lines finds the line.
pub(super) struct Utf16 {
    input: Input,
    order: Order,
    decoded: Vec<u8>,
    start: usize,
}

impl Utf16 {
    pub(super) fn new(input: Input, order: Order) -> Self {
        Self {
            input,
            order,
            decoded: Vec::new(),
            start: 0,
        }
    }

    /// Decodes the bytes that are at hand.
    fn decode(&mut self) -> io::Result<()> {
        self.decoded.clear();
        self.start = 0;
        let bytes = self.input.peek(4)?;
        let pairs = bytes.chunks_exact(2);
        let units = pairs.map(|pair| match self.order {
            Order::LittleEndian => u16::from_le_bytes([pair[0], pair[1]]),
            Order::BigEndian => u16::from_be_bytes([pair[0], pair[1]]),
        });
        let mut units: Vec<u16> = units.collect();
        // The second half of the last pair may not be at hand yet.
        let high = |unit: &u16| (0xd800..0xdc00).contains(unit);
        if units.len() > 1 && units.last().is_some_and(high) {
            units.pop();
        }
        let mut used = units.len() * 2;
        for unit in char::decode_utf16(units) {
            match unit {
                Ok(unit) => self.decoded.extend(unit.encode_utf8(&mut [0; 4]).bytes()),
                Err(_) => self.decoded.push(0xff),
            }
        }
        if used == 0 && bytes.len() == 1 {
            self.decoded.push(0xff);
            used = 1;
        }
        self.input.consume(used);
        Ok(())
    }
}

impl Read for Utf16 {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if self.start == self.decoded.len() {
            self.decode()?;
        }
        let bytes = &self.decoded[self.start..];
        let length = bytes.len().min(target.len());
        target[..length].copy_from_slice(&bytes[..length]);
        self.start += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn decoded(bytes: &[u8]) -> Vec<u8> {
        let reader = Box::new(io::Cursor::new(bytes.to_vec()));
        let (mut input, utf16) = Input::text(Path::new("a.csv"), reader).unwrap();
        assert!(utf16);
        let mut text = Vec::new();
        input.read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn both_orders_are_read() {
        // Pairs of units lie across the borders of blocks.
        let text = format!("{}é 😀{}", "a".repeat((1 << 15) - 1), "😀".repeat(70_000));
        let units: Vec<u16> = text.encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        assert_eq!(
            decoded(&[&[0xff, 0xfe], &*little].concat()),
            text.as_bytes()
        );
        assert_eq!(decoded(&[&[0xfe, 0xff], &*big].concat()), text.as_bytes());
    }

    #[test]
    fn halves_of_pairs_and_units_are_marked() {
        assert_eq!(decoded(b"\xff\xfea\0\x3d\xd8b\0"), b"a\xffb");
        assert_eq!(decoded(b"\xff\xfea\0\x3d\xd8"), b"a\xff");
        assert_eq!(decoded(b"\xff\xfea\0b"), b"a\xff");
    }
}
