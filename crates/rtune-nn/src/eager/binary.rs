//! Elementwise operations on two inputs.

use crate::{BinaryOp, Result};
use candle_core::Tensor;

pub(super) fn binary(op: BinaryOp, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(match op {
        BinaryOp::Add => a.broadcast_add(b)?,
        BinaryOp::Sub => a.broadcast_sub(b)?,
        BinaryOp::Mul => a.broadcast_mul(b)?,
        BinaryOp::Div => a.broadcast_div(b)?,
        BinaryOp::Maximum => a.broadcast_maximum(b)?,
        BinaryOp::Minimum => a.broadcast_minimum(b)?,
    })
}
