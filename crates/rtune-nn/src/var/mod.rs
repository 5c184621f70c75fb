mod operators;
mod sequence;

use crate::{
    Axis, BinaryOp, CompareOp, Constant, CustomOp, Extent, Kind, Ops, Param, ReduceOp, Result,
    UnaryOp,
};

/// A value together with its interpreter, with candle's method names: a module written over it
/// reads like one written over candle tensors.
///
/// ```
/// use candle_core::{D, Device, Tensor};
/// use rtune_nn::{Eager, Ops, Result, Var};
///
/// fn normalize<'a, O: Ops>(xs: &Var<'a, O>) -> Result<Var<'a, O>> {
///     let length = xs.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
///     xs / length
/// }
///
/// let ops = Eager::new();
/// let xs = Var::new(&ops, Tensor::new(&[3_f32, 4.0], &Device::Cpu)?);
/// assert_eq!(normalize(&xs)?.value().to_vec1::<f32>()?, [0.6, 0.8]);
/// # Ok::<(), rtune_nn::NnError>(())
/// ```
///
/// Operators broadcast, and take `f64` on the right. Axes are numbers from the first (`0`, `1`) or
/// from the last (`-1`, candle's `D::Minus1`).
pub struct Var<'a, O: Ops> {
    ops: &'a O,
    value: O::Value,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $group:ident($op:expr) $(, $arg:ident)?;)+) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// If the interpreter cannot do it, or shapes do not fit.
        pub fn $name(&self $(, $arg: &Self)?) -> Result<Self> {
            self.wrap(self.ops.$group($op, &self.value $(, &$arg.value)?))
        }
    )+};
}

macro_rules! reductions {
    ($($(#[$doc:meta])* $keep:ident, $drop:ident = $op:expr;)+) => {$(
        $(#[$doc])*
        /// The axis stays with size 1.
        ///
        /// # Errors
        /// If there is no such axis.
        pub fn $keep(&self, axis: impl Into<Axis>) -> Result<Self> {
            self.wrap(self.ops.reduce($op, &self.value, axis.into()))
        }
        $(#[$doc])*
        /// The axis is removed.
        ///
        /// # Errors
        /// If there is no such axis.
        pub fn $drop(&self, axis: impl Into<Axis>) -> Result<Self> {
            let axis = axis.into();
            self.$keep(axis)?.squeeze(axis)
        }
    )+};
}

impl<'a, O: Ops> Var<'a, O> {
    /// A value of `ops`.
    pub fn new(ops: &'a O, value: O::Value) -> Self {
        Self { ops, value }
    }

    /// A value of `ops`, cloned.
    pub(crate) fn of(ops: &'a O, value: &O::Value) -> Self {
        Self::new(ops, value.clone())
    }

    /// Another value of the same interpreter.
    pub fn with(&self, value: O::Value) -> Self {
        Self::new(self.ops, value)
    }

    fn wrap(&self, value: Result<O::Value>) -> Result<Self> {
        Ok(self.with(value?))
    }

    /// The interpreter.
    pub fn ops(&self) -> &'a O {
        self.ops
    }

    /// The interpreter's value.
    pub fn value(&self) -> &O::Value {
        &self.value
    }

    /// The interpreter's value.
    pub fn into_value(self) -> O::Value {
        self.value
    }

    /// A weight as a value of this interpreter.
    ///
    /// # Errors
    /// If the interpreter cannot take it.
    pub fn param(&self, param: &Param) -> Result<Self> {
        self.wrap(self.ops.param(param))
    }

    /// A constant as a value of this interpreter.
    ///
    /// # Errors
    /// If the interpreter cannot take it.
    pub fn constant(&self, constant: &Constant) -> Result<Self> {
        self.wrap(self.ops.constant(constant, &self.value))
    }

    pub(crate) fn scalar(&self, value: f64) -> Result<Self> {
        let name = format!("constant/{value}");
        self.constant(&Constant::float(name, &[], vec![value as f32])?)
    }

    methods! {
        /// |x|.
        abs = unary(UnaryOp::Abs);
        /// The smallest integers that are not below x.
        ceil = unary(UnaryOp::Ceil);
        /// cos x.
        cos = unary(UnaryOp::Cos);
        /// The error function.
        erf = unary(UnaryOp::Erf);
        /// e^x.
        exp = unary(UnaryOp::Exp);
        /// The largest integers that are not above x.
        floor = unary(UnaryOp::Floor);
        /// The natural logarithm.
        log = unary(UnaryOp::Log);
        /// −x.
        neg = unary(UnaryOp::Neg);
        /// 1 / x.
        recip = unary(UnaryOp::Recip);
        /// max(x, 0).
        relu = unary(UnaryOp::Relu);
        /// 1 / (1 + e^−x).
        sigmoid = unary(UnaryOp::Sigmoid);
        /// −1, 0 or 1.
        sign = unary(UnaryOp::Sign);
        /// sin x.
        sin = unary(UnaryOp::Sin);
        /// √x.
        sqrt = unary(UnaryOp::Sqrt);
        /// The hyperbolic tangent.
        tanh = unary(UnaryOp::Tanh);
        /// x + other, broadcast; the same as the operator.
        broadcast_add = binary(BinaryOp::Add), other;
        /// x − other, broadcast; the same as the operator.
        broadcast_sub = binary(BinaryOp::Sub), other;
        /// x · other, broadcast; the same as the operator.
        broadcast_mul = binary(BinaryOp::Mul), other;
        /// x / other, broadcast; the same as the operator.
        broadcast_div = binary(BinaryOp::Div), other;
        /// The larger elements, broadcast.
        maximum = binary(BinaryOp::Maximum), other;
        /// The smaller elements, broadcast.
        minimum = binary(BinaryOp::Minimum), other;
        /// x = other, broadcast.
        eq = compare(CompareOp::Eq), other;
        /// x ≠ other, broadcast.
        ne = compare(CompareOp::Ne), other;
        /// x < other, broadcast.
        lt = compare(CompareOp::Lt), other;
        /// x ≤ other, broadcast.
        le = compare(CompareOp::Le), other;
        /// x > other, broadcast.
        gt = compare(CompareOp::Gt), other;
        /// x ≥ other, broadcast.
        ge = compare(CompareOp::Ge), other;
    }

    reductions! {
        /// The sum over one axis.
        sum_keepdim, sum = ReduceOp::Sum;
        /// The mean over one axis.
        mean_keepdim, mean = ReduceOp::Mean;
        /// The largest element of one axis.
        max_keepdim, max = ReduceOp::Max;
        /// The smallest element of one axis.
        min_keepdim, min = ReduceOp::Min;
    }

    /// x².
    ///
    /// # Errors
    /// If the interpreter cannot do it.
    pub fn sqr(&self) -> Result<Self> {
        self.broadcast_mul(self)
    }

    /// x · `multiply` + `add`.
    ///
    /// # Errors
    /// If the interpreter cannot do it.
    pub fn affine(&self, multiply: f64, add: f64) -> Result<Self> {
        self.wrap(self.ops.affine(&self.value, multiply, add))
    }

    /// min(max(x, low), high).
    ///
    /// # Errors
    /// If the interpreter cannot do it.
    pub fn clamp(&self, low: f64, high: f64) -> Result<Self> {
        self.maximum(&self.scalar(low)?)?
            .minimum(&self.scalar(high)?)
    }

    /// Elements of `yes` where this value is true, of `no` elsewhere, broadcast.
    ///
    /// # Errors
    /// If this is not a truth value, or shapes do not fit.
    pub fn where_cond(&self, yes: &Self, no: &Self) -> Result<Self> {
        self.wrap(self.ops.where_cond(&self.value, &yes.value, &no.value))
    }

    /// The elements as another kind.
    ///
    /// # Errors
    /// If the interpreter cannot do it.
    pub fn cast(&self, kind: Kind) -> Result<Self> {
        self.wrap(self.ops.cast(&self.value, kind))
    }

    /// The matrix product over the last two axes.
    ///
    /// # Shapes
    /// x `[.., m, k]`, other `[.., k, n]` → `[.., m, n]`
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn matmul(&self, other: &Self) -> Result<Self> {
        self.wrap(self.ops.matmul(&self.value, &other.value))
    }

    /// Reorders all axes.
    ///
    /// # Errors
    /// If `order` does not name each axis once.
    pub fn permute(&self, order: &[usize]) -> Result<Self> {
        self.wrap(self.ops.permute(&self.value, order))
    }

    /// Swaps two axes.
    ///
    /// # Errors
    /// If there are no such axes.
    pub fn transpose(&self, first: impl Into<Axis>, second: impl Into<Axis>) -> Result<Self> {
        self.wrap(self.ops.transpose(&self.value, first.into(), second.into()))
    }

    /// Swaps the last two axes.
    ///
    /// # Errors
    /// If there are fewer than two.
    pub fn t(&self) -> Result<Self> {
        self.transpose(-2, -1)
    }

    /// The same elements in another shape.
    ///
    /// # Errors
    /// If they do not fill it.
    pub fn reshape(&self, shape: impl AsRef<[Extent]>) -> Result<Self> {
        self.wrap(self.ops.reshape(&self.value, shape.as_ref()))
    }

    /// Joins all axes from `start` on.
    ///
    /// # Errors
    /// If there are fewer axes.
    pub fn flatten_from(&self, start: usize) -> Result<Self> {
        let mut shape = vec![Extent::Keep; start];
        shape.push(Extent::Infer);
        self.reshape(shape)
    }

    /// Inserts an axis of size 1.
    ///
    /// # Errors
    /// If there is no such place.
    pub fn unsqueeze(&self, axis: impl Into<Axis>) -> Result<Self> {
        self.wrap(self.ops.unsqueeze(&self.value, axis.into()))
    }

    /// Removes an axis of size 1.
    ///
    /// # Errors
    /// If there is no such axis.
    pub fn squeeze(&self, axis: impl Into<Axis>) -> Result<Self> {
        self.wrap(self.ops.squeeze(&self.value, axis.into()))
    }

    /// `length` elements of one axis, from `start` on.
    ///
    /// # Errors
    /// If the axis does not have them.
    pub fn narrow(&self, axis: impl Into<Axis>, start: usize, length: usize) -> Result<Self> {
        self.wrap(self.ops.narrow(&self.value, axis.into(), start, length))
    }

    /// Joins values along one axis.
    ///
    /// # Errors
    /// If there is no value, or shapes do not fit.
    pub fn cat(parts: &[&Self], axis: impl Into<Axis>) -> Result<Self> {
        let first = parts
            .first()
            .ok_or_else(|| crate::NnError::operation("cat of no values"))?;
        let values: Vec<&O::Value> = parts.iter().map(|part| &part.value).collect();
        first.wrap(first.ops.cat(&values, axis.into()))
    }

    /// Rows of this table.
    ///
    /// # Shapes
    /// x `[n, width]`, ids `[..]` → `[.., width]`
    ///
    /// # Errors
    /// If an id is outside the table.
    pub fn gather(&self, ids: &Self) -> Result<Self> {
        self.wrap(self.ops.gather(&self.value, &ids.value))
    }

    /// Elements of the last axis, one for each id.
    ///
    /// # Shapes
    /// x `[.., m, n]`, ids `[m, k]` → `[.., m, k]`
    ///
    /// # Errors
    /// If an id is outside the axis.
    pub fn gather_last(&self, ids: &Self) -> Result<Self> {
        self.wrap(self.ops.gather_last(&self.value, &ids.value))
    }

    /// The outputs of an operator that the vocabulary lacks.
    ///
    /// # Errors
    /// If there is no input, or the interpreter cannot do it; see [`Ops::custom`].
    pub fn custom(op: &CustomOp, inputs: &[&Self]) -> Result<Vec<Self>> {
        let first = inputs.first().ok_or_else(|| {
            let name = op.name();
            crate::NnError::operation(format!("custom operator {name}: no input"))
        })?;
        let values: Vec<&O::Value> = inputs.iter().map(|input| &input.value).collect();
        let outputs = first.ops.custom(op, &values)?;
        Ok(outputs.into_iter().map(|value| first.with(value)).collect())
    }

    /// x · Φ(x) with the error function.
    ///
    /// # Errors
    /// If the interpreter cannot do it.
    pub fn gelu_erf(&self) -> Result<Self> {
        self.wrap(self.ops.gelu_erf(&self.value))
    }

    /// x · Φ(x) approximated with the hyperbolic tangent.
    ///
    /// # Errors
    /// If the interpreter cannot do it.
    pub fn gelu(&self) -> Result<Self> {
        self.wrap(self.ops.gelu(&self.value))
    }

    /// x · sigmoid(x).
    ///
    /// # Errors
    /// If the interpreter cannot do it.
    pub fn silu(&self) -> Result<Self> {
        self.wrap(self.ops.silu(&self.value))
    }

    /// e^x / Σ e^x over the last axis.
    ///
    /// # Errors
    /// If the interpreter cannot do it.
    pub fn softmax(&self) -> Result<Self> {
        self.wrap(self.ops.softmax(&self.value))
    }

    /// Dropout in training, the identity otherwise.
    ///
    /// # Errors
    /// If the interpreter cannot do it.
    pub fn dropout(&self, rate: f64) -> Result<Self> {
        self.wrap(self.ops.dropout(&self.value, rate))
    }
}
