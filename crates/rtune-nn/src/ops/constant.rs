use crate::{NnError, Result};
use candle_core::{Device, Tensor};

/// The kind of a tensor's elements. How many bits an element has is the interpreter's matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Floating-point numbers.
    Float,
    /// Integers such as token ids; never negative in [`Eager`](crate::Eager).
    Int,
    /// Truth values, the result of comparisons.
    Bool,
}

/// A tensor that belongs to the formula, not to the checkpoint: rotation frequencies, slopes, the
/// buckets of relative positions.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    name: String,
    dims: Vec<usize>,
    values: ConstantValues,
}

/// The elements of a [`Constant`].
#[derive(Debug, Clone, PartialEq)]
pub enum ConstantValues {
    /// Elements of [`Kind::Float`].
    Float(Vec<f32>),
    /// Elements of [`Kind::Int`].
    Int(Vec<u32>),
}

impl Constant {
    /// A constant of [`Kind::Float`]. A recorder names it `name`.
    ///
    /// # Errors
    /// If the number of values does not fill the shape.
    pub fn float(name: impl Into<String>, dims: &[usize], values: Vec<f32>) -> Result<Self> {
        Self::new(
            name.into(),
            dims,
            values.len(),
            ConstantValues::Float(values),
        )
    }

    /// A constant of [`Kind::Int`]. A recorder names it `name`.
    ///
    /// # Errors
    /// If the number of values does not fill the shape.
    pub fn int(name: impl Into<String>, dims: &[usize], values: Vec<u32>) -> Result<Self> {
        Self::new(name.into(), dims, values.len(), ConstantValues::Int(values))
    }

    fn new(name: String, dims: &[usize], count: usize, values: ConstantValues) -> Result<Self> {
        if dims.iter().product::<usize>() != count {
            return Err(NnError::operation(format!(
                "constant `{name}`: {count} values do not fill the shape {dims:?}"
            )));
        }
        Ok(Self {
            name,
            dims: dims.to_vec(),
            values,
        })
    }

    /// The name in a graph.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shape.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// The elements, in row-major order.
    pub fn values(&self) -> &ConstantValues {
        &self.values
    }

    /// The constant as a candle tensor.
    ///
    /// # Errors
    /// If the device has no room for it.
    pub fn tensor(&self, device: &Device) -> Result<Tensor> {
        Ok(match &self.values {
            ConstantValues::Float(values) => {
                Tensor::from_slice(values, self.dims.as_slice(), device)?
            }
            ConstantValues::Int(values) => {
                Tensor::from_slice(values, self.dims.as_slice(), device)?
            }
        })
    }
}
