//! Reductions over one axis.

use super::{Tape, TapeValue};
use rtune_nn::{Axis, Eager, Ops as _, ReduceOp, Result};

impl Tape {
    pub(super) fn record_reduce(
        &self,
        op: ReduceOp,
        x: &TapeValue,
        axis: Axis,
    ) -> Result<TapeValue> {
        let output = Eager::new().reduce(op, x.tensor()?, axis)?;
        let axis = axis.index(x.tensor()?.rank())?;
        let shape = x.tensor()?.shape().clone();
        match op {
            ReduceOp::Sum => self.one(x, output, move |g| {
                Ok(g.broadcast_as(shape)?.contiguous()?)
            }),
            ReduceOp::Mean => {
                let share = 1.0 / x.tensor()?.dim(axis)? as f64;
                self.one(x, output, move |g| {
                    Ok((g * share)?.broadcast_as(shape)?.contiguous()?)
                })
            }
            ReduceOp::Max | ReduceOp::Min => {
                let (input, extreme) = (x.tensor()?.clone(), output.clone());
                self.one(x, output, move |g| {
                    let hits = input.broadcast_eq(&extreme)?.to_dtype(g.dtype())?;
                    Ok(hits.broadcast_mul(&g.div(&hits.sum_keepdim(axis)?)?)?)
                })
            }
        }
    }
}
