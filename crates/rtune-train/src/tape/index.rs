//! Elements by their ids.

use super::formulas;
use super::{Tape, TapeValue};
use candle_core::D;
use rtune_kernels::cpu;
use rtune_nn::{Eager, Ops as _, Result};

impl Tape {
    pub(super) fn record_gather(&self, table: &TapeValue, ids: &TapeValue) -> Result<TapeValue> {
        if let (true, [_, width]) = (table.array.is_host(), table.array.dims()) {
            return self.record_rows(table, *width, ids);
        }
        let (table_values, ids) = (table.tensor()?, ids.tensor()?);
        let output = Eager::new().gather(table_values, ids)?;
        let (ids, shape) = (ids.flatten_all()?, table_values.shape().clone());
        let rows = table_values.dim(0)?;
        self.one(table, output, move |g| {
            let gradient = g.reshape((ids.elem_count(), ()))?;
            Ok(formulas::gather_backward(rows, &ids, &gradient)?.reshape(shape)?)
        })
    }

    /// Records the rows of a matrix in memory.
    fn record_rows(&self, table: &TapeValue, width: usize, ids: &TapeValue) -> Result<TapeValue> {
        let mut dims = ids.array.dims().to_vec();
        dims.push(width);
        let ids = ids.tensor()?.flatten_all()?.to_vec1::<u32>()?;
        let elements = table.array.elements()?;
        let output = self.filled(&dims, |y| cpu::embedding(&elements, width, &ids, y))?;
        let table_dims = table.array.dims().to_vec();
        Ok(self.record_array(&[table], output, move |gradient, flow| {
            let gradient = gradient.elements()?;
            flow.fill(0, &table_dims, |x| {
                cpu::embedding_backward(&ids, &gradient, width, x)
            })
        }))
    }

    pub(super) fn record_gather_last(&self, x: &TapeValue, ids: &TapeValue) -> Result<TapeValue> {
        let output = Eager::new().gather_last(x.tensor()?, ids.tensor()?)?;
        let (ids, zeros) = (ids.tensor()?.clone(), x.tensor()?.zeros_like()?);
        self.one(x, output, move |g| {
            let ids = ids.broadcast_as(g.shape())?.contiguous()?;
            Ok(zeros.scatter_add(&ids, &g.contiguous()?, D::Minus1)?)
        })
    }
}
