use crate::{Ops, Param, ParamRole, Result, Var, parameters};
use candle_nn::init::DEFAULT_KAIMING_NORMAL;
use candle_nn::{Init, VarBuilder};

/// An affine map of the last axis: x · weightᵀ + bias.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Param,
    bias: Option<Param>,
}

parameters!(Linear: weight, bias);

/// A linear layer with a bias. Its parameters are `weight` and `bias`.
///
/// # Errors
/// If a parameter cannot be loaded.
pub fn linear(inputs: usize, outputs: usize, vb: VarBuilder<'_>) -> Result<Linear> {
    linear_b(inputs, outputs, true, vb)
}

/// A linear layer without a bias.
///
/// # Errors
/// If the weight cannot be loaded.
pub fn linear_no_bias(inputs: usize, outputs: usize, vb: VarBuilder<'_>) -> Result<Linear> {
    linear_b(inputs, outputs, false, vb)
}

/// A linear layer whose bias is optional.
///
/// # Errors
/// If a parameter cannot be loaded.
pub fn linear_b(inputs: usize, outputs: usize, bias: bool, vb: VarBuilder<'_>) -> Result<Linear> {
    let shape = (outputs, inputs);
    let weight = Param::load(
        &vb,
        "weight",
        shape,
        ParamRole::Weight,
        DEFAULT_KAIMING_NORMAL,
    )?;
    // The initial values are those of PyTorch and candle.
    let bound = 1.0 / (inputs as f64).sqrt();
    let init = Init::Uniform {
        lo: -bound,
        up: bound,
    };
    let bias = bias.then(|| Param::load(&vb, "bias", outputs, ParamRole::Bias, init));
    Ok(Linear::new(weight, bias.transpose()?))
}

impl Linear {
    /// A layer over given parameters.
    ///
    /// # Shapes
    /// weight `[out, in]`, bias `[out]`
    pub fn new(weight: Param, bias: Option<Param>) -> Self {
        Self { weight, bias }
    }

    /// Applies the layer to each row.
    ///
    /// # Shapes
    /// xs `[.., in]` → `[.., out]`
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward<'a, O: Ops>(&self, xs: &Var<'a, O>) -> Result<Var<'a, O>> {
        let bias = self.bias.as_ref();
        Ok(xs.with(xs.ops().linear(xs.value(), &self.weight, bias)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::test_support::{assert_close, rows, vector, weights};
    use crate::{Eager, Parameters as _};

    #[test]
    fn constructors_differ_by_the_bias() -> Result<()> {
        let vb = weights(&[
            ("fc.weight", rows(&[[1.0, 2.0], [0.0, -1.0]])?),
            ("fc.bias", vector(&[10.0, 20.0])?),
        ]);
        let ops = Eager::new();
        let xs = Var::new(&ops, rows(&[[1.0, 1.0]])?);
        let with = linear(2, 2, vb.pp("fc"))?;
        assert_close(&with.forward(&xs)?, &[13.0, 19.0])?;
        let without = linear_no_bias(2, 2, vb.pp("fc"))?;
        assert_close(&without.forward(&xs)?, &[3.0, -1.0])?;
        let named: Vec<_> = with.params().iter().map(|p| (p.name(), p.role())).collect();
        assert_eq!(
            named,
            [
                ("fc.weight", ParamRole::Weight),
                ("fc.bias", ParamRole::Bias)
            ]
        );
        Ok(())
    }

    #[test]
    fn a_shape_that_does_not_fit_is_an_error_of_other_sources() -> Result<()> {
        let vb = weights(&[("fc.weight", rows(&[[1.0, 2.0]])?)]);
        assert!(linear_no_bias(2, 3, vb.pp("fc")).is_err());
        assert!(linear_no_bias(2, 1, vb.pp("missing")).is_err());
        Ok(())
    }
}
