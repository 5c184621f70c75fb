use crate::{Linear, Param, ParamRole, Result};
use candle_nn::init::ZERO;
use candle_nn::{Init, VarBuilder};

/// The standard deviation of initial weights, BERT's `initializer_range`.
const INITIAL_DEVIATION: f64 = 0.02;

/// A linear layer of a head: `weight` and, if it has one, `bias` at the path of `vb`. Initial
/// weights are drawn from a normal distribution, initial biases are 0.
///
/// # Errors
/// If a parameter cannot be loaded.
pub fn linear_head(
    inputs: usize,
    outputs: usize,
    bias: bool,
    vb: &VarBuilder<'_>,
) -> Result<Linear> {
    let init = Init::Randn {
        mean: 0.0,
        stdev: INITIAL_DEVIATION,
    };
    let weight = Param::load(vb, "weight", (outputs, inputs), ParamRole::Weight, init)?;
    let bias = bias.then(|| Param::load(vb, "bias", outputs, ParamRole::Bias, ZERO));
    Ok(Linear::new(weight, bias.transpose()?))
}
