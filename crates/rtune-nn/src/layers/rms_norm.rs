use crate::{Ops, Param, ParamRole, Result, Var, parameters};
use candle_nn::VarBuilder;
use candle_nn::init::ONE;

/// Root mean square normalization of the last axis (Zhang and Sennrich, 2019):
/// x / √(mean(x²) + epsilon) · weight.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    weight: Param,
    epsilon: f64,
}

parameters!(RmsNorm: weight);

/// A root mean square normalization. Its parameter is `weight`.
///
/// # Errors
/// If the weight cannot be loaded.
pub fn rms_norm(width: usize, epsilon: f64, vb: VarBuilder<'_>) -> Result<RmsNorm> {
    let weight = Param::load(&vb, "weight", width, ParamRole::Norm, ONE)?;
    Ok(RmsNorm::new(weight, epsilon))
}

impl RmsNorm {
    /// A layer over a given weight.
    ///
    /// # Shapes
    /// weight `[width]`
    pub fn new(weight: Param, epsilon: f64) -> Self {
        Self { weight, epsilon }
    }

    /// Normalizes each row.
    ///
    /// # Shapes
    /// xs `[.., width]` → the same
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward<'a, O: Ops>(&self, xs: &Var<'a, O>) -> Result<Var<'a, O>> {
        Ok(xs.with(xs.ops().rms_norm(xs.value(), &self.weight, self.epsilon)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::test_support::{assert_close, rows, vector, weights};
    use crate::{Eager, Parameters as _};

    #[test]
    fn the_mean_is_not_subtracted_and_the_weight_is_a_norm() -> Result<()> {
        let norm = rms_norm(2, 0.0, weights(&[("weight", vector(&[1.0, 2.0])?)]))?;
        let ops = Eager::new();
        // The mean of 1 and 49 is 25.
        let xs = Var::new(&ops, rows(&[[1.0, 7.0]])?);
        assert_close(&norm.forward(&xs)?, &[0.2, 2.8])?;
        assert_eq!(norm.params()[0].role(), ParamRole::Norm);
        Ok(())
    }
}
