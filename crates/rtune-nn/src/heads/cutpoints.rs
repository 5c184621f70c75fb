use crate::{NnError, Param, ParamRole, Result, parameters};
use candle_nn::VarBuilder;
use candle_nn::init::ZERO;
use rtune_task::{Cutpoints, TaskSpec};

/// The cutpoints of an ordinal head, in the parametrization that the task states.
#[derive(Debug, Clone)]
pub struct OrdinalCutpoints {
    param: Param,
    form: Cutpoints,
}

parameters!(OrdinalCutpoints: param);

impl OrdinalCutpoints {
    /// The parameter `cutpoints` at the path of `vb`, one element fewer than there are labels.
    ///
    /// # Errors
    /// If there are no labels, or the parameter cannot be loaded.
    pub fn load(spec: &TaskSpec, vb: &VarBuilder<'_>) -> Result<Self> {
        let count = spec.labels.len().checked_sub(1).ok_or_else(|| {
            NnError::config(
                "labels",
                "an ordinal head needs at least 2 labels, found none",
            )
        })?;
        Ok(Self {
            param: Param::load(vb, "cutpoints", count, ParamRole::Cutpoints, ZERO)?,
            form: spec.cutpoints,
        })
    }

    /// The parameter.
    pub fn param(&self) -> &Param {
        &self.param
    }

    /// The cutpoints, ascending.
    ///
    /// # Errors
    /// If the parameter cannot be read from its device.
    pub fn values(&self) -> Result<Vec<f64>> {
        let parameters = self.param.value().to_vec1::<f32>()?;
        let parameters: Vec<f64> = parameters.into_iter().map(f64::from).collect();
        Ok(match self.form {
            Cutpoints::Ordered => ordered_cutpoints(&parameters),
            Cutpoints::Clipped => parameters,
        })
    }
}

/// The cutpoints of [`Cutpoints::Ordered`] parameters: c_0 = p_0, c_k = c_{k−1} + softplus(p_k),
/// which ascend for any parameters.
///
/// # Shapes
/// `[classes − 1]` → the same
pub fn ordered_cutpoints(parameters: &[f64]) -> Vec<f64> {
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    let mut last = 0.0;
    let step = |(index, p): (usize, &f64)| {
        last = if index == 0 { *p } else { last + softplus(*p) };
        last
    };
    parameters.iter().enumerate().map(step).collect()
}

/// The inverse of [`ordered_cutpoints`]. Gaps below 1e-12 become gaps of 1e-12.
///
/// # Shapes
/// `[classes − 1]` → the same
pub fn ordered_parameters(cutpoints: &[f64]) -> Vec<f64> {
    let inverse = |gap: f64| {
        // Above 30, softplus is the identity in double precision.
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
    use crate::{StateDict, WeightLoader};
    use candle_core::{Device, Tensor};
    use rtune_task::{Decision, Link, Pooling, Task};
    use std::collections::BTreeMap;

    #[test]
    fn parametrization_inverts() {
        let cutpoints = [-2.0, -0.5, 0.25, 40.0];
        let again = ordered_cutpoints(&ordered_parameters(&cutpoints));
        for (a, b) in again.iter().zip(cutpoints) {
            assert!((a - b).abs() < 1e-9);
        }
        assert_eq!(ordered_cutpoints(&[0.5]), [0.5]);
        assert!(ordered_cutpoints(&[]).is_empty());
    }

    #[test]
    fn ordered_cutpoints_ascend_for_any_parameters() {
        let cutpoints = ordered_cutpoints(&[3.0, -30.0, 0.0, -2.0, 50.0]);
        assert!(cutpoints.is_sorted_by(|a, b| a < b), "{cutpoints:?}");
    }

    #[test]
    fn the_form_of_the_task_decides_the_values() -> Result<()> {
        let two_ln = 2_f64.ln();
        let cases = [
            (Cutpoints::Ordered, [-1.0, -1.0 + two_ln]),
            (Cutpoints::Clipped, [-1.0, 0.0]),
        ];
        for (form, expected) in cases {
            let spec = TaskSpec {
                task: Task::Ordinal,
                labels: ["a", "b", "c"].map(str::to_owned).to_vec(),
                pooling: Pooling::Mean,
                link: Link::Logit,
                cutpoints: form,
                decision: Decision::default(),
                targets: None,
                text_pairs: false,
                max_length: 8,
            };
            let stored = Tensor::new(&[-1_f32, 0.0], &Device::Cpu)?;
            let tensors = BTreeMap::from([("head.cutpoints".to_owned(), stored)]);
            let loader = WeightLoader::new(StateDict::from(tensors), 1, &Device::Cpu);
            let values =
                OrdinalCutpoints::load(&spec, &loader.initialized().pp("head"))?.values()?;
            for (found, expected) in values.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{form:?}: {found}");
            }
        }
        Ok(())
    }
}
