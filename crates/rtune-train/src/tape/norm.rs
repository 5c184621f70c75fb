//! Normalizations.

use super::{Tape, TapeValue};
use crate::kernels;
use rtune_nn::{Eager, Ops as _, Param, Result};

impl Tape {
    pub(super) fn record_layer_norm(
        &self,
        x: &TapeValue,
        weight: &Param,
        bias: Option<&Param>,
        epsilon: f64,
    ) -> Result<TapeValue> {
        let output = Eager::new().layer_norm(&x.tensor, weight, bias, epsilon)?;
        let weight_leaf = self.param(weight)?;
        let bias_leaf = bias.map(|bias| self.param(bias)).transpose()?;
        let (input, weight) = (x.tensor.clone(), weight.value().clone());
        let mut inputs = vec![x, &weight_leaf];
        inputs.extend(&bias_leaf);
        let count = inputs.len();
        Ok(self.record(&inputs, output, move |gradient, flow| {
            kernels::layer_norm_backward(&input, &weight, gradient, epsilon)?
                .into_iter()
                .take(count)
                .enumerate()
                .try_for_each(|(index, gradient)| flow.add(index, || Ok(gradient)))
        }))
    }
}
