use crate::{Param, Result};

/// What is added to the attention scores of padding. It is finite, so that a row of padding alone
/// gives no NaN, and within the range of half precision.
pub const MASK_BIAS: f64 = -1e4;

/// One dimension of [`Ops::reshape`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The input's dimension at this place.
    Keep,
    /// This size.
    Exact(usize),
    /// Whatever is left; at most once.
    Infer,
}

/// The constants of multi-head attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionSpec {
    /// Number of heads.
    pub heads: usize,
    /// Width of each head.
    pub head_dim: usize,
    /// The share of attention weights that dropout sets to zero.
    pub dropout: f64,
}

/// The operations that modules are written in.
///
/// Below, `tokens..` stands for how tokens lie: `[batch, sequence]` padded, `[tokens]` packed. The
/// first group must be implemented; the composites are given in terms of it, and an interpreter
/// overrides those that it can do as one.
pub trait Ops {
    /// A tensor of this interpreter.
    type Value: Clone;
    /// How tokens lie: padded with a mask, or packed with offsets.
    type Sequences;

    /// The value of a weight.
    ///
    /// # Errors
    /// As the interpreter sees fit; so for all operations.
    fn param(&self, param: &Param) -> Result<Self::Value>;
    /// a + b, broadcast.
    fn add(&self, a: &Self::Value, b: &Self::Value) -> Result<Self::Value>;
    /// a − b, broadcast.
    fn sub(&self, a: &Self::Value, b: &Self::Value) -> Result<Self::Value>;
    /// a · b, broadcast.
    fn mul(&self, a: &Self::Value, b: &Self::Value) -> Result<Self::Value>;
    /// a / b, broadcast.
    fn div(&self, a: &Self::Value, b: &Self::Value) -> Result<Self::Value>;
    /// x · `multiply` + `add`.
    fn affine(&self, x: &Self::Value, multiply: f64, add: f64) -> Result<Self::Value>;
    /// The matrix product over the last two axes.
    ///
    /// # Shapes
    /// `[.., m, k]`, `[.., k, n]` → `[.., m, n]`
    fn matmul(&self, a: &Self::Value, b: &Self::Value) -> Result<Self::Value>;
    /// Reorders the axes.
    fn transpose(&self, x: &Self::Value, order: &[usize]) -> Result<Self::Value>;
    /// Another shape over the same elements.
    fn reshape(&self, x: &Self::Value, shape: &[Extent]) -> Result<Self::Value>;
    /// e^x.
    fn exp(&self, x: &Self::Value) -> Result<Self::Value>;
    /// √x.
    fn sqrt(&self, x: &Self::Value) -> Result<Self::Value>;
    /// The error function.
    fn erf(&self, x: &Self::Value) -> Result<Self::Value>;
    /// The hyperbolic tangent.
    fn tanh(&self, x: &Self::Value) -> Result<Self::Value>;
    /// max(x, 0).
    fn relu(&self, x: &Self::Value) -> Result<Self::Value>;
    /// The sum over the last axis, which stays with size 1.
    fn sum_last(&self, x: &Self::Value) -> Result<Self::Value>;
    /// The mean over the last axis, which stays with size 1.
    fn mean_last(&self, x: &Self::Value) -> Result<Self::Value>;
    /// The largest element of the last axis, which stays with size 1.
    fn max_last(&self, x: &Self::Value) -> Result<Self::Value>;
    /// Rows of a table.
    ///
    /// # Shapes
    /// table `[n, width]`, ids `[..]` → `[.., width]`
    fn gather(&self, table: &Self::Value, ids: &Self::Value) -> Result<Self::Value>;

    /// Each token's place in its sequence, from 0.
    ///
    /// # Shapes
    /// → ids `[tokens..]`
    fn position_ids(&self, sequences: &Self::Sequences) -> Result<Self::Value>;
    /// What is added to attention scores: 0 for tokens, [`MASK_BIAS`] for padding.
    ///
    /// # Shapes
    /// → `[batch, 1, 1, sequence]`
    fn mask_bias(&self, sequences: &Self::Sequences) -> Result<Self::Value>;
    /// Lays the heads of each sequence side by side.
    ///
    /// # Shapes
    /// `[tokens.., heads · head_dim]` → `[batch, heads, sequence, head_dim]`
    fn split_heads(
        &self,
        x: &Self::Value,
        spec: &AttentionSpec,
        sequences: &Self::Sequences,
    ) -> Result<Self::Value>;
    /// Undoes [`Ops::split_heads`].
    ///
    /// # Shapes
    /// `[batch, heads, sequence, head_dim]` → `[tokens.., heads · head_dim]`
    fn merge_heads(
        &self,
        x: &Self::Value,
        spec: &AttentionSpec,
        sequences: &Self::Sequences,
    ) -> Result<Self::Value>;
    /// The mean over each sequence's tokens, padding left out.
    ///
    /// # Shapes
    /// `[tokens.., width]` → `[batch, width]`
    fn mean_pool(&self, hidden: &Self::Value, sequences: &Self::Sequences) -> Result<Self::Value>;
    /// Each sequence's first token.
    ///
    /// # Shapes
    /// `[tokens.., width]` → `[batch, width]`
    fn first_pool(&self, hidden: &Self::Value, sequences: &Self::Sequences) -> Result<Self::Value>;

    /// Notes that a module begins, by its full path; returns what [`Ops::leave`] needs.
    fn enter(&self, _path: &str) -> String {
        String::new()
    }
    /// Notes that the module ends.
    fn leave(&self, _previous: String) {}

    /// Sets elements to zero with probability `rate` and scales the others by 1 / (1 − rate); the
    /// identity except where a model is trained.
    fn dropout(&self, x: &Self::Value, _rate: f64) -> Result<Self::Value> {
        Ok(x.clone())
    }

    /// x · weightᵀ + bias.
    ///
    /// # Shapes
    /// x `[.., in]`, weight `[out, in]`, bias `[out]` → `[.., out]`
    fn linear(&self, x: &Self::Value, weight: &Param, bias: Option<&Param>) -> Result<Self::Value> {
        let product = self.matmul(x, &self.transpose(&self.param(weight)?, &[1, 0])?)?;
        match bias {
            Some(bias) => self.add(&product, &self.param(bias)?),
            None => Ok(product),
        }
    }

    /// (x − mean) / √(variance + epsilon) · weight + bias over the last axis (Ba, Kiros and Hinton,
    /// 2016).
    ///
    /// # Shapes
    /// x `[.., width]`, weight and bias `[width]` → `[.., width]`
    fn layer_norm(
        &self,
        x: &Self::Value,
        weight: &Param,
        bias: &Param,
        epsilon: f64,
    ) -> Result<Self::Value> {
        let centered = self.sub(x, &self.mean_last(x)?)?;
        let variance = self.mean_last(&self.mul(&centered, &centered)?)?;
        let normal = self.div(
            &centered,
            &self.sqrt(&self.affine(&variance, 1.0, epsilon)?)?,
        )?;
        self.add(
            &self.mul(&normal, &self.param(weight)?)?,
            &self.param(bias)?,
        )
    }

    /// x · Φ(x), with the error function (Hendrycks and Gimpel, 2016).
    fn gelu(&self, x: &Self::Value) -> Result<Self::Value> {
        let cumulative = self.affine(
            &self.erf(&self.affine(x, std::f64::consts::FRAC_1_SQRT_2, 0.0)?)?,
            0.5,
            0.5,
        )?;
        self.mul(x, &cumulative)
    }

    /// e^x / Σ e^x over the last axis.
    fn softmax(&self, x: &Self::Value) -> Result<Self::Value> {
        let powers = self.exp(&self.sub(x, &self.max_last(x)?)?)?;
        self.div(&powers, &self.sum_last(&powers)?)
    }

    /// Rows of a weight table.
    ///
    /// # Shapes
    /// ids `[..]`, table `[n, width]` → `[.., width]`
    fn embedding(&self, ids: &Self::Value, table: &Param) -> Result<Self::Value> {
        self.gather(&self.param(table)?, ids)
    }

    /// softmax(q · kᵀ / √head_dim + mask) · v in each head (Vaswani et al., 2017).
    ///
    /// # Shapes
    /// query, key, value `[tokens.., heads · head_dim]` → the same
    fn attention(
        &self,
        query: &Self::Value,
        key: &Self::Value,
        value: &Self::Value,
        spec: &AttentionSpec,
        sequences: &Self::Sequences,
    ) -> Result<Self::Value> {
        let query = self.split_heads(query, spec, sequences)?;
        let key = self.transpose(&self.split_heads(key, spec, sequences)?, &[0, 1, 3, 2])?;
        let value = self.split_heads(value, spec, sequences)?;
        #[allow(clippy::cast_precision_loss)] // A head's width is small.
        let scale = 1.0 / (spec.head_dim as f64).sqrt();
        let scores = self.affine(&self.matmul(&query, &key)?, scale, 0.0)?;
        let weights = self.softmax(&self.add(&scores, &self.mask_bias(sequences)?)?)?;
        let context = self.matmul(&self.dropout(&weights, spec.dropout)?, &value)?;
        self.merge_heads(&context, spec, sequences)
    }
}
