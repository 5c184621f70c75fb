//! Methods of values that know the token layout.

use super::Var;
use crate::{Attention, Result, Rotary, SequenceOps};

impl<O: SequenceOps> Var<'_, O> {
    /// The heads of each sequence side by side; see [`SequenceOps::split_heads`].
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn split_heads(
        &self,
        heads: usize,
        head_dim: usize,
        sequences: &O::Sequences,
    ) -> Result<Self> {
        self.wrap(
            self.ops
                .split_heads(&self.value, heads, head_dim, sequences),
        )
    }

    /// Undoes [`Var::split_heads`].
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn merge_heads(
        &self,
        heads: usize,
        head_dim: usize,
        sequences: &O::Sequences,
    ) -> Result<Self> {
        self.wrap(
            self.ops
                .merge_heads(&self.value, heads, head_dim, sequences),
        )
    }

    /// Turns pairs of elements by their position; see [`SequenceOps::rotate`].
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn rotate(
        &self,
        head_dim: usize,
        rotary: &Rotary,
        sequences: &O::Sequences,
    ) -> Result<Self> {
        self.wrap(self.ops.rotate(&self.value, head_dim, rotary, sequences))
    }

    /// Attention of this query; see [`SequenceOps::attention`].
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn attention(
        &self,
        key: &Self,
        value: &Self,
        spec: &Attention,
        sequences: &O::Sequences,
    ) -> Result<Self> {
        self.wrap(
            self.ops
                .attention(&self.value, &key.value, &value.value, spec, sequences),
        )
    }

    /// The mean of each sequence's tokens.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn mean_pool(&self, sequences: &O::Sequences) -> Result<Self> {
        self.wrap(self.ops.mean_pool(&self.value, sequences))
    }

    /// The first token of each sequence.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn first_pool(&self, sequences: &O::Sequences) -> Result<Self> {
        self.wrap(self.ops.first_pool(&self.value, sequences))
    }
}
