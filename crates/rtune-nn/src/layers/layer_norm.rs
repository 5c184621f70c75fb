use crate::{Ops, Param, Result, Weights};

/// Layer normalization over the last axis.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Param,
    bias: Param,
    epsilon: f64,
}

impl LayerNorm {
    /// A layer over given weights.
    ///
    /// # Shapes
    /// weight and bias `[width]`
    pub fn new(weight: Param, bias: Param, epsilon: f64) -> Self {
        Self {
            weight,
            bias,
            epsilon,
        }
    }

    pub(crate) fn load(
        weights: &mut Weights,
        path: &str,
        width: usize,
        epsilon: f64,
    ) -> Result<Self> {
        let weight = weights.encoder(&format!("{path}.weight"), &[width])?;
        let bias = weights.encoder(&format!("{path}.bias"), &[width])?;
        Ok(Self::new(weight, bias, epsilon))
    }

    /// # Shapes
    /// x `[.., width]` → the same
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn forward<O: Ops>(&self, ops: &O, x: &O::Value) -> Result<O::Value> {
        ops.layer_norm(x, &self.weight, &self.bias, self.epsilon)
    }

    pub(crate) fn params(&self) -> impl Iterator<Item = &Param> {
        [&self.weight, &self.bias].into_iter()
    }
}
