//! The tape as an interpreter; each operation with its gradient is in the file that `rtune-nn` has
//! for it.

use super::{Array, Tape, TapeValue};
use candle_core::Tensor;
use rtune_nn::{
    Axis, BinaryOp, CompareOp, Constant, CustomOp, Eager, Extent, Kind, Ops, Param, ReduceOp,
    Result, UnaryOp,
};

impl Tape {
    /// Records an operation on one input.
    pub(super) fn one(
        &self,
        x: &TapeValue,
        output: impl Into<Array>,
        backward: impl FnOnce(&Tensor) -> Result<Tensor> + 'static,
    ) -> Result<TapeValue> {
        Ok(self.record(&[x], output, |gradient, flow| {
            flow.add(0, || backward(gradient))
        }))
    }
}

impl Ops for Tape {
    type Value = TapeValue;

    fn param(&self, param: &Param) -> Result<TapeValue> {
        Ok(self.leaf(param))
    }
    fn constant(&self, constant: &Constant, near: &TapeValue) -> Result<TapeValue> {
        Ok(TapeValue::constant(
            constant.tensor(near.tensor()?.device())?,
        ))
    }

    fn unary(&self, op: UnaryOp, x: &TapeValue) -> Result<TapeValue> {
        self.record_unary(op, x)
    }
    fn binary(&self, op: BinaryOp, a: &TapeValue, b: &TapeValue) -> Result<TapeValue> {
        self.record_binary(op, a, b)
    }
    fn compare(&self, op: CompareOp, a: &TapeValue, b: &TapeValue) -> Result<TapeValue> {
        let output = Eager::new().compare(op, a.tensor()?, b.tensor()?)?;
        Ok(TapeValue::constant(output))
    }
    fn where_cond(
        &self,
        condition: &TapeValue,
        yes: &TapeValue,
        no: &TapeValue,
    ) -> Result<TapeValue> {
        self.record_where(condition, yes, no)
    }
    fn cast(&self, x: &TapeValue, kind: Kind) -> Result<TapeValue> {
        Ok(TapeValue::constant(Eager::new().cast(x.tensor()?, kind)?))
    }
    fn affine(&self, x: &TapeValue, multiply: f64, add: f64) -> Result<TapeValue> {
        self.one(x, x.tensor()?.affine(multiply, add)?, move |g| {
            Ok(g.affine(multiply, 0.0)?)
        })
    }
    fn reduce(&self, op: ReduceOp, x: &TapeValue, axis: Axis) -> Result<TapeValue> {
        self.record_reduce(op, x, axis)
    }
    fn matmul(&self, a: &TapeValue, b: &TapeValue) -> Result<TapeValue> {
        self.record_matmul(a, b)
    }

    fn permute(&self, x: &TapeValue, order: &[usize]) -> Result<TapeValue> {
        self.record_permute(x, order)
    }
    fn transpose(&self, x: &TapeValue, first: Axis, second: Axis) -> Result<TapeValue> {
        self.record_transpose(x, first, second)
    }
    fn reshape(&self, x: &TapeValue, shape: &[Extent]) -> Result<TapeValue> {
        self.record_shape(x, Eager::new().reshape(x.tensor()?, shape)?)
    }
    fn unsqueeze(&self, x: &TapeValue, axis: Axis) -> Result<TapeValue> {
        self.record_shape(x, Eager::new().unsqueeze(x.tensor()?, axis)?)
    }
    fn squeeze(&self, x: &TapeValue, axis: Axis) -> Result<TapeValue> {
        self.record_shape(x, Eager::new().squeeze(x.tensor()?, axis)?)
    }
    fn narrow(&self, x: &TapeValue, axis: Axis, start: usize, length: usize) -> Result<TapeValue> {
        self.record_narrow(x, axis, start, length)
    }
    fn cat(&self, parts: &[&TapeValue], axis: Axis) -> Result<TapeValue> {
        self.record_cat(parts, axis)
    }

    fn gather(&self, table: &TapeValue, ids: &TapeValue) -> Result<TapeValue> {
        self.record_gather(table, ids)
    }
    fn gather_last(&self, x: &TapeValue, ids: &TapeValue) -> Result<TapeValue> {
        self.record_gather_last(x, ids)
    }

    fn custom(&self, op: &CustomOp, inputs: &[&TapeValue]) -> Result<Vec<TapeValue>> {
        self.record_custom(op, inputs)
    }

    fn dropout(&self, x: &TapeValue, rate: f64) -> Result<TapeValue> {
        self.record_dropout(x, rate)
    }
    fn linear(&self, x: &TapeValue, weight: &Param, bias: Option<&Param>) -> Result<TapeValue> {
        self.record_linear(x, weight, bias)
    }
    fn layer_norm(
        &self,
        x: &TapeValue,
        weight: &Param,
        bias: Option<&Param>,
        epsilon: f64,
    ) -> Result<TapeValue> {
        self.record_layer_norm(x, weight, bias, epsilon)
    }
    fn gelu_erf(&self, x: &TapeValue) -> Result<TapeValue> {
        self.record_gelu_erf(x)
    }
    fn softmax(&self, x: &TapeValue) -> Result<TapeValue> {
        self.record_softmax(x)
    }
}
