//! Linear layers as one matrix product over all rows.

use crate::Result;
use candle_core::Tensor;

pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let mut dims = x.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = outputs;
    }
    let rows = x.elem_count().checked_div(inputs).ok_or_else(|| {
        crate::NnError::operation("linear layer without inputs: its weight has width 0")
    })?;
    let product = x.reshape((rows, inputs))?.matmul(&weight.t()?)?;
    let product = match bias {
        Some(bias) => product.broadcast_add(bias)?,
        None => product,
    };
    Ok(product.reshape(dims)?)
}
