use super::{
    Axis, BinaryOp, CompareOp, Constant, CustomOp, Extent, Kind, Ops, Positions, ReduceOp,
    SequenceOps, UnaryOp,
};
use crate::{Param, Result, Scopes};

/// An interpreter that forwards the required operations to another one and overrides nothing, so
/// that composites run as their default bodies say. The operation suite compares it with the
/// others: the defaults are a tested specification.
#[derive(Debug, Clone, Default)]
pub struct Plain<O>(pub O);

impl<O: Ops> Ops for Plain<O> {
    type Value = O::Value;

    fn param(&self, param: &Param) -> Result<O::Value> {
        self.0.param(param)
    }
    fn constant(&self, constant: &Constant, near: &O::Value) -> Result<O::Value> {
        self.0.constant(constant, near)
    }
    fn unary(&self, op: UnaryOp, x: &O::Value) -> Result<O::Value> {
        self.0.unary(op, x)
    }
    fn binary(&self, op: BinaryOp, a: &O::Value, b: &O::Value) -> Result<O::Value> {
        self.0.binary(op, a, b)
    }
    fn compare(&self, op: CompareOp, a: &O::Value, b: &O::Value) -> Result<O::Value> {
        self.0.compare(op, a, b)
    }
    fn where_cond(&self, condition: &O::Value, yes: &O::Value, no: &O::Value) -> Result<O::Value> {
        self.0.where_cond(condition, yes, no)
    }
    fn cast(&self, x: &O::Value, kind: Kind) -> Result<O::Value> {
        self.0.cast(x, kind)
    }
    fn affine(&self, x: &O::Value, multiply: f64, add: f64) -> Result<O::Value> {
        self.0.affine(x, multiply, add)
    }
    fn reduce(&self, op: ReduceOp, x: &O::Value, axis: Axis) -> Result<O::Value> {
        self.0.reduce(op, x, axis)
    }
    fn matmul(&self, a: &O::Value, b: &O::Value) -> Result<O::Value> {
        self.0.matmul(a, b)
    }
    fn permute(&self, x: &O::Value, order: &[usize]) -> Result<O::Value> {
        self.0.permute(x, order)
    }
    fn transpose(&self, x: &O::Value, first: Axis, second: Axis) -> Result<O::Value> {
        self.0.transpose(x, first, second)
    }
    fn reshape(&self, x: &O::Value, shape: &[Extent]) -> Result<O::Value> {
        self.0.reshape(x, shape)
    }
    fn unsqueeze(&self, x: &O::Value, axis: Axis) -> Result<O::Value> {
        self.0.unsqueeze(x, axis)
    }
    fn squeeze(&self, x: &O::Value, axis: Axis) -> Result<O::Value> {
        self.0.squeeze(x, axis)
    }
    fn narrow(&self, x: &O::Value, axis: Axis, start: usize, length: usize) -> Result<O::Value> {
        self.0.narrow(x, axis, start, length)
    }
    fn cat(&self, parts: &[&O::Value], axis: Axis) -> Result<O::Value> {
        self.0.cat(parts, axis)
    }
    fn gather(&self, table: &O::Value, ids: &O::Value) -> Result<O::Value> {
        self.0.gather(table, ids)
    }
    fn gather_last(&self, x: &O::Value, ids: &O::Value) -> Result<O::Value> {
        self.0.gather_last(x, ids)
    }
    fn custom(&self, op: &CustomOp, inputs: &[&O::Value]) -> Result<Vec<O::Value>> {
        self.0.custom(op, inputs)
    }
    fn scopes(&self) -> Option<&Scopes> {
        self.0.scopes()
    }
}

impl<O: SequenceOps> SequenceOps for Plain<O> {
    type Sequences = O::Sequences;

    fn position_ids(&self, positions: Positions, sequences: &O::Sequences) -> Result<O::Value> {
        self.0.position_ids(positions, sequences)
    }
    fn grid_positions(&self, sequences: &O::Sequences) -> Result<O::Value> {
        self.0.grid_positions(sequences)
    }
    fn mask_bias(&self, sequences: &O::Sequences) -> Result<O::Value> {
        self.0.mask_bias(sequences)
    }
    fn split_heads(
        &self,
        x: &O::Value,
        heads: usize,
        head_dim: usize,
        sequences: &O::Sequences,
    ) -> Result<O::Value> {
        self.0.split_heads(x, heads, head_dim, sequences)
    }
    fn merge_heads(
        &self,
        x: &O::Value,
        heads: usize,
        head_dim: usize,
        sequences: &O::Sequences,
    ) -> Result<O::Value> {
        self.0.merge_heads(x, heads, head_dim, sequences)
    }
    fn mean_pool(&self, hidden: &O::Value, sequences: &O::Sequences) -> Result<O::Value> {
        self.0.mean_pool(hidden, sequences)
    }
    fn first_pool(&self, hidden: &O::Value, sequences: &O::Sequences) -> Result<O::Value> {
        self.0.first_pool(hidden, sequences)
    }
}
