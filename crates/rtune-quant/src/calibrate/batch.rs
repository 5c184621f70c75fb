//! Inputs of one run of a model, as plain named tensors.

use rtune_graph::ElementType;
use rtune_runtime::Feed;
use std::path::PathBuf;

/// Name of the input that says which tokens are padding: 0 for padding, anything else for a token.
/// It is the name that Hugging Face's models use.
pub(crate) const MASK_INPUT: &str = "attention_mask";

/// Inputs of one run of a model: a tensor for each input.
///
/// ```
/// use rtune_quant::{Batch, Values};
///
/// let batch = Batch::new(2)
///     .tensor("input_ids", [2, 3], Values::I64(vec![101, 7, 102, 101, 102, 0]))
///     .tensor("attention_mask", [2, 3], Values::I64(vec![1, 1, 1, 1, 1, 0]));
/// assert_eq!(batch.feeds().len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    samples: usize,
    pub(crate) origin: Option<PathBuf>,
    tensors: Vec<Named>,
}

#[derive(Debug, Clone, PartialEq)]
struct Named {
    name: String,
    dims: Vec<usize>,
    values: Values,
}

/// Elements of an input, in row-major order.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the variants are the element types")]
pub enum Values {
    F32(Vec<f32>),
    I64(Vec<i64>),
    I32(Vec<i32>),
    U8(Vec<u8>),
    Bool(Vec<bool>),
}

impl Batch {
    /// A batch without tensors, which stands for `samples` texts or files in progress and reports.
    pub fn new(samples: usize) -> Self {
        Self {
            samples,
            origin: None,
            tensors: Vec::new(),
        }
    }

    /// Adds the tensor for the input `name`.
    ///
    /// # Shapes
    /// values `[product of dims]`
    #[must_use]
    pub fn tensor(
        mut self,
        name: impl Into<String>,
        dims: impl Into<Vec<usize>>,
        values: Values,
    ) -> Self {
        self.tensors.push(Named {
            name: name.into(),
            dims: dims.into(),
            values,
        });
        self
    }

    /// Number of texts or files that the batch stands for.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The tensors as a session takes them.
    pub fn feeds(&self) -> Vec<Feed<'_>> {
        self.tensors.iter().map(Named::feed).collect()
    }

    /// True for each token and false for each padding position, from the integer or boolean tensor
    /// `attention_mask`; `None` without one.
    ///
    /// # Shapes
    /// → `[batch · sequence]`
    pub(crate) fn mask(&self) -> Option<Vec<bool>> {
        let mask = self.tensors.iter().find(|t| t.name == MASK_INPUT)?;
        match &mask.values {
            Values::I64(mask) => Some(mask.iter().map(|m| *m != 0).collect()),
            Values::I32(mask) => Some(mask.iter().map(|m| *m != 0).collect()),
            Values::U8(mask) => Some(mask.iter().map(|m| *m != 0).collect()),
            Values::Bool(mask) => Some(mask.clone()),
            Values::F32(_) => None,
        }
    }
}

impl Named {
    fn feed(&self) -> Feed<'_> {
        let Self { name, dims, values } = self;
        match values {
            Values::F32(values) => Feed::f32(name, dims, values),
            Values::I64(values) => Feed::i64(name, dims, values),
            Values::I32(values) => Feed::i32(name, dims, values),
            Values::U8(values) => Feed::u8(name, dims, values),
            Values::Bool(values) => Feed::bool(name, dims, values),
        }
    }
}

impl Values {
    /// The type of the elements.
    pub fn element_type(&self) -> ElementType {
        match self {
            Self::F32(_) => ElementType::Float32,
            Self::I64(_) => ElementType::Int64,
            Self::I32(_) => ElementType::Int32,
            Self::U8(_) => ElementType::Uint8,
            Self::Bool(_) => ElementType::Bool,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_of_every_integer_type_are_read_and_float_masks_are_not() {
        for (values, expected) in [
            (Values::I64(vec![1, 0, 1]), Some(vec![true, false, true])),
            (Values::I32(vec![0, 2, 0]), Some(vec![false, true, false])),
            (Values::U8(vec![1, 1, 0]), Some(vec![true, true, false])),
            (
                Values::Bool(vec![true, false, false]),
                Some(vec![true, false, false]),
            ),
            (Values::F32(vec![1.0, 0.0, 0.0]), None),
        ] {
            let batch = Batch::new(1).tensor("attention_mask", [1, 3], values);
            assert_eq!(batch.mask(), expected);
        }
        let other = Batch::new(1).tensor("mask", [1], Values::I64(vec![1]));
        assert_eq!(other.mask(), None);
    }
}
