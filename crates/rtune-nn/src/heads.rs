use crate::{Linear, Ops, Param, ParamRole, Result, Var, parameters};
use candle_nn::init::ZERO;
use candle_nn::{Init, VarBuilder};
use rtune_task::{Cutpoints, OrdinalScale, Task, TaskSpec};

/// What stands on the pooled vector: one linear layer and, for ordinal models, the cutpoints.
#[derive(Debug, Clone)]
pub struct Head {
    linear: Linear,
    cutpoints: Option<Param>,
}

parameters!(Head: linear, cutpoints);

impl Head {
    /// The head that `spec` describes, with initial values for parameters that the checkpoint
    /// lacks.
    pub(crate) fn load(spec: &TaskSpec, vb: &VarBuilder<'_>, width: usize) -> Result<Self> {
        let outputs = spec.outputs();
        let init = Init::Randn {
            mean: 0.0,
            stdev: 0.02,
        };
        let weight = Param::load(vb, "weight", (outputs, width), ParamRole::Weight, init)?;
        let bias = Param::load(vb, "bias", outputs, ParamRole::Bias, ZERO)?;
        let cutpoints = match spec.task {
            Task::Ordinal => {
                let count = spec.labels.len() - 1;
                Some(Param::load(
                    vb,
                    "cutpoints",
                    count,
                    ParamRole::Cutpoints,
                    ZERO,
                )?)
            }
            Task::Classification | Task::Regression => None,
        };
        Ok(Self {
            linear: Linear::new(weight, Some(bias)),
            cutpoints,
        })
    }

    /// # Shapes
    /// pooled `[batch, width]` → `[batch, outputs]`
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn forward<'a, O: Ops>(&self, pooled: &Var<'a, O>) -> Result<Var<'a, O>> {
        self.linear.forward(pooled)
    }

    /// The parameters of the cutpoints of an ordinal model.
    pub fn cutpoints(&self) -> Option<&Param> {
        self.cutpoints.as_ref()
    }

    /// The scale of an ordinal model.
    ///
    /// # Errors
    /// Where the tensor cannot be read.
    pub fn scale(&self, spec: &TaskSpec) -> Result<Option<OrdinalScale>> {
        let Some(param) = &self.cutpoints else {
            return Ok(None);
        };
        let values: Vec<f64> = param
            .value()
            .to_vec1::<f32>()?
            .into_iter()
            .map(f64::from)
            .collect();
        let cutpoints = match spec.cutpoints {
            Cutpoints::Ordered => ordered_cutpoints(&values),
            Cutpoints::Clipped => values,
        };
        Ok(Some(OrdinalScale::new(cutpoints, spec.link)))
    }
}

/// c_0 = p_0, c_k = c_{k−1} + softplus(p_k): ascending for any parameters.
pub fn ordered_cutpoints(parameters: &[f64]) -> Vec<f64> {
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    let mut last = 0.0;
    let step = |(index, p): (usize, &f64)| {
        last = if index == 0 { *p } else { last + softplus(*p) };
        last
    };
    parameters.iter().enumerate().map(step).collect()
}

/// The inverse of [`ordered_cutpoints`].
pub fn ordered_parameters(cutpoints: &[f64]) -> Vec<f64> {
    let inverse = |gap: f64| {
        if gap > 30.0 {
            gap
        } else {
            gap.exp_m1().max(1e-12).ln()
        }
    };
    let gaps = cutpoints.windows(2).map(|pair| inverse(pair[1] - pair[0]));
    cutpoints.first().copied().into_iter().chain(gaps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parametrization_inverts() {
        let cutpoints = [-2.0, -0.5, 0.25, 40.0];
        for (a, b) in ordered_cutpoints(&ordered_parameters(&cutpoints))
            .iter()
            .zip(cutpoints)
        {
            assert!((a - b).abs() < 1e-9);
        }
        assert_eq!(ordered_cutpoints(&[0.5]), [0.5]);
    }
}
