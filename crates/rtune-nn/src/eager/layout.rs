//! The same elements in another order or shape.

use crate::ops::resolve;
use crate::{Axis, Extent, NnError, Result};
use candle_core::Tensor;

pub(super) fn transpose(x: &Tensor, first: Axis, second: Axis) -> Result<Tensor> {
    Ok(x.transpose(first.index(x.rank())?, second.index(x.rank())?)?)
}

pub(super) fn reshape(x: &Tensor, shape: &[Extent]) -> Result<Tensor> {
    Ok(x.reshape(resolve(x.dims(), shape)?)?)
}

pub(super) fn squeeze(x: &Tensor, axis: Axis) -> Result<Tensor> {
    let axis = axis.index(x.rank())?;
    // candle leaves an axis of another size as it is.
    if x.dim(axis)? != 1 {
        return Err(NnError::operation(format!(
            "squeeze of axis {axis} of a tensor of shape {:?}",
            x.dims()
        )));
    }
    Ok(x.squeeze(axis)?)
}

pub(super) fn cat(parts: &[&Tensor], axis: Axis) -> Result<Tensor> {
    let first = parts
        .first()
        .ok_or_else(|| NnError::operation("cat of no values"))?;
    Ok(Tensor::cat(parts, axis.index(first.rank())?)?)
}
