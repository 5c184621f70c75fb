use crate::{Ops, Param, ParamRole, Result, parameters};
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

    /// # Shapes
    /// x `[.., width]` → the same
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward<O: Ops>(&self, ops: &O, x: &O::Value) -> Result<O::Value> {
        ops.layer_norm(x, &self.weight, &self.bias, self.epsilon)
    }
}
