//! Elements by their ids.

use crate::Result;
use candle_core::{D, Tensor};

pub(super) fn gather(table: &Tensor, ids: &Tensor) -> Result<Tensor> {
    let mut dims = ids.dims().to_vec();
    dims.extend(&table.dims()[1..]);
    Ok(table.index_select(&ids.flatten_all()?, 0)?.reshape(dims)?)
}

pub(super) fn gather_last(x: &Tensor, ids: &Tensor) -> Result<Tensor> {
    let mut dims = x.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = ids.dim(D::Minus1)?;
    }
    let ids = ids.broadcast_as(dims)?.contiguous()?;
    Ok(x.contiguous()?.gather(&ids, D::Minus1)?)
}
