//! Elements by their ids.

use super::{Tape, TapeValue};
use crate::kernels;
use candle_core::D;
use rtune_nn::{Eager, Ops as _, Result};

impl Tape {
    pub(super) fn record_gather(&self, table: &TapeValue, ids: &TapeValue) -> Result<TapeValue> {
        let output = Eager::new().gather(&table.tensor, &ids.tensor)?;
        let (ids, shape) = (ids.tensor.flatten_all()?, table.tensor.shape().clone());
        let rows = table.tensor.dim(0)?;
        self.one(table, output, move |g| {
            let gradient = g.reshape((ids.elem_count(), ()))?;
            Ok(kernels::gather_backward(rows, &ids, &gradient)?.reshape(shape)?)
        })
    }

    pub(super) fn record_gather_last(&self, x: &TapeValue, ids: &TapeValue) -> Result<TapeValue> {
        let output = Eager::new().gather_last(&x.tensor, &ids.tensor)?;
        let (ids, zeros) = (ids.tensor.clone(), x.tensor.zeros_like()?);
        self.one(x, output, move |g| {
            let ids = ids.broadcast_as(g.shape())?.contiguous()?;
            Ok(zeros.scatter_add(&ids, &g.contiguous()?, D::Minus1)?)
        })
    }
}
