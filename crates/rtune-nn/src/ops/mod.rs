//! The vocabulary that modules are written in: tensors here, token layout in [`SequenceOps`].

mod activation;
mod attention;
mod binary;
mod compare;
mod constant;
mod custom;
mod layout;
mod linear;
mod norm;
mod operation;
mod plain;
mod reduce;
mod sequence;
mod unary;

pub use attention::{
    Attention, Disentangled, PositionBias, Rotary, RotaryStyle, attention_by_operations,
};
pub use binary::BinaryOp;
pub use compare::CompareOp;
pub use constant::{Constant, ConstantValues, Kind};
pub use custom::{CustomAttribute, CustomOp, OutputFact, OutputSize};
pub(crate) use layout::resolve;
pub use layout::{Axis, Extent};
pub use operation::Operation;
pub use plain::Plain;
pub use reduce::ReduceOp;
pub use sequence::{MASK_BIAS, Positions, SequenceOps};
pub use unary::UnaryOp;

use crate::{Param, Result, Scope, Scopes, Var};

/// The operations on tensors.
///
/// The first part must be implemented: one method for each group of elementwise operations, as
/// candle groups them, and one for each other primitive. The second part are composites: their
/// default bodies are their specification, written in the first part; an interpreter overrides
/// those that it can do as one.
///
/// Modules call these operations through [`Var`], which has candle's method names.
///
/// # Errors
/// Each method returns the interpreter's error: shapes that do not fit, a result that cannot be
/// recorded, no memory.
pub trait Ops: Sized {
    /// A tensor of this interpreter.
    type Value: Clone;

    /// Returns the value of a weight.
    fn param(&self, param: &Param) -> Result<Self::Value>;
    /// Returns the value of a constant, on the device of `near`.
    fn constant(&self, constant: &Constant, near: &Self::Value) -> Result<Self::Value>;

    /// Computes `op` of each element.
    ///
    /// # Shapes
    /// x `[..]` → the same
    fn unary(&self, op: UnaryOp, x: &Self::Value) -> Result<Self::Value>;
    /// Computes `op` of each pair of elements, broadcast.
    fn binary(&self, op: BinaryOp, a: &Self::Value, b: &Self::Value) -> Result<Self::Value>;
    /// Compares each pair of elements, broadcast; the result is of [`Kind::Bool`].
    fn compare(&self, op: CompareOp, a: &Self::Value, b: &Self::Value) -> Result<Self::Value>;
    /// Takes elements of `yes` where `condition` is true and of `no` elsewhere, broadcast.
    fn where_cond(
        &self,
        condition: &Self::Value,
        yes: &Self::Value,
        no: &Self::Value,
    ) -> Result<Self::Value>;
    /// Converts the elements; floats are rounded toward zero. Casts have no gradient.
    fn cast(&self, x: &Self::Value, kind: Kind) -> Result<Self::Value>;
    /// Computes x · `multiply` + `add`.
    fn affine(&self, x: &Self::Value, multiply: f64, add: f64) -> Result<Self::Value>;
    /// Reduces one axis, which stays with size 1.
    ///
    /// # Shapes
    /// x `[.., n, ..]` → `[.., 1, ..]`
    fn reduce(&self, op: ReduceOp, x: &Self::Value, axis: Axis) -> Result<Self::Value>;
    /// The matrix product over the last two axes; the others are broadcast.
    ///
    /// # Shapes
    /// a `[.., m, k]`, b `[.., k, n]` → `[.., m, n]`
    fn matmul(&self, a: &Self::Value, b: &Self::Value) -> Result<Self::Value>;

    /// Reorders all axes: axis `i` of the result is axis `order[i]` of x.
    fn permute(&self, x: &Self::Value, order: &[usize]) -> Result<Self::Value>;
    /// Swaps two axes.
    fn transpose(&self, x: &Self::Value, first: Axis, second: Axis) -> Result<Self::Value>;
    /// Gives the same elements another shape.
    fn reshape(&self, x: &Self::Value, shape: &[Extent]) -> Result<Self::Value>;
    /// Inserts an axis of size 1, which then is `axis` of the result.
    fn unsqueeze(&self, x: &Self::Value, axis: Axis) -> Result<Self::Value>;
    /// Removes an axis of size 1.
    fn squeeze(&self, x: &Self::Value, axis: Axis) -> Result<Self::Value>;
    /// Takes `length` elements of one axis, from `start` on.
    fn narrow(
        &self,
        x: &Self::Value,
        axis: Axis,
        start: usize,
        length: usize,
    ) -> Result<Self::Value>;
    /// Joins tensors along one axis.
    fn cat(&self, parts: &[&Self::Value], axis: Axis) -> Result<Self::Value>;

    /// Takes rows of a table.
    ///
    /// # Shapes
    /// table `[n, width]`, ids `[..]` → `[.., width]`
    fn gather(&self, table: &Self::Value, ids: &Self::Value) -> Result<Self::Value>;
    /// Takes elements of the last axis, one for each id; the ids' leading axes are broadcast.
    ///
    /// # Shapes
    /// x `[.., m, n]`, ids `[m, k]` → `[.., m, k]`
    fn gather_last(&self, x: &Self::Value, ids: &Self::Value) -> Result<Self::Value>;

    /// Runs an operator that this vocabulary lacks.
    ///
    /// # Errors
    /// As all operations; and on a tape, if an input needs a gradient and `op` has no backward
    /// function.
    fn custom(&self, op: &CustomOp, inputs: &[&Self::Value]) -> Result<Vec<Self::Value>>;

    /// The names of results, if this interpreter names them.
    fn scopes(&self) -> Option<&Scopes> {
        None
    }

    /// Enters a module by its full path; the guard leaves it when it is dropped.
    ///
    /// ```
    /// use rtune_nn::{Eager, Ops as _};
    ///
    /// let ops = Eager::traced();
    /// let _scope = ops.scope("encoder.layer.0.output");
    /// ```
    fn scope(&self, path: &str) -> Scope<'_> {
        Scope::enter(self.scopes(), path)
    }

    /// Sets elements to zero with probability `rate` and scales the others by 1 / (1 − rate); the
    /// identity except in training (Srivastava et al., 2014).
    fn dropout(&self, x: &Self::Value, _rate: f64) -> Result<Self::Value> {
        Ok(x.clone())
    }

    /// Computes x · weightᵀ + bias.
    ///
    /// # Shapes
    /// x `[.., in]`, weight `[out, in]`, bias `[out]` → `[.., out]`
    fn linear(&self, x: &Self::Value, weight: &Param, bias: Option<&Param>) -> Result<Self::Value> {
        linear::linear(&Var::of(self, x), weight, bias)
    }

    /// Normalizes the last axis: (x − mean) / √(variance + epsilon) · weight + bias (Ba, Kiros and
    /// Hinton, 2016).
    ///
    /// # Shapes
    /// x `[.., width]`, weight and bias `[width]` → `[.., width]`
    fn layer_norm(
        &self,
        x: &Self::Value,
        weight: &Param,
        bias: Option<&Param>,
        epsilon: f64,
    ) -> Result<Self::Value> {
        norm::layer_norm(&Var::of(self, x), weight, bias, epsilon)
    }

    /// Scales the last axis: x / √(mean(x²) + epsilon) · weight (Zhang and Sennrich, 2019).
    ///
    /// # Shapes
    /// x `[.., width]`, weight `[width]` → `[.., width]`
    fn rms_norm(&self, x: &Self::Value, weight: &Param, epsilon: f64) -> Result<Self::Value> {
        norm::rms_norm(&Var::of(self, x), weight, epsilon)
    }

    /// Computes x · Φ(x) with the error function (Hendrycks and Gimpel, 2016); candle's
    /// `gelu_erf`, Hugging Face's `gelu`.
    fn gelu_erf(&self, x: &Self::Value) -> Result<Self::Value> {
        activation::gelu_erf(&Var::of(self, x))
    }

    /// Computes 0.5 · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³))); candle's `gelu`, Hugging
    /// Face's `gelu_new` and `gelu_pytorch_tanh`.
    fn gelu(&self, x: &Self::Value) -> Result<Self::Value> {
        activation::gelu(&Var::of(self, x))
    }

    /// Computes x · sigmoid(x).
    fn silu(&self, x: &Self::Value) -> Result<Self::Value> {
        activation::silu(&Var::of(self, x))
    }

    /// Computes e^x / Σ e^x over the last axis.
    fn softmax(&self, x: &Self::Value) -> Result<Self::Value> {
        activation::softmax(&Var::of(self, x))
    }

    /// Takes rows of a weight table.
    ///
    /// # Shapes
    /// ids `[..]`, table `[n, width]` → `[.., width]`
    fn embedding(&self, ids: &Self::Value, table: &Param) -> Result<Self::Value> {
        self.gather(&self.param(table)?, ids)
    }
}
