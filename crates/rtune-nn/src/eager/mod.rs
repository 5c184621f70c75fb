//! The interpreter that computes with candle; its files mirror those of `ops`.

mod binary;
mod compare;
mod index;
mod layout;
mod linear;
mod sequence;
mod unary;

use crate::{
    Axis, BinaryOp, CompareOp, Constant, CustomOp, Extent, Kind, Operation, Ops, Param, ReduceOp,
    Result, Scopes, UnaryOp,
};
use candle_core::Tensor;
use std::cell::RefCell;

/// Computes with candle, without gradients: the reference that other interpreters are compared
/// with.
#[derive(Debug, Default)]
pub struct Eager {
    scopes: Option<Scopes>,
    trace: RefCell<Vec<(String, Tensor)>>,
}

impl Eager {
    /// An interpreter that only computes.
    pub fn new() -> Self {
        Self::default()
    }

    /// An interpreter that also keeps every result under its name; see [`Eager::into_trace`].
    pub fn traced() -> Self {
        Self {
            scopes: Some(Scopes::default()),
            trace: RefCell::default(),
        }
    }

    /// The results in the order of computation, each under the name that the recorder gives it in
    /// a graph.
    pub fn into_trace(self) -> Vec<(String, Tensor)> {
        self.trace.into_inner()
    }

    fn note(&self, operation: impl Into<Operation>, value: Tensor) -> Result<Tensor> {
        Ok(self.keep(value, |scopes| scopes.name(operation)))
    }

    fn note_module(&self, param: &Param, value: Tensor) -> Result<Tensor> {
        Ok(self.keep(value, |scopes| scopes.module(param)))
    }

    fn keep(&self, value: Tensor, name: impl FnOnce(&Scopes) -> String) -> Tensor {
        if let Some(scopes) = &self.scopes {
            self.trace.borrow_mut().push((name(scopes), value.clone()));
        }
        value
    }
}

impl Ops for Eager {
    type Value = Tensor;

    fn scopes(&self) -> Option<&Scopes> {
        self.scopes.as_ref()
    }
    fn param(&self, param: &Param) -> Result<Tensor> {
        Ok(param.value().clone())
    }
    fn constant(&self, constant: &Constant, near: &Tensor) -> Result<Tensor> {
        constant.tensor(near.device())
    }

    fn unary(&self, op: UnaryOp, x: &Tensor) -> Result<Tensor> {
        self.note(op, unary::unary(op, x)?)
    }
    fn binary(&self, op: BinaryOp, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.note(op, binary::binary(op, a, b)?)
    }
    fn compare(&self, op: CompareOp, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.note(op, compare::compare(op, a, b)?)
    }
    fn where_cond(&self, condition: &Tensor, yes: &Tensor, no: &Tensor) -> Result<Tensor> {
        self.note(Operation::Where, compare::where_cond(condition, yes, no)?)
    }
    fn cast(&self, x: &Tensor, kind: Kind) -> Result<Tensor> {
        self.note(Operation::Cast, unary::cast(x, kind)?)
    }
    fn affine(&self, x: &Tensor, multiply: f64, add: f64) -> Result<Tensor> {
        self.note(Operation::Affine, x.affine(multiply, add)?)
    }
    fn reduce(&self, op: ReduceOp, x: &Tensor, axis: Axis) -> Result<Tensor> {
        let axis = axis.index(x.rank())?;
        let value = match op {
            ReduceOp::Sum => x.sum_keepdim(axis)?,
            ReduceOp::Mean => x.mean_keepdim(axis)?,
            ReduceOp::Max => x.max_keepdim(axis)?,
            ReduceOp::Min => x.min_keepdim(axis)?,
        };
        self.note(op, value)
    }
    fn matmul(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.note(Operation::MatMul, a.broadcast_matmul(b)?)
    }

    fn permute(&self, x: &Tensor, order: &[usize]) -> Result<Tensor> {
        self.note(Operation::Transpose, x.permute(order)?.contiguous()?)
    }
    fn transpose(&self, x: &Tensor, first: Axis, second: Axis) -> Result<Tensor> {
        self.note(
            Operation::Transpose,
            layout::transpose(x, first, second)?.contiguous()?,
        )
    }
    fn reshape(&self, x: &Tensor, shape: &[Extent]) -> Result<Tensor> {
        self.note(Operation::Reshape, layout::reshape(x, shape)?)
    }
    fn unsqueeze(&self, x: &Tensor, axis: Axis) -> Result<Tensor> {
        self.note(
            Operation::Unsqueeze,
            x.unsqueeze(axis.index(x.rank() + 1)?)?,
        )
    }
    fn squeeze(&self, x: &Tensor, axis: Axis) -> Result<Tensor> {
        self.note(Operation::Squeeze, layout::squeeze(x, axis)?)
    }
    fn narrow(&self, x: &Tensor, axis: Axis, start: usize, length: usize) -> Result<Tensor> {
        let part = x.narrow(axis.index(x.rank())?, start, length)?;
        self.note(Operation::Narrow, part.contiguous()?)
    }
    fn cat(&self, parts: &[&Tensor], axis: Axis) -> Result<Tensor> {
        self.note(Operation::Cat, layout::cat(parts, axis)?)
    }

    fn gather(&self, table: &Tensor, ids: &Tensor) -> Result<Tensor> {
        self.note(Operation::Gather, index::gather(table, ids)?)
    }
    fn gather_last(&self, x: &Tensor, ids: &Tensor) -> Result<Tensor> {
        self.note(Operation::GatherLast, index::gather_last(x, ids)?)
    }

    fn custom(&self, op: &CustomOp, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let inputs: Vec<Tensor> = inputs.iter().map(|x| (*x).clone()).collect();
        let outputs = op.compute(&inputs)?;
        if let (Some(scopes), Some(first)) = (&self.scopes, outputs.first()) {
            let name = scopes.custom(op);
            self.trace.borrow_mut().push((name, first.clone()));
        }
        Ok(outputs)
    }

    fn linear(&self, x: &Tensor, weight: &Param, bias: Option<&Param>) -> Result<Tensor> {
        self.note_module(
            weight,
            linear::linear(x, weight.value(), bias.map(Param::value))?,
        )
    }
    fn layer_norm(
        &self,
        x: &Tensor,
        weight: &Param,
        bias: Option<&Param>,
        epsilon: f64,
    ) -> Result<Tensor> {
        let x = x.contiguous()?;
        let zeros = match bias {
            Some(bias) => bias.value().clone(),
            None => weight.value().zeros_like()?,
        };
        let value = candle_nn::ops::layer_norm(&x, weight.value(), &zeros, epsilon as f32)?;
        self.note_module(weight, value)
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the operation that the lint asks for; the tape has its own gradient"
    )]
    fn rms_norm(&self, x: &Tensor, weight: &Param, epsilon: f64) -> Result<Tensor> {
        let x = x.contiguous()?;
        let value = candle_nn::ops::rms_norm(&x, weight.value(), epsilon as f32)?;
        self.note_module(weight, value)
    }
    fn gelu_erf(&self, x: &Tensor) -> Result<Tensor> {
        self.note(Operation::GeluErf, x.gelu_erf()?)
    }
    fn softmax(&self, x: &Tensor) -> Result<Tensor> {
        let value = candle_nn::ops::softmax_last_dim(&x.contiguous()?)?;
        self.note(Operation::Softmax, value)
    }
    fn embedding(&self, ids: &Tensor, table: &Param) -> Result<Tensor> {
        self.note_module(table, index::gather(table.value(), ids)?)
    }
}
