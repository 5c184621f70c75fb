//! The fields of a SentencePiece model, which is a message of protobuf:
//! <https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto>.

/// A model as far as tokenizers need it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct SentencePieces {
    pub(super) pieces: Vec<Piece>,
    /// Of `trainer_spec`: 1 for unigram models, 2 for byte pairs.
    pub(super) model_type: u64,
    pub(super) unknown: u64,
    pub(super) byte_fallback: bool,
    /// Of `normalizer_spec`: the compiled rules, empty if there are none.
    pub(super) rules: Vec<u8>,
}

/// A word or a part of one.
#[derive(Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) score: f32,
    pub(super) kind: u64,
}

/// A fault, in words.
pub(super) type Fault = &'static str;

const CUT: Fault = "it ends within a field";

enum Value<'a> {
    Number(u64),
    Float(f32),
    Bytes(&'a [u8]),
    Other,
}

/// The fields of a message, in their order.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Result<u64, Fault> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(CUT)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number has more than 64 bits")
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), Fault> {
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => {
                self.take(8)?;
                Value::Other
            }
            2 => {
                let length = usize::try_from(self.number()?).map_err(|_| CUT)?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                let bytes = self.take(4)?;
                Value::Float(f32::from_le_bytes(bytes.try_into().map_err(|_| CUT)?))
            }
            _ => return Err("a field has an unknown form"),
        };
        Ok((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl SentencePieces {
    /// Parses a file.
    ///
    /// # Errors
    /// If it is no such message.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let mut model = Self {
            model_type: 1,
            ..Self::default()
        };
        for field in Fields(bytes) {
            match field? {
                (1, Value::Bytes(piece)) => model.pieces.push(Piece::parse(piece)?),
                (2, Value::Bytes(spec)) => model.training(spec)?,
                (3, Value::Bytes(spec)) => model.normalization(spec)?,
                _ => {}
            }
        }
        Ok(model)
    }

    fn training(&mut self, spec: &[u8]) -> Result<(), Fault> {
        for field in Fields(spec) {
            match field? {
                (3, Value::Number(kind)) => self.model_type = kind,
                (35, Value::Number(flag)) => self.byte_fallback = flag != 0,
                (40, Value::Number(id)) => self.unknown = id,
                _ => {}
            }
        }
        Ok(())
    }

    fn normalization(&mut self, spec: &[u8]) -> Result<(), Fault> {
        for field in Fields(spec) {
            if let (2, Value::Bytes(rules)) = field? {
                self.rules = rules.to_vec();
            }
        }
        Ok(())
    }
}

impl Piece {
    fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let mut piece = Self {
            text: String::new(),
            score: 0.0,
            kind: 1,
        };
        for field in Fields(bytes) {
            match field? {
                (1, Value::Bytes(text)) => {
                    let text = std::str::from_utf8(text).map_err(|_| "a piece is not UTF-8")?;
                    text.clone_into(&mut piece.text);
                }
                (2, Value::Float(score)) => piece.score = score,
                (3, Value::Number(kind)) => piece.kind = kind,
                _ => {}
            }
        }
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `<unk>` of kind 2 and `a` with the score -1, the trainer's unknown 0, two bytes of rules.
    const FILE: &[u8] = &[
        0x0a, 0x09, 0x0a, 0x05, b'<', b'u', b'n', b'k', b'>', 0x18, 0x02, // a piece
        0x0a, 0x08, 0x0a, 0x01, b'a', 0x15, 0x00, 0x00, 0x80, 0xbf, // a piece
        0x12, 0x05, 0x18, 0x01, 0xc0, 0x02, 0x00, // training
        0x1a, 0x04, 0x12, 0x02, 0x07, 0x08, // normalization
    ];

    #[test]
    fn a_model_is_read() {
        let piece = |text: &str, score, kind| Piece {
            text: text.to_owned(),
            score,
            kind,
        };
        let expected = SentencePieces {
            pieces: vec![piece("<unk>", 0.0, 2), piece("a", -1.0, 1)],
            model_type: 1,
            unknown: 0,
            byte_fallback: false,
            rules: vec![7, 8],
        };
        assert_eq!(SentencePieces::parse(FILE), Ok(expected));
    }

    #[test]
    fn damage_is_a_fault() {
        let cases: [(&[u8], Fault); 5] = [
            (&FILE[..5], CUT),
            (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], CUT),
            (&[0xff; 12], "a number has more than 64 bits"),
            (&[0x0b], "a field has an unknown form"),
            (&[0x0a, 0x03, 0x0a, 0x01, 0xff], "a piece is not UTF-8"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(SentencePieces::parse(bytes), Err(expected));
        }
    }
}
