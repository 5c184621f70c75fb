//! Elementwise operations on one input.

use super::{Tape, TapeValue};
use candle_core::Tensor;
use rtune_nn::{Eager, Ops as _, Result, UnaryOp};
use std::f64::consts::FRAC_2_SQRT_PI;

/// The gradient of `op` at input x with output y: g · y′.
fn backward(op: UnaryOp, x: &Tensor, y: &Tensor, g: &Tensor) -> Result<Tensor> {
    Ok(match op {
        UnaryOp::Abs => g.mul(&x.sign()?)?,
        UnaryOp::Ceil | UnaryOp::Floor | UnaryOp::Sign => g.zeros_like()?,
        UnaryOp::Cos => g.mul(&x.sin()?)?.neg()?,
        UnaryOp::Erf => g.mul(&(x.sqr()?.neg()?.exp()? * FRAC_2_SQRT_PI)?)?,
        UnaryOp::Exp => g.mul(y)?,
        UnaryOp::Log => g.div(x)?,
        UnaryOp::Neg => g.neg()?,
        UnaryOp::Recip => g.mul(&y.sqr()?)?.neg()?,
        UnaryOp::Relu => g.mul(&y.gt(0.0)?.to_dtype(g.dtype())?)?,
        UnaryOp::Sigmoid => g.mul(&y.mul(&y.affine(-1.0, 1.0)?)?)?,
        UnaryOp::Sin => g.mul(&x.cos()?)?,
        UnaryOp::Sqrt => (g.div(y)? * 0.5)?,
        UnaryOp::Tanh => g.mul(&y.sqr()?.affine(-1.0, 1.0)?)?,
    })
}

impl Tape {
    pub(super) fn record_unary(&self, op: UnaryOp, x: &TapeValue) -> Result<TapeValue> {
        let output = Eager::new().unary(op, x.tensor()?)?;
        let (input, result) = (x.tensor()?.clone(), output.clone());
        self.one(x, output, move |g| backward(op, &input, &result, g))
    }
}
