use crate::{Dim, ElementType, Fact, GraphError};
use std::fmt;
use std::sync::Arc;

/// Anything that holds a tensor's bytes: a vector, or a slice of a mapped file.
pub(crate) type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A constant: element type, dimensions, and the elements as little-endian bytes in row-major
/// order.
#[derive(Clone)]
pub struct Tensor {
    element_type: ElementType,
    dims: Vec<u64>,
    bytes: Bytes,
}

impl Tensor {
    /// A constant over `bytes`, which are shared, not copied.
    ///
    /// # Errors
    /// Where the number of bytes does not match the type and the dimensions.
    pub fn new(
        element_type: ElementType,
        dims: &[u64],
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
    ) -> Result<Self, GraphError> {
        let elements = dims
            .iter()
            .try_fold(1_u64, |total, dim| total.checked_mul(*dim));
        let expected = elements.and_then(|n| n.checked_mul(element_type.size() as u64));
        let found = bytes.as_ref().len() as u64;
        if expected != Some(found) {
            let problem = format!(
                "{element_type} {dims:?} takes {} bytes, found {found}",
                expected.map_or("too many".to_owned(), |n| n.to_string())
            );
            return Err(GraphError::new("tensor", problem));
        }
        Ok(Self {
            element_type,
            dims: dims.to_vec(),
            bytes: Arc::new(bytes),
        })
    }

    /// A constant of `f32`.
    ///
    /// # Errors
    /// Where the number of values does not match the dimensions.
    pub fn from_f32(dims: &[u64], values: &[f32]) -> Result<Self, GraphError> {
        Self::new(
            ElementType::Float32,
            dims,
            values
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect::<Vec<_>>(),
        )
    }

    /// A constant of `i64`.
    ///
    /// # Errors
    /// Where the number of values does not match the dimensions.
    pub fn from_i64(dims: &[u64], values: &[i64]) -> Result<Self, GraphError> {
        Self::new(
            ElementType::Int64,
            dims,
            values
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect::<Vec<_>>(),
        )
    }

    /// A constant of `i32`.
    ///
    /// # Errors
    /// Where the number of values does not match the dimensions.
    pub fn from_i32(dims: &[u64], values: &[i32]) -> Result<Self, GraphError> {
        Self::new(
            ElementType::Int32,
            dims,
            values
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect::<Vec<_>>(),
        )
    }

    /// A constant of `i8`.
    ///
    /// # Errors
    /// Where the number of values does not match the dimensions.
    pub fn from_i8(dims: &[u64], values: &[i8]) -> Result<Self, GraphError> {
        Self::new(
            ElementType::Int8,
            dims,
            values.iter().map(|v| v.cast_unsigned()).collect::<Vec<_>>(),
        )
    }

    /// The type of the elements.
    pub fn element_type(&self) -> ElementType {
        self.element_type
    }

    /// The dimensions.
    pub fn dims(&self) -> &[u64] {
        &self.dims
    }

    /// The elements as little-endian bytes.
    pub fn bytes(&self) -> &[u8] {
        (*self.bytes).as_ref()
    }

    /// The holder of the bytes, to share them further without a copy.
    pub fn shared_bytes(&self) -> Arc<dyn AsRef<[u8]> + Send + Sync> {
        Arc::clone(&self.bytes)
    }

    /// The elements, where they are `f32`.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        (self.element_type == ElementType::Float32).then(|| {
            self.bytes()
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect()
        })
    }

    /// The elements, where they are `i64`.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        (self.element_type == ElementType::Int64).then(|| {
            self.bytes()
                .as_chunks::<8>()
                .0
                .iter()
                .map(|b| i64::from_le_bytes(*b))
                .collect()
        })
    }

    /// What is known of the constant as a value.
    pub fn fact(&self) -> Fact {
        Fact::new(self.element_type, self.dims.iter().map(|d| Dim::Fixed(*d)))
    }
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        self.element_type == other.element_type
            && self.dims == other.dims
            && self.bytes() == other.bytes()
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({}, {} bytes)", self.fact(), self.bytes().len())
    }
}
