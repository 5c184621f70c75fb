use crate::Tensor;
use std::fmt;

/// A node's attribute.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are ONNX's own")]
pub enum Attribute {
    Int(i64),
    Float(f32),
    String(Vec<u8>),
    Tensor(Tensor),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Strings(Vec<Vec<u8>>),
}

/// The type of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are ONNX's own")]
pub enum AttributeKind {
    Int,
    Float,
    String,
    Tensor,
    Ints,
    Floats,
    Strings,
}

impl Attribute {
    /// The attribute's type.
    pub fn kind(&self) -> AttributeKind {
        match self {
            Self::Int(_) => AttributeKind::Int,
            Self::Float(_) => AttributeKind::Float,
            Self::String(_) => AttributeKind::String,
            Self::Tensor(_) => AttributeKind::Tensor,
            Self::Ints(_) => AttributeKind::Ints,
            Self::Floats(_) => AttributeKind::Floats,
            Self::Strings(_) => AttributeKind::Strings,
        }
    }

    /// The value of an `Int`.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The values of an `Ints`.
    pub fn as_ints(&self) -> Option<&[i64]> {
        match self {
            Self::Ints(values) => Some(values),
            _ => None,
        }
    }

    /// The values of a `Floats`.
    pub fn as_floats(&self) -> Option<&[f32]> {
        match self {
            Self::Floats(values) => Some(values),
            _ => None,
        }
    }

    /// The value of a `Float`.
    pub fn as_float(&self) -> Option<f32> {
        match self {
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The value of a `String`, if it is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => std::str::from_utf8(value).ok(),
            _ => None,
        }
    }

    /// The value of a `Tensor`.
    pub fn as_tensor(&self) -> Option<&Tensor> {
        match self {
            Self::Tensor(value) => Some(value),
            _ => None,
        }
    }
}

impl From<i64> for Attribute {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f32> for Attribute {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Attribute {
    fn from(value: &str) -> Self {
        Self::String(value.as_bytes().to_vec())
    }
}

impl From<Vec<i64>> for Attribute {
    fn from(values: Vec<i64>) -> Self {
        Self::Ints(values)
    }
}

impl From<Vec<f32>> for Attribute {
    fn from(values: Vec<f32>) -> Self {
        Self::Floats(values)
    }
}

impl From<Tensor> for Attribute {
    fn from(value: Tensor) -> Self {
        Self::Tensor(value)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:e}"),
            Self::String(value) => write!(f, "{:?}", text(value)),
            Self::Tensor(value) => value.fmt(f),
            Self::Ints(values) => write!(f, "{values:?}"),
            Self::Floats(values) => write!(f, "{values:?}"),
            Self::Strings(values) => {
                let values: Vec<_> = values.iter().map(|v| text(v)).collect();
                write!(f, "{values:?}")
            }
        }
    }
}

impl fmt::Display for AttributeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Int => "an int",
            Self::Float => "a float",
            Self::String => "a string",
            Self::Tensor => "a tensor",
            Self::Ints => "a list of ints",
            Self::Floats => "a list of floats",
            Self::Strings => "a list of strings",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_say_their_type_and_print_their_value() {
        let tensor = Tensor::from_i64(&[2], &[1, 2]).unwrap();
        let cases = [
            (Attribute::from(3), "an int", "3"),
            (Attribute::from(0.5), "a float", "5e-1"),
            (Attribute::from("same"), "a string", "\"same\""),
            (Attribute::from(tensor), "a tensor", "i64[2] = [1, 2]"),
            (Attribute::from(vec![1_i64, 2]), "a list of ints", "[1, 2]"),
            (Attribute::from(vec![1.5_f32]), "a list of floats", "[1.5]"),
            (
                Attribute::Strings(vec![b"a".to_vec()]),
                "a list of strings",
                "[\"a\"]",
            ),
        ];
        for (attribute, kind, text) in cases {
            assert_eq!(attribute.kind().to_string(), kind);
            assert_eq!(attribute.to_string(), text);
        }
        assert_eq!(Attribute::from(3).as_float(), None);
        assert_eq!(Attribute::String(vec![0xff]).as_str(), None);
    }
}
