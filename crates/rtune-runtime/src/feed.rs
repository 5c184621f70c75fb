use crate::RuntimeError;
use ort::session::SessionInputValue;
use ort::value::{PrimitiveTensorElementType, TensorRef};

/// A tensor that goes into a run, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Feed<'a> {
    name: &'a str,
    dims: &'a [usize],
    values: FeedValues<'a>,
}

#[derive(Debug, Clone, Copy)]
enum FeedValues<'a> {
    F32(&'a [f32]),
    I64(&'a [i64]),
    I32(&'a [i32]),
    U8(&'a [u8]),
    Bool(&'a [bool]),
}

impl<'a> Feed<'a> {
    /// Creates an input of `f32`.
    pub fn f32(name: &'a str, dims: &'a [usize], values: &'a [f32]) -> Self {
        Self {
            name,
            dims,
            values: FeedValues::F32(values),
        }
    }

    /// Creates an input of `i64`.
    pub fn i64(name: &'a str, dims: &'a [usize], values: &'a [i64]) -> Self {
        Self {
            name,
            dims,
            values: FeedValues::I64(values),
        }
    }

    /// Creates an input of `i32`.
    pub fn i32(name: &'a str, dims: &'a [usize], values: &'a [i32]) -> Self {
        Self {
            name,
            dims,
            values: FeedValues::I32(values),
        }
    }

    /// Creates an input of `u8`.
    pub fn u8(name: &'a str, dims: &'a [usize], values: &'a [u8]) -> Self {
        Self {
            name,
            dims,
            values: FeedValues::U8(values),
        }
    }

    /// Creates an input of `bool`.
    pub fn bool(name: &'a str, dims: &'a [usize], values: &'a [bool]) -> Self {
        Self {
            name,
            dims,
            values: FeedValues::Bool(values),
        }
    }

    /// Returns the input's name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    pub(crate) fn value(&self) -> Result<SessionInputValue<'a>, RuntimeError> {
        match self.values {
            FeedValues::F32(values) => input(self.dims, values),
            FeedValues::I64(values) => input(self.dims, values),
            FeedValues::I32(values) => input(self.dims, values),
            FeedValues::U8(values) => input(self.dims, values),
            FeedValues::Bool(values) => input(self.dims, values),
        }
    }
}

fn input<'a, T>(dims: &'a [usize], values: &'a [T]) -> Result<SessionInputValue<'a>, RuntimeError>
where
    T: PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
{
    Ok(TensorRef::from_array_view((dims, values))
        .map_err(RuntimeError::run)?
        .into())
}

/// A tensor with a name that owns its elements.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// The name of the input.
    pub name: String,
    /// Its dimensions.
    pub dims: Vec<usize>,
    values: Values,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    F32(Vec<f32>),
    I64(Vec<i64>),
}

impl NamedTensor {
    /// Creates a tensor of `f32`.
    pub fn f32(name: impl Into<String>, dims: &[usize], values: Vec<f32>) -> Self {
        Self {
            name: name.into(),
            dims: dims.to_vec(),
            values: Values::F32(values),
        }
    }

    /// Creates a tensor of `i64`.
    pub fn i64(name: impl Into<String>, dims: &[usize], values: Vec<i64>) -> Self {
        Self {
            name: name.into(),
            dims: dims.to_vec(),
            values: Values::I64(values),
        }
    }

    /// Returns the elements, if they are `f32`.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.values {
            Values::F32(values) => Some(values),
            Values::I64(_) => None,
        }
    }

    /// Returns the elements, if they are `i64`.
    pub fn as_i64(&self) -> Option<&[i64]> {
        match &self.values {
            Values::I64(values) => Some(values),
            Values::F32(_) => None,
        }
    }

    /// Returns the tensor as a session takes it.
    pub fn feed(&self) -> Feed<'_> {
        match &self.values {
            Values::F32(values) => Feed::f32(&self.name, &self.dims, values),
            Values::I64(values) => Feed::i64(&self.name, &self.dims, values),
        }
    }
}
