//! Comparisons, and the choice that follows from them.

use crate::{CompareOp, Result};
use candle_core::Tensor;

pub(super) fn compare(op: CompareOp, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(match op {
        CompareOp::Eq => a.broadcast_eq(b)?,
        CompareOp::Ne => a.broadcast_ne(b)?,
        CompareOp::Lt => a.broadcast_lt(b)?,
        CompareOp::Le => a.broadcast_le(b)?,
        CompareOp::Gt => a.broadcast_gt(b)?,
        CompareOp::Ge => a.broadcast_ge(b)?,
    })
}

pub(super) fn where_cond(condition: &Tensor, yes: &Tensor, no: &Tensor) -> Result<Tensor> {
    let shape = yes
        .shape()
        .broadcast_shape_binary_op(no.shape(), "where_cond")?;
    let shape = shape.broadcast_shape_binary_op(condition.shape(), "where_cond")?;
    let [condition, yes, no] = [condition, yes, no].map(|x| x.broadcast_as(&shape));
    Ok(condition?.where_cond(&yes?, &no?)?)
}
