use crate::{Dim, ElementType, Fact, GraphError, Place};
use std::fmt;
use std::sync::Arc;

/// Anything that holds a tensor's bytes: a vector, or a slice of a mapped file.
pub(crate) type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Tensors of at most this many elements are displayed with them.
const SHOWN: usize = 8;

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
    /// If the number of bytes does not match the type and the dimensions.
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
            let expected = expected.map_or("too many".to_owned(), |n| n.to_string());
            return Err(GraphError::new(
                Place::Tensor(None),
                format!("{element_type} {dims:?} takes {expected} bytes, found {found}"),
            ));
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
    /// If the number of values does not match the dimensions.
    pub fn from_f32(dims: &[u64], values: &[f32]) -> Result<Self, GraphError> {
        Self::of(ElementType::Float32, dims, values, |v| v.to_le_bytes())
    }

    /// A constant of `i64`.
    ///
    /// # Errors
    /// If the number of values does not match the dimensions.
    pub fn from_i64(dims: &[u64], values: &[i64]) -> Result<Self, GraphError> {
        Self::of(ElementType::Int64, dims, values, |v| v.to_le_bytes())
    }

    /// A constant of `i32`.
    ///
    /// # Errors
    /// If the number of values does not match the dimensions.
    pub fn from_i32(dims: &[u64], values: &[i32]) -> Result<Self, GraphError> {
        Self::of(ElementType::Int32, dims, values, |v| v.to_le_bytes())
    }

    /// A constant of `i8`.
    ///
    /// # Errors
    /// If the number of values does not match the dimensions.
    pub fn from_i8(dims: &[u64], values: &[i8]) -> Result<Self, GraphError> {
        Self::of(ElementType::Int8, dims, values, |v| v.to_le_bytes())
    }

    /// A constant of `u8`.
    ///
    /// # Errors
    /// If the number of values does not match the dimensions.
    pub fn from_u8(dims: &[u64], values: &[u8]) -> Result<Self, GraphError> {
        Self::new(ElementType::Uint8, dims, values.to_vec())
    }

    fn of<T: Copy, const N: usize>(
        element_type: ElementType,
        dims: &[u64],
        values: &[T],
        bytes: impl Fn(T) -> [u8; N],
    ) -> Result<Self, GraphError> {
        let bytes: Vec<u8> = values.iter().flat_map(|v| bytes(*v)).collect();
        Self::new(element_type, dims, bytes)
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

    /// The elements, if they are `f32`.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        self.elements(ElementType::Float32, f32::from_le_bytes)
    }

    /// The elements, if they are `i64`.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        self.elements(ElementType::Int64, i64::from_le_bytes)
    }

    /// The elements, if they are `i32`.
    pub fn to_i32(&self) -> Option<Vec<i32>> {
        self.elements(ElementType::Int32, i32::from_le_bytes)
    }

    fn elements<T, const N: usize>(
        &self,
        element_type: ElementType,
        read: impl Fn([u8; N]) -> T,
    ) -> Option<Vec<T>> {
        (self.element_type == element_type).then(|| self.read(read))
    }

    fn read<T, const N: usize>(&self, read: impl Fn([u8; N]) -> T) -> Vec<T> {
        let (chunks, _) = self.bytes().as_chunks::<N>();
        chunks.iter().map(|bytes| read(*bytes)).collect()
    }

    /// The type and shape of the constant as a value.
    pub fn fact(&self) -> Fact {
        Fact::new(self.element_type, self.dims.iter().map(|d| Dim::Fixed(*d)))
    }

    /// The elements as text, unless they are in half precision.
    fn texts(&self) -> Option<Vec<String>> {
        fn all<T: fmt::Display>(values: Vec<T>) -> Vec<String> {
            values.iter().map(ToString::to_string).collect()
        }
        Some(match self.element_type {
            ElementType::Float32 => all(self.read(f32::from_le_bytes)),
            ElementType::Float64 => all(self.read(f64::from_le_bytes)),
            ElementType::Float16 | ElementType::BFloat16 => return None,
            ElementType::Int8 => all(self.read(i8::from_le_bytes)),
            ElementType::Int16 => all(self.read(i16::from_le_bytes)),
            ElementType::Int32 => all(self.read(i32::from_le_bytes)),
            ElementType::Int64 => all(self.read(i64::from_le_bytes)),
            ElementType::Uint8 => all(self.read(u8::from_le_bytes)),
            ElementType::Uint16 => all(self.read(u16::from_le_bytes)),
            ElementType::Uint32 => all(self.read(u32::from_le_bytes)),
            ElementType::Uint64 => all(self.read(u64::from_le_bytes)),
            ElementType::Bool => all(self.read(|[byte]: [u8; 1]| byte != 0)),
        })
    }
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        self.element_type == other.element_type
            && self.dims == other.dims
            && self.bytes() == other.bytes()
    }
}

impl fmt::Display for Tensor {
    /// Type and dimensions, and the elements of a scalar or short vector: `i64[2] = [-1, 32]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fact().fmt(f)?;
        let short = self.bytes().len() <= SHOWN * self.element_type.size();
        match (self.dims.as_slice(), short.then(|| self.texts()).flatten()) {
            ([], Some(texts)) => write!(f, " = {}", texts.concat()),
            ([_], Some(texts)) => write!(f, " = [{}]", texts.join(", ")),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({}, {} bytes)", self.fact(), self.bytes().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_must_fit() {
        let error = |dims: &[u64]| {
            let tensor = Tensor::new(ElementType::Int16, dims, vec![0; 6]);
            tensor.map_or_else(|e| e.to_string(), |t| t.fact().to_string())
        };
        assert_eq!(error(&[3]), "i16[3]");
        assert_eq!(error(&[4]), "tensor: i16 [4] takes 8 bytes, found 6");
        assert_eq!(
            error(&[u64::MAX, 2]),
            format!(
                "tensor: i16 [{}, 2] takes too many bytes, found 6",
                u64::MAX
            )
        );
    }

    #[test]
    fn short_constants_are_displayed_with_their_elements() {
        let text = |tensor: Result<Tensor, GraphError>| tensor.unwrap().to_string();
        assert_eq!(text(Tensor::from_i64(&[2], &[-1, 32])), "i64[2] = [-1, 32]");
        assert_eq!(text(Tensor::from_f32(&[], &[0.5])), "f32[] = 0.5");
        assert_eq!(text(Tensor::from_i8(&[0], &[])), "i8[0] = []");
        assert_eq!(text(Tensor::from_i32(&[9], &[1; 9])), "i32[9]");
        assert_eq!(text(Tensor::from_u8(&[1, 1], &[1])), "u8[1, 1]");
        let flag = Tensor::new(ElementType::Bool, &[2], vec![0, 1]);
        assert_eq!(text(flag), "bool[2] = [false, true]");
        let half = Tensor::new(ElementType::Float16, &[1], vec![0, 1]);
        assert_eq!(text(half), "f16[1]");
    }

    #[test]
    fn elements_are_read_in_their_own_type_only() {
        let tensor = Tensor::from_i32(&[2], &[1, -1]).unwrap();
        assert_eq!(tensor.to_i32(), Some(vec![1, -1]));
        assert_eq!((tensor.to_i64(), tensor.to_f32()), (None, None));
        assert_eq!(tensor.bytes(), [1, 0, 0, 0, 255, 255, 255, 255]);
    }
}
