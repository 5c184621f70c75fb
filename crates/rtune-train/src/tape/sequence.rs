//! The token layout.

use super::{Tape, TapeValue};
use rtune_nn::{Positions, Result, SequenceOps, TokenSequences};

impl SequenceOps for Tape {
    type Sequences = TokenSequences;

    fn position_ids(&self, positions: Positions, sequences: &TokenSequences) -> Result<TapeValue> {
        Ok(TapeValue::constant(sequences.position_ids(positions)?))
    }

    fn grid_positions(&self, sequences: &TokenSequences) -> Result<TapeValue> {
        Ok(TapeValue::constant(sequences.grid_positions()?))
    }

    fn mask_bias(&self, sequences: &TokenSequences) -> Result<TapeValue> {
        Ok(TapeValue::constant(sequences.mask_bias().clone()))
    }

    fn split_heads(
        &self,
        x: &TapeValue,
        heads: usize,
        head_dim: usize,
        sequences: &TokenSequences,
    ) -> Result<TapeValue> {
        let output = sequences.split_heads(&x.tensor, heads, head_dim)?;
        let sequences = sequences.clone();
        self.one(x, output, move |g| {
            sequences.split_heads_backward(g, heads, head_dim)
        })
    }

    fn merge_heads(
        &self,
        x: &TapeValue,
        heads: usize,
        head_dim: usize,
        sequences: &TokenSequences,
    ) -> Result<TapeValue> {
        let output = sequences.merge_heads(&x.tensor, heads, head_dim)?;
        let sequences = sequences.clone();
        self.one(x, output, move |g| {
            sequences.merge_heads_backward(g, heads, head_dim)
        })
    }

    fn mean_pool(&self, hidden: &TapeValue, sequences: &TokenSequences) -> Result<TapeValue> {
        let output = sequences.mean_pool(&hidden.tensor)?;
        let sequences = sequences.clone();
        self.one(hidden, output, move |g| sequences.mean_pool_backward(g))
    }

    fn first_pool(&self, hidden: &TapeValue, sequences: &TokenSequences) -> Result<TapeValue> {
        let output = sequences.first_pool(&hidden.tensor)?;
        let (sequences, like) = (sequences.clone(), hidden.tensor.clone());
        self.one(hidden, output, move |g| {
            sequences.first_pool_backward(g, &like)
        })
    }
}
