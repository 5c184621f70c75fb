//! Elementwise operations on one input.

use crate::{Kind, Result, UnaryOp};
use candle_core::{DType, Tensor};

pub(super) fn unary(op: UnaryOp, x: &Tensor) -> Result<Tensor> {
    Ok(match op {
        UnaryOp::Abs => x.abs()?,
        UnaryOp::Ceil => x.ceil()?,
        UnaryOp::Cos => x.cos()?,
        UnaryOp::Erf => x.erf()?,
        UnaryOp::Exp => x.exp()?,
        UnaryOp::Floor => x.floor()?,
        UnaryOp::Log => x.log()?,
        UnaryOp::Neg => x.neg()?,
        UnaryOp::Recip => x.recip()?,
        UnaryOp::Relu => x.relu()?,
        UnaryOp::Sigmoid => candle_nn::ops::sigmoid(x)?,
        UnaryOp::Sign => x.sign()?,
        UnaryOp::Sin => x.sin()?,
        UnaryOp::Sqrt => x.sqrt()?,
        UnaryOp::Tanh => x.tanh()?,
    })
}

pub(super) fn cast(x: &Tensor, kind: Kind) -> Result<Tensor> {
    Ok(match kind {
        Kind::Float => x.to_dtype(DType::F32)?,
        Kind::Int => x.to_dtype(DType::U32)?,
        Kind::Bool => x.ne(0_f64)?,
    })
}
