//! Elementwise operations on two inputs, and the choice between two.

use super::formulas;
use super::{Tape, TapeValue};
use candle_core::Tensor;
use rtune_kernels::cpu;
use rtune_nn::{BinaryOp, Eager, Ops as _, Result};

/// Sums over the axes that broadcasting repeated, so that the gradient has the input's shape.
pub(super) fn unbroadcast(gradient: &Tensor, dims: &[usize]) -> Result<Tensor> {
    if gradient.dims() == dims {
        return Ok(gradient.clone());
    }
    // A bias of one axis is the common case.
    if let [width] = dims
        && gradient.dims().last() == Some(width)
    {
        return formulas::column_sum(gradient);
    }
    let extra = gradient.rank() - dims.len();
    let mut sum = gradient.clone();
    for _ in 0..extra {
        sum = sum.sum(0)?;
    }
    for (axis, size) in dims.iter().enumerate() {
        if *size == 1 && sum.dim(axis)? != 1 {
            sum = sum.sum_keepdim(axis)?;
        }
    }
    Ok(sum)
}

/// The gradient of an elementwise operation for one input, still broadcast.
type Side = Box<dyn FnOnce(&Tensor) -> Result<Tensor>>;

/// The gradients of `op` for both inputs.
fn backward(op: BinaryOp, a: &Tensor, b: &Tensor, output: &Tensor) -> (Side, Side) {
    let (left, right, output) = (a.clone(), b.clone(), output.clone());
    let same: fn(&Tensor) -> Result<Tensor> = |g| Ok(g.clone());
    match op {
        BinaryOp::Add => (Box::new(same), Box::new(same)),
        BinaryOp::Sub => (Box::new(same), Box::new(|g| Ok(g.neg()?))),
        BinaryOp::Mul => (
            Box::new(move |g| Ok(g.broadcast_mul(&right)?)),
            Box::new(move |g| Ok(g.broadcast_mul(&left)?)),
        ),
        BinaryOp::Div => {
            let divisor = right.clone();
            (
                Box::new(move |g| Ok(g.broadcast_div(&divisor)?)),
                Box::new(move |g| Ok(g.mul(&output)?.broadcast_div(&right)?.neg()?)),
            )
        }
        // Equal elements share the gradient.
        BinaryOp::Maximum | BinaryOp::Minimum => {
            let part = |own: Tensor, other: Tensor| -> Side {
                Box::new(move |g| {
                    let wins = match op {
                        BinaryOp::Maximum => own.broadcast_gt(&other)?,
                        _ => own.broadcast_lt(&other)?,
                    };
                    let ties = own.broadcast_eq(&other)?.to_dtype(g.dtype())?;
                    let share = (wins.to_dtype(g.dtype())? + (ties * 0.5)?)?;
                    Ok(g.mul(&share)?)
                })
            };
            (
                part(left.clone(), right.clone()),
                part(right.clone(), left.clone()),
            )
        }
    }
}

impl Tape {
    /// Records an operation on two inputs that may be broadcast.
    pub(super) fn two(
        &self,
        a: &TapeValue,
        b: &TapeValue,
        output: Tensor,
        to_a: impl FnOnce(&Tensor) -> Result<Tensor> + 'static,
        to_b: impl FnOnce(&Tensor) -> Result<Tensor> + 'static,
    ) -> Result<TapeValue> {
        let (a_dims, b_dims) = (a.array.dims().to_vec(), b.array.dims().to_vec());
        Ok(self.record(&[a, b], output, move |gradient, flow| {
            flow.add(0, || unbroadcast(&to_a(gradient)?, &a_dims))?;
            flow.add(1, || unbroadcast(&to_b(gradient)?, &b_dims))
        }))
    }

    pub(super) fn record_binary(
        &self,
        op: BinaryOp,
        a: &TapeValue,
        b: &TapeValue,
    ) -> Result<TapeValue> {
        let same = a.array.dims() == b.array.dims();
        if op == BinaryOp::Add && same && a.array.is_host() && b.array.is_host() {
            return self.record_sum(a, b);
        }
        let output = Eager::new().binary(op, a.tensor()?, b.tensor()?)?;
        let (to_a, to_b) = backward(op, a.tensor()?, b.tensor()?, &output);
        self.two(a, b, output, to_a, to_b)
    }

    /// Records the sum of two arrays of one shape in memory.
    fn record_sum(&self, a: &TapeValue, b: &TapeValue) -> Result<TapeValue> {
        let (left, right) = (a.array.elements()?, b.array.elements()?);
        let output = self.filled(a.array.dims(), |y| cpu::add(&left, &right, y))?;
        Ok(self.record_array(&[a, b], output, |gradient, flow| {
            flow.add(0, || Ok(gradient.clone()))?;
            flow.add(1, || Ok(gradient))
        }))
    }

    pub(super) fn record_where(
        &self,
        condition: &TapeValue,
        yes: &TapeValue,
        no: &TapeValue,
    ) -> Result<TapeValue> {
        let condition = condition.tensor()?.clone();
        let output = Eager::new().where_cond(&condition, yes.tensor()?, no.tensor()?)?;
        let other = condition.clone();
        self.two(
            yes,
            no,
            output,
            move |g| Eager::new().where_cond(&condition, g, &g.zeros_like()?),
            move |g| Eager::new().where_cond(&other, &g.zeros_like()?, g),
        )
    }
}
