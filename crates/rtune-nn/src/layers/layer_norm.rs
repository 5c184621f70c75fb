use crate::{Ops, Param, ParamRole, Result, Var, parameters};
use candle_nn::VarBuilder;
use candle_nn::init::{ONE, ZERO};

/// Layer normalization of the last axis (Ba, Kiros and Hinton, 2016):
/// (x − mean) / √(variance + epsilon) · weight + bias.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Param,
    bias: Option<Param>,
    epsilon: f64,
}

parameters!(LayerNorm: weight, bias);

/// A layer normalization. Its parameters are `weight` and `bias`.
///
/// # Errors
/// If a parameter cannot be loaded.
pub fn layer_norm(width: usize, epsilon: f64, vb: VarBuilder<'_>) -> Result<LayerNorm> {
    let mut norm = layer_norm_no_bias(width, epsilon, vb.clone())?;
    norm.bias = Some(Param::load(&vb, "bias", width, ParamRole::Norm, ZERO)?);
    Ok(norm)
}

/// A layer normalization without a bias. Its parameter is `weight`.
///
/// # Errors
/// If the weight cannot be loaded.
pub fn layer_norm_no_bias(width: usize, epsilon: f64, vb: VarBuilder<'_>) -> Result<LayerNorm> {
    let weight = Param::load(&vb, "weight", width, ParamRole::Norm, ONE)?;
    Ok(LayerNorm::new(weight, None, epsilon))
}

impl LayerNorm {
    /// A layer over given parameters.
    ///
    /// # Shapes
    /// weight and bias `[width]`
    pub fn new(weight: Param, bias: Option<Param>, epsilon: f64) -> Self {
        Self {
            weight,
            bias,
            epsilon,
        }
    }

    /// Normalizes each row.
    ///
    /// # Shapes
    /// xs `[.., width]` → the same
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward<'a, O: Ops>(&self, xs: &Var<'a, O>) -> Result<Var<'a, O>> {
        let (ops, bias) = (xs.ops(), self.bias.as_ref());
        Ok(xs.with(ops.layer_norm(xs.value(), &self.weight, bias, self.epsilon)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::test_support::{assert_close, rows, vector, weights};
    use crate::{Eager, Parameters as _};

    #[test]
    fn bias_is_optional() -> Result<()> {
        let tensors = [
            ("weight", vector(&[1.0, 2.0])?),
            ("bias", vector(&[0.5, -0.5])?),
        ];
        let ops = Eager::new();
        // Mean 2, variance 1.
        let xs = Var::new(&ops, rows(&[[1.0, 3.0]])?);
        let with = layer_norm(2, 0.0, weights(&tensors))?;
        assert_close(&with.forward(&xs)?, &[-0.5, 1.5])?;
        let without = layer_norm_no_bias(2, 0.0, weights(&tensors[..1]))?;
        assert_close(&without.forward(&xs)?, &[-1.0, 2.0])?;
        assert!(
            with.params()
                .iter()
                .all(|param| param.role() == ParamRole::Norm)
        );
        assert_eq!((with.params().len(), without.params().len()), (2, 1));
        Ok(())
    }
}
