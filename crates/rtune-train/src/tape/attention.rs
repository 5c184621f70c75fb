//! Attention as one operation.

use super::{Array, Tape, TapeValue, kernel};
use rtune_kernels::cpu;
use rtune_nn::{Attention, Result, TokenSequences};

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
        if !has_kernel(spec) || !inputs.iter().all(|input| input.array.is_host()) {
            return Ok(None);
        }
        let dropout = match self.next_dropout().filter(|_| spec.dropout > 0.0) {
            Some(key) => Some(cpu::Dropout::new(spec.dropout, key).map_err(kernel)?),
            None => None,
        };
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
}
