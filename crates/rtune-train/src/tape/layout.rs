//! The same elements in another order or shape.

use super::{Tape, TapeValue};
use candle_core::Tensor;
use rtune_nn::{Axis, Eager, Ops as _, Result};

impl Tape {
    pub(super) fn record_permute(&self, x: &TapeValue, order: &[usize]) -> Result<TapeValue> {
        let output = x.tensor()?.permute(order)?;
        let mut inverse = vec![0; order.len()];
        for (to, from) in order.iter().enumerate() {
            inverse[*from] = to;
        }
        self.one(x, output, move |g| Ok(g.permute(inverse)?))
    }

    pub(super) fn record_transpose(
        &self,
        x: &TapeValue,
        first: Axis,
        second: Axis,
    ) -> Result<TapeValue> {
        let rank = x.tensor()?.rank();
        let (first, second) = (first.index(rank)?, second.index(rank)?);
        self.one(x, x.tensor()?.transpose(first, second)?, move |g| {
            Ok(g.transpose(first, second)?)
        })
    }

    /// Records an operation that keeps the order of the elements.
    pub(super) fn record_shape(&self, x: &TapeValue, output: Tensor) -> Result<TapeValue> {
        let dims = x.array.dims().to_vec();
        Ok(self.record_array(&[x], output, move |gradient, flow| {
            flow.add(0, || gradient.reshape(&dims))
        }))
    }

    pub(super) fn record_narrow(
        &self,
        x: &TapeValue,
        axis: Axis,
        start: usize,
        length: usize,
    ) -> Result<TapeValue> {
        let output = Eager::new().narrow(x.tensor()?, axis, start, length)?;
        let axis = axis.index(x.tensor()?.rank())?;
        let behind = x.tensor()?.dim(axis)? - start - length;
        self.one(x, output, move |g| {
            Ok(g.pad_with_zeros(axis, start, behind)?)
        })
    }

    pub(super) fn record_cat(&self, parts: &[&TapeValue], axis: Axis) -> Result<TapeValue> {
        let tensors = parts
            .iter()
            .map(|part| part.tensor())
            .collect::<Result<Vec<&Tensor>>>()?;
        let output = Eager::new().cat(&tensors, axis)?;
        let axis = axis.index(output.rank())?;
        let lengths = tensors
            .iter()
            .map(|part| part.dim(axis))
            .collect::<candle_core::Result<Vec<_>>>()?;
        Ok(self.record(parts, output, move |gradient, flow| {
            let mut start = 0;
            for (index, length) in lengths.into_iter().enumerate() {
                flow.add(index, || {
                    Ok(gradient.narrow(axis, start, length)?.contiguous()?)
                })?;
                start += length;
            }
            Ok(())
        }))
    }
}
