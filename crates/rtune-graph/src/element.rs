use std::fmt;

/// The type of a tensor's elements, named as ONNX names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are ONNX's own")]
pub enum ElementType {
    Float32,
    Float64,
    Float16,
    BFloat16,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Bool,
}

/// Types with their text, the bytes of an element, and the number of `TensorProto.DataType` in the
/// ONNX standard.
const TYPES: [(ElementType, &str, usize, i32); 13] = [
    (ElementType::Float32, "f32", 4, 1),
    (ElementType::Float64, "f64", 8, 11),
    (ElementType::Float16, "f16", 2, 10),
    (ElementType::BFloat16, "bf16", 2, 16),
    (ElementType::Int8, "i8", 1, 3),
    (ElementType::Int16, "i16", 2, 5),
    (ElementType::Int32, "i32", 4, 6),
    (ElementType::Int64, "i64", 8, 7),
    (ElementType::Uint8, "u8", 1, 2),
    (ElementType::Uint16, "u16", 2, 4),
    (ElementType::Uint32, "u32", 4, 12),
    (ElementType::Uint64, "u64", 8, 13),
    (ElementType::Bool, "bool", 1, 9),
];

/// Types of the standard that rtune does not have.
const OTHERS: [(i64, &str); 14] = [
    (0, "undefined"),
    (8, "string"),
    (14, "complex64"),
    (15, "complex128"),
    (17, "float8e4m3fn"),
    (18, "float8e4m3fnuz"),
    (19, "float8e5m2"),
    (20, "float8e5m2fnuz"),
    (21, "uint4"),
    (22, "int4"),
    (23, "float4e2m1"),
    (24, "float8e8m0"),
    (25, "uint2"),
    (26, "int2"),
];

impl ElementType {
    /// All types.
    pub fn all() -> impl Iterator<Item = Self> {
        TYPES.iter().map(|row| row.0)
    }

    /// The number that stands for the type in ONNX files and in attributes such as `to` of `Cast`.
    pub fn code(self) -> i32 {
        self.row().3
    }

    /// The type behind a number of `TensorProto.DataType`, or `None` if rtune has no such type.
    pub fn from_code(code: i64) -> Option<Self> {
        let row = TYPES.iter().find(|row| i64::from(row.3) == code);
        row.map(|row| row.0)
    }

    /// The name of a number of `TensorProto.DataType`, for messages about types that rtune does not
    /// have: the standard's, or the number itself.
    pub fn name_of(code: i64) -> String {
        let other = OTHERS.iter().find(|other| other.0 == code);
        match (Self::from_code(code), other) {
            (Some(known), _) => known.to_string(),
            (None, Some((_, name))) => (*name).to_owned(),
            (None, None) => format!("{code} (not in the standard)"),
        }
    }

    /// The size of one element in bytes.
    pub fn size(self) -> usize {
        self.row().2
    }

    /// True for floating point numbers.
    pub fn is_float(self) -> bool {
        matches!(
            self,
            Self::Float32 | Self::Float64 | Self::Float16 | Self::BFloat16
        )
    }

    fn row(self) -> &'static (Self, &'static str, usize, i32) {
        &TYPES[self as usize]
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_types() {
        for (index, element_type) in ElementType::all().enumerate() {
            assert_eq!(element_type as usize, index);
            let code = i64::from(element_type.code());
            assert_eq!(ElementType::from_code(code), Some(element_type));
        }
        for (code, name) in [
            (1, "f32"),
            (8, "string"),
            (17, "float8e4m3fn"),
            (99, "99 (not in the standard)"),
        ] {
            assert_eq!(ElementType::name_of(code), name);
        }
        assert!(
            OTHERS
                .iter()
                .all(|(code, _)| ElementType::from_code(*code).is_none())
        );
        // String, complex64, and no type at all.
        for code in [8, 14, 0, -1, 1 << 32] {
            assert_eq!(ElementType::from_code(code), None, "{code}");
        }
    }
}
