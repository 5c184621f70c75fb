//! Attention as one operation.

use super::{Array, Tape, TapeValue, kernel};
use crate::cuda;
use candle_core::Tensor;
use rtune_kernels::cpu;
use rtune_nn::{Attention, NnError, Result, TokenSequences};

/// The operands of attention, and what its gradient needs.
struct Pass {
    inputs: [Array; 3],
    spec: Attention,
    offsets: Vec<usize>,
    bias: Option<Array>,
    dropout: Option<cpu::Dropout>,
}

impl Pass {
    /// Calls `f` with the kernel's form of the specification and the inputs.
    fn with<R>(&self, f: impl FnOnce(&cpu::Attention<'_>, [&[f32]; 3]) -> Result<R>) -> Result<R> {
        let [q, k, v] = &self.inputs;
        let (q, k, v) = (q.elements()?, k.elements()?, v.elements()?);
        let bias = self.bias.as_ref().map(Array::elements).transpose()?;
        let attention = cpu::Attention {
            heads: self.spec.heads,
            head_dim: self.spec.head_dim,
            scale: self.spec.scale as f32,
            offsets: &self.offsets,
            bias: bias.as_deref(),
            dropout: self.dropout,
        };
        f(&attention, [&q, &k, &v])
    }
}

/// Returns the first token of each sequence, and the number of tokens.
pub(super) fn offsets(sequences: &TokenSequences) -> Vec<usize> {
    let [batch, sequence] = sequences.grid();
    let mut sum = 0;
    let mut add = |length: usize| {
        sum += length;
        sum
    };
    let ends: Vec<usize> = match sequences.packed_lengths() {
        Some(lengths) => lengths.iter().map(|length| add(*length)).collect(),
        None => (0..batch).map(|_| add(sequence)).collect(),
    };
    std::iter::once(0).chain(ends).collect()
}

/// Returns whether the kernel computes this form of attention.
fn has_kernel(spec: &Attention) -> bool {
    spec.kv_heads == spec.heads
        && spec.window.is_none()
        && spec.bias.is_none()
        && spec.rotary.is_none()
}

impl Tape {
    pub(super) fn record_attention(
        &self,
        [query, key, value]: [&TapeValue; 3],
        spec: &Attention,
        sequences: &TokenSequences,
    ) -> Result<Option<TapeValue>> {
        let inputs = [query, key, value];
        if !has_kernel(spec) {
            return Ok(None);
        }
        if !inputs.iter().all(|input| input.array.is_host()) {
            return self.record_on_device(inputs, spec, sequences);
        }
        let dropout = self.attention_dropout(spec)?;
        let bias = match sequences.packed_lengths() {
            None => Some(Array::from(sequences.mask_bias().clone())),
            Some(_) => None,
        };
        let pass = Pass {
            inputs: inputs.map(|input| input.array.clone()),
            spec: spec.clone(),
            offsets: offsets(sequences),
            bias,
            dropout,
        };
        let dims = query.array.dims().to_vec();
        let mut output = self.arena.take(query.array.elem_count());
        let weights = pass.with(|attention, inputs| {
            let mut weights = self.arena.take(attention.weights_len());
            cpu::attention(attention, inputs, &mut weights, &mut output).map_err(kernel)?;
            Ok(weights)
        })?;
        let output = Array::new(dims.as_slice(), output);
        Ok(Some(self.record_array(
            &inputs,
            output,
            move |gradient, flow| {
                let arena = flow.arena();
                let mut outputs = [0; 3].map(|_| arena.take(gradient.elem_count()));
                pass.with(|attention, inputs| {
                    let gradient = gradient.elements()?;
                    let outputs = outputs.each_mut().map(|buffer| &mut **buffer);
                    cpu::attention_backward(attention, inputs, &weights, &gradient, outputs)
                        .map_err(kernel)
                })?;
                let mut outputs = outputs.into_iter().enumerate();
                outputs.try_for_each(|(index, output)| {
                    flow.add(index, || Ok(Array::new(dims.as_slice(), output)))
                })
            },
        )))
    }

    /// Returns the mask of this step's next attention.
    fn attention_dropout(&self, spec: &Attention) -> Result<Option<cpu::Dropout>> {
        match self.next_dropout().filter(|_| spec.dropout > 0.0) {
            Some(key) => Ok(Some(cpu::Dropout::new(spec.dropout, key).map_err(kernel)?)),
            None => Ok(None),
        }
    }

    /// Records attention over padded tokens on a device that has kernels for it.
    fn record_on_device(
        &self,
        inputs: [&TapeValue; 3],
        spec: &Attention,
        sequences: &TokenSequences,
    ) -> Result<Option<TapeValue>> {
        let heads = Heads::new(spec, sequences);
        let bias = sequences.mask_bias();
        if sequences.packed_lengths().is_some() || !cuda::has_kernels(bias) {
            return Ok(None);
        }
        let [query, key, value] = inputs.map(|input| heads.split(input.tensor()?));
        let (query, key, value) = (query?, key?, value?);
        let (scale, dropout) = (spec.scale, self.attention_dropout(spec)?);
        let scores = query.matmul(&key.transpose(2, 3)?)?;
        let [weights, dropped] = launched(cuda::attention_weights(
            &scores,
            bias,
            scale,
            dropout.as_ref(),
        )?)?;
        let output = heads.merge(&dropped.matmul(&value)?)?;
        let backward = move |gradient: &Tensor, flow: &mut super::Flow<'_>| {
            let gradient = heads.split(gradient)?;
            let by_weights = gradient.matmul(&value.transpose(2, 3)?)?;
            let by_scores =
                cuda::attention_weights_backward(&weights, &by_weights, scale, dropout.as_ref());
            let by_scores = launched(by_scores?)?;
            flow.add(0, || heads.merge(&by_scores.matmul(&key)?))?;
            flow.add(1, || {
                heads.merge(&by_scores.transpose(2, 3)?.matmul(&query)?)
            })?;
            flow.add(2, || {
                heads.merge(&dropped.transpose(2, 3)?.matmul(&gradient)?)
            })
        };
        Ok(Some(self.record(&inputs, output, backward)))
    }
}

/// Returns the result of a kernel on a device that has kernels.
fn launched<T>(result: Option<T>) -> Result<T> {
    result.ok_or_else(|| NnError::operation("attention: a tensor without elements"))
}

/// The heads of padded tokens.
struct Heads {
    grid: [usize; 2],
    count: usize,
    width: usize,
}

impl Heads {
    fn new(spec: &Attention, sequences: &TokenSequences) -> Self {
        Self {
            grid: sequences.grid(),
            count: spec.heads,
            width: spec.head_dim,
        }
    }

    /// `[batch, sequence, heads · width]` → `[batch, heads, sequence, width]`
    fn split(&self, x: &Tensor) -> Result<Tensor> {
        let [batch, sequence] = self.grid;
        let x = x.reshape((batch, sequence, self.count, self.width))?;
        launched(cuda::swap_axes(&x)?)
    }

    /// Undoes `split`.
    fn merge(&self, x: &Tensor) -> Result<Tensor> {
        let [batch, sequence] = self.grid;
        let x = launched(cuda::swap_axes(x)?)?;
        Ok(x.reshape((batch, sequence, self.count * self.width))?)
    }
}
