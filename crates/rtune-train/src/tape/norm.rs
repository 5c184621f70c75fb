//! Normalizations.

use super::activation::last;
use super::formulas;
use super::{Arena, Array, Tape, TapeValue, elements, kernel};
use candle_core::Tensor;
use rtune_kernels::cpu::{self, NormGradients};
use rtune_nn::{Eager, NnError, Ops as _, Param, Result};

impl Tape {
    pub(super) fn record_layer_norm(
        &self,
        x: &TapeValue,
        weight: &Param,
        bias: Option<&Param>,
        epsilon: f64,
    ) -> Result<TapeValue> {
        let width = weight.value().elem_count();
        if last(&x.array)? != width {
            return Err(NnError::operation(format!(
                "normalization `{}`: the input has shape {:?}, expected a last axis of {width}",
                weight.name(),
                x.array.dims()
            )));
        }
        let host = x.array.is_host();
        let output = if host {
            let dims = x.array.dims();
            let (x, weight) = (x.array.elements()?, elements(weight.value())?);
            let bias = bias.map(|bias| elements(bias.value())).transpose()?;
            let epsilon = epsilon as f32;
            self.filled(dims, |y| {
                cpu::layer_norm(&x, &weight, bias.as_deref(), epsilon, y)
            })?
        } else {
            Eager::new()
                .layer_norm(x.tensor()?, weight, bias, epsilon)?
                .into()
        };
        let weight_leaf = self.param(weight)?;
        let bias_leaf = bias.map(|bias| self.param(bias)).transpose()?;
        let (input, weight) = (x.array.clone(), weight.value().clone());
        let mut inputs = vec![x, &weight_leaf];
        inputs.extend(&bias_leaf);
        let count = inputs.len();
        Ok(self.record_array(&inputs, output, move |gradient, flow| {
            let gradients = if host {
                on_host(&input, &weight, &gradient, epsilon as f32, flow.arena())?
            } else {
                let (x, gradient) = (input.tensor()?, gradient.tensor()?);
                formulas::layer_norm_backward(x, &weight, gradient, epsilon)?.map(Array::from)
            };
            let mut gradients = gradients.into_iter().take(count).enumerate();
            gradients.try_for_each(|(index, gradient)| flow.add(index, || Ok(gradient)))
        }))
    }
}

/// Returns the gradients for x, weight and bias, in memory of the arena.
fn on_host(
    input: &Array,
    weight: &Tensor,
    gradient: &Array,
    epsilon: f32,
    arena: &Arena,
) -> Result<[Array; 3]> {
    let width = weight.elem_count();
    let mut buffers = [input.elem_count(), width, width].map(|n| arena.take(n));
    let [x, weight_sum, bias_sum] = &mut buffers;
    let output = NormGradients {
        x,
        weight: weight_sum,
        bias: bias_sum,
    };
    let (x, weight, gradient) = (input.elements()?, elements(weight)?, gradient.elements()?);
    cpu::layer_norm_backward(&x, &weight, &gradient, epsilon, output).map_err(kernel)?;
    let [x, weight, bias] = buffers;
    Ok([
        Array::new(input.dims(), x),
        Array::new([width], weight),
        Array::new([width], bias),
    ])
}
