use crate::{Ops, Param, ParamRole, Result, Var, parameters};
use candle_nn::VarBuilder;
use candle_nn::init::{ONE, ZERO};

/// Layer normalization over the last axis (Ba, Kiros and Hinton, 2016):
/// (x − mean) / √(variance + epsilon) · weight + bias.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Param,
    bias: Param,
    epsilon: f64,
}

parameters!(LayerNorm: weight, bias);

/// A layer normalization. Its parameters are `weight` and `bias`.
///
/// # Errors
/// If a parameter cannot be loaded.
pub fn layer_norm(width: usize, epsilon: f64, vb: VarBuilder<'_>) -> Result<LayerNorm> {
    let weight = Param::load(&vb, "weight", width, ParamRole::Norm, ONE)?;
    let bias = Param::load(&vb, "bias", width, ParamRole::Norm, ZERO)?;
    Ok(LayerNorm::new(weight, bias, epsilon))
}

impl LayerNorm {
    /// A layer over given parameters.
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

    /// Normalizes the last axis.
    ///
    /// # Shapes
    /// xs `[.., width]` → the same
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward<'a, O: Ops>(&self, xs: &Var<'a, O>) -> Result<Var<'a, O>> {
        let (weight, bias) = (&self.weight, Some(&self.bias));
        Ok(xs.with(
            xs.ops()
                .layer_norm(xs.value(), weight, bias, self.epsilon)?,
        ))
    }
}
