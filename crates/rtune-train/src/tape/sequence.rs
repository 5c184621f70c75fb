//! The token layout.

use super::activation::last;
use super::attention::offsets;
use super::{Array, Tape, TapeValue};
use rtune_kernels::cpu;
use rtune_nn::{
    Attention, Positions, Result, SequenceOps, TokenSequences, attention_by_operations,
};

/// Returns the dimensions of one row for each sequence.
fn pooled(hidden: &Array, sequences: &TokenSequences) -> Result<[usize; 2]> {
    Ok([sequences.grid()[0], last(hidden)?])
}

/// Returns the mask of padding, if there is padding.
fn mask(sequences: &TokenSequences) -> Option<Array> {
    sequences
        .packed_lengths()
        .is_none()
        .then(|| Array::from(sequences.mask().clone()))
}

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
        let output = sequences.split_heads(x.tensor()?, heads, head_dim)?;
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
        let output = sequences.merge_heads(x.tensor()?, heads, head_dim)?;
        let sequences = sequences.clone();
        self.one(x, output, move |g| {
            sequences.merge_heads_backward(g, heads, head_dim)
        })
    }

    fn mean_pool(&self, hidden: &TapeValue, sequences: &TokenSequences) -> Result<TapeValue> {
        let (input, sequences) = (hidden.array.clone(), sequences.clone());
        if !input.is_host() {
            let output = sequences.mean_pool(hidden.tensor()?)?;
            return self.one(hidden, output, move |g| sequences.mean_pool_backward(g));
        }
        let (dims, width) = (pooled(&input, &sequences)?, last(&input)?);
        let (starts, mask) = (offsets(&sequences), mask(&sequences));
        let output = {
            let (input, mask) = (
                input.elements()?,
                mask.as_ref().map(Array::elements).transpose()?,
            );
            self.filled(&dims, |y| {
                cpu::mean_pool(&input, width, &starts, mask.as_deref(), y)
            })?
        };
        let input_dims = input.dims().to_vec();
        Ok(self.record_array(&[hidden], output, move |gradient, flow| {
            let gradient = gradient.elements()?;
            let mask = mask.as_ref().map(Array::elements).transpose()?;
            flow.fill(0, &input_dims, |x| {
                cpu::mean_pool_backward(&gradient, width, &starts, mask.as_deref(), x)
            })
        }))
    }

    fn first_pool(&self, hidden: &TapeValue, sequences: &TokenSequences) -> Result<TapeValue> {
        let (input, sequences) = (hidden.array.clone(), sequences.clone());
        if !input.is_host() {
            let output = sequences.first_pool(hidden.tensor()?)?;
            return self.one(hidden, output, move |g| {
                sequences.first_pool_backward(g, input.tensor()?)
            });
        }
        let (dims, width) = (pooled(&input, &sequences)?, last(&input)?);
        let starts = offsets(&sequences);
        let elements = hidden.array.elements()?;
        let output = self.filled(&dims, |y| cpu::first_pool(&elements, width, &starts, y))?;
        let input_dims = input.dims().to_vec();
        Ok(self.record_array(&[hidden], output, move |gradient, flow| {
            let gradient = gradient.elements()?;
            flow.fill(0, &input_dims, |x| {
                cpu::first_pool_backward(&gradient, width, &starts, x)
            })
        }))
    }

    fn attention(
        &self,
        query: &TapeValue,
        key: &TapeValue,
        value: &TapeValue,
        spec: &Attention,
        sequences: &TokenSequences,
    ) -> Result<TapeValue> {
        let inputs = [query, key, value];
        match self.record_attention(inputs, spec, sequences)? {
            Some(output) => Ok(output),
            None => attention_by_operations(self, inputs, spec, sequences),
        }
    }
}
