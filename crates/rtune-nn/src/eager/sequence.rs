//! The token layout of candle tensors.

use super::Eager;
use crate::{Operation, Positions, Result, SequenceOps, TokenSequences};
use candle_core::Tensor;

impl SequenceOps for Eager {
    type Sequences = TokenSequences;

    fn position_ids(&self, positions: Positions, sequences: &TokenSequences) -> Result<Tensor> {
        sequences.position_ids(positions)
    }
    fn grid_positions(&self, sequences: &TokenSequences) -> Result<Tensor> {
        sequences.grid_positions()
    }
    fn mask_bias(&self, sequences: &TokenSequences) -> Result<Tensor> {
        Ok(sequences.mask_bias().clone())
    }
    fn split_heads(
        &self,
        x: &Tensor,
        heads: usize,
        head_dim: usize,
        sequences: &TokenSequences,
    ) -> Result<Tensor> {
        self.note(
            Operation::SplitHeads,
            sequences.split_heads(x, heads, head_dim)?,
        )
    }
    fn merge_heads(
        &self,
        x: &Tensor,
        heads: usize,
        head_dim: usize,
        sequences: &TokenSequences,
    ) -> Result<Tensor> {
        self.note(
            Operation::MergeHeads,
            sequences.merge_heads(x, heads, head_dim)?,
        )
    }
    fn mean_pool(&self, hidden: &Tensor, sequences: &TokenSequences) -> Result<Tensor> {
        self.note(Operation::MeanPool, sequences.mean_pool(hidden)?)
    }
    fn first_pool(&self, hidden: &Tensor, sequences: &TokenSequences) -> Result<Tensor> {
        self.note(Operation::FirstPool, sequences.first_pool(hidden)?)
    }
}
