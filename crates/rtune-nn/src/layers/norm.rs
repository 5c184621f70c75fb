use crate::{
    LayerNorm, Ops, Param, Parameters, Result, RmsNorm, Var, layer_norm, layer_norm_no_bias,
    rms_norm,
};
use candle_nn::VarBuilder;

/// The kinds of normalization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NormKind {
    /// [`LayerNorm`] with a bias.
    #[default]
    Layer,
    /// [`LayerNorm`] without a bias.
    LayerWithoutBias,
    /// [`RmsNorm`].
    Rms,
}

impl NormKind {
    /// A normalization of this kind. Its parameters are `weight` and, if it has one, `bias`.
    ///
    /// # Errors
    /// If a parameter cannot be loaded.
    pub fn load(self, width: usize, epsilon: f64, vb: VarBuilder<'_>) -> Result<Norm> {
        Ok(match self {
            Self::Layer => Norm::Layer(layer_norm(width, epsilon, vb)?),
            Self::LayerWithoutBias => Norm::Layer(layer_norm_no_bias(width, epsilon, vb)?),
            Self::Rms => Norm::Rms(rms_norm(width, epsilon, vb)?),
        })
    }
}

/// A normalization of one of the kinds.
#[derive(Debug, Clone)]
pub enum Norm {
    /// With the mean subtracted.
    Layer(LayerNorm),
    /// Without subtraction.
    Rms(RmsNorm),
}

impl Norm {
    /// Normalizes each row.
    ///
    /// # Shapes
    /// xs `[.., width]` → the same
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward<'a, O: Ops>(&self, xs: &Var<'a, O>) -> Result<Var<'a, O>> {
        match self {
            Self::Layer(norm) => norm.forward(xs),
            Self::Rms(norm) => norm.forward(xs),
        }
    }
}

impl Parameters for Norm {
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a Param)) {
        match self {
            Self::Layer(norm) => norm.visit(visit),
            Self::Rms(norm) => norm.visit(visit),
        }
    }

    fn visit_mut(&mut self, visit: &mut dyn FnMut(&mut Param)) {
        match self {
            Self::Layer(norm) => norm.visit_mut(visit),
            Self::Rms(norm) => norm.visit_mut(visit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Eager;
    use crate::layers::test_support::{assert_close, rows, vector, weights};

    #[test]
    fn the_kind_decides_parameters_and_formula() -> Result<()> {
        let vb = weights(&[
            ("weight", vector(&[1.0, 2.0])?),
            ("bias", vector(&[0.5, 0.0])?),
        ]);
        let ops = Eager::new();
        // Mean 4, variance 9, mean square 25.
        let xs = Var::new(&ops, rows(&[[1.0, 7.0]])?);
        for (kind, count, expected) in [
            (NormKind::Layer, 2, [-0.5, 2.0]),
            (NormKind::LayerWithoutBias, 1, [-1.0, 2.0]),
            (NormKind::Rms, 1, [0.2, 2.8]),
        ] {
            let norm = kind.load(2, 0.0, vb.clone())?;
            assert_close(&norm.forward(&xs)?, &expected)?;
            assert_eq!(norm.params().len(), count);
        }
        Ok(())
    }
}
