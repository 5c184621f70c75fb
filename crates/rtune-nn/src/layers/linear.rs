use crate::{Ops, Param, Result, Weights};

/// x · weightᵀ + bias.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Param,
    bias: Option<Param>,
}

impl Linear {
    /// A layer over given weights.
    ///
    /// # Shapes
    /// weight `[out, in]`, bias `[out]`
    pub fn new(weight: Param, bias: Option<Param>) -> Self {
        Self { weight, bias }
    }

    pub(crate) fn load(
        weights: &mut Weights,
        path: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self> {
        let weight = weights.encoder(&format!("{path}.weight"), &[outputs, inputs])?;
        let bias = weights.encoder(&format!("{path}.bias"), &[outputs])?;
        Ok(Self::new(weight, Some(bias)))
    }

    /// # Shapes
    /// x `[.., in]` → `[.., out]`
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn forward<O: Ops>(&self, ops: &O, x: &O::Value) -> Result<O::Value> {
        ops.linear(x, &self.weight, self.bias.as_ref())
    }

    pub(crate) fn params(&self) -> impl Iterator<Item = &Param> {
        std::iter::once(&self.weight).chain(&self.bias)
    }
}
