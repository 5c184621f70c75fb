//! Matrix products and linear layers.

use super::{Tape, TapeValue};
use crate::kernels;
use candle_core::{D, Tensor};
use rtune_nn::{Eager, Ops as _, Param, Result};

fn swap_last(x: &Tensor) -> Result<Tensor> {
    Ok(x.transpose(D::Minus1, D::Minus2)?)
}

impl Tape {
    pub(super) fn record_matmul(&self, a: &TapeValue, b: &TapeValue) -> Result<TapeValue> {
        let output = a.tensor.broadcast_matmul(&b.tensor)?;
        let (left, right) = (a.tensor.clone(), b.tensor.clone());
        self.two(
            a,
            b,
            output,
            move |g| Ok(g.broadcast_matmul(&swap_last(&right)?)?),
            move |g| Ok(swap_last(&left)?.broadcast_matmul(g)?),
        )
    }

    pub(super) fn record_linear(
        &self,
        x: &TapeValue,
        weight: &Param,
        bias: Option<&Param>,
    ) -> Result<TapeValue> {
        let output = Eager::new().linear(&x.tensor, weight, bias)?;
        let weight_leaf = self.param(weight)?;
        let bias_leaf = bias.map(|bias| self.param(bias)).transpose()?;
        let (input, weight) = (x.tensor.clone(), weight.value().clone());
        let mut inputs = vec![x, &weight_leaf];
        inputs.extend(&bias_leaf);
        let has_bias = bias_leaf.is_some();
        Ok(self.record(&inputs, output, move |gradient, flow| {
            let (outputs, width) = weight.dims2()?;
            let rows = input.elem_count() / width;
            let flat = gradient.reshape((rows, outputs))?;
            flow.add(0, || Ok(flat.matmul(&weight)?.reshape(input.shape())?))?;
            flow.add(1, || {
                Ok(flat.t()?.matmul(&input.reshape((rows, width))?)?)
            })?;
            if has_bias {
                flow.add(2, || kernels::column_sum(&flat))
            } else {
                Ok(())
            }
        }))
    }
}
