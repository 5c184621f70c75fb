//! Task heads, one file for each part.

mod classes;
mod cutpoints;
mod linear;
mod origin;
mod pooler;

pub use classes::class_log_probabilities;
pub use cutpoints::{OrdinalCutpoints, ordered_cutpoints, ordered_parameters};
pub use linear::linear_head;
pub use origin::HeadOrigin;
pub(crate) use pooler::reduction;
pub use pooler::{FamilyHead, HeadNorm, Pooler, Reduction};

use crate::{Linear, Ops, Param, ParamRole, Parameters as _, Result, Var, parameters};
use candle_nn::VarBuilder;
use rtune_task::{OrdinalScale, Task, TaskSpec};

/// The last part of a text model: a layer over the pooled vector and, for ordinal models,
/// cutpoints.
#[derive(Debug, Clone)]
pub struct Head {
    /// None for an encoder without a head.
    linear: Option<Linear>,
    cutpoints: Option<OrdinalCutpoints>,
}

parameters!(Head: linear, cutpoints);

impl Head {
    /// The head that `spec` describes, with initial values for the parameters that the source of
    /// `vb` lacks.
    ///
    /// # Errors
    /// If a parameter cannot be loaded.
    pub fn load(spec: &TaskSpec, width: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let linear = match spec.task {
            Task::Embedding => None,
            _ => Some(linear_head(width, spec.outputs(), true, vb)?),
        };
        let cutpoints = match spec.task {
            Task::Ordinal => Some(OrdinalCutpoints::load(spec, vb)?),
            Task::Classification | Task::Regression | Task::Embedding => None,
        };
        Ok(Self { linear, cutpoints })
    }

    /// Computes the logits: a score, one logit for each class, or a number. Without a head, they
    /// are the vector itself.
    ///
    /// # Shapes
    /// pooled `[batch, width]` → `[batch, outputs]`
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward<'a, O: Ops>(&self, pooled: &Var<'a, O>) -> Result<Var<'a, O>> {
        match &self.linear {
            Some(linear) => linear.forward(pooled),
            None => Ok(pooled.clone()),
        }
    }

    /// Changes the parameters so that each output is `factor` times what it was, plus `offset`.
    ///
    /// # Errors
    /// If the parameters cannot be read from their device or written to it.
    pub fn rescale(&self, factor: f64, offset: f64) -> Result<()> {
        for param in self.linear.iter().flat_map(Linear::params) {
            let value = param.value();
            let offset = match param.role() {
                ParamRole::Bias => offset,
                _ => 0.0,
            };
            value.slice_set(&value.affine(factor, offset)?, 0, 0)?;
        }
        Ok(())
    }

    /// The parameters of the cutpoints of an ordinal model.
    pub fn cutpoints(&self) -> Option<&Param> {
        self.cutpoints.as_ref().map(OrdinalCutpoints::param)
    }

    /// The scale of an ordinal model.
    ///
    /// # Errors
    /// If the cutpoints cannot be read from their device.
    pub fn scale(&self, spec: &TaskSpec) -> Result<Option<OrdinalScale>> {
        let Some(cutpoints) = &self.cutpoints else {
            return Ok(None);
        };
        Ok(Some(OrdinalScale::new(cutpoints.values()?, spec.link)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Eager, ParamGroup, StateDict, WeightLoader};
    use candle_core::{Device, Tensor};
    use rtune_task::{Cutpoints, Decision, Link, Pooling};

    fn spec(task: Task, labels: &[&str]) -> TaskSpec {
        TaskSpec {
            task,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            pooling: Pooling::Mean,
            link: Link::Logit,
            cutpoints: Cutpoints::Ordered,
            decision: Decision::default(),
            targets: None,
            text_pairs: false,
            max_length: 8,
        }
    }

    #[test]
    fn the_task_decides_the_parameters() -> Result<()> {
        let (weight, bias) = (ParamRole::Weight, ParamRole::Bias);
        let labels = ["bad", "fair", "good"];
        let cases = [
            (
                spec(Task::Ordinal, &labels),
                vec![
                    ("head.weight", weight, vec![1, 4]),
                    ("head.bias", bias, vec![1]),
                    ("head.cutpoints", ParamRole::Cutpoints, vec![2]),
                ],
            ),
            (
                spec(Task::Classification, &labels),
                vec![
                    ("head.weight", weight, vec![3, 4]),
                    ("head.bias", bias, vec![3]),
                ],
            ),
            (
                spec(Task::Regression, &[]),
                vec![
                    ("head.weight", weight, vec![1, 4]),
                    ("head.bias", bias, vec![1]),
                ],
            ),
        ];
        for (spec, expected) in cases {
            let loader = WeightLoader::new(StateDict::default(), 1, &Device::Cpu);
            let head = Head::load(&spec, 4, &loader.initialized().pp("head"))?;
            let params = head.params();
            let found: Vec<_> = params
                .iter()
                .map(|p| (p.name(), p.role(), p.value().dims().to_vec()))
                .collect();
            assert_eq!(found, expected);
            assert!(params.iter().all(|param| param.group() == ParamGroup::Head));
            let ops = Eager::new();
            let pooled = Var::new(
                &ops,
                Tensor::ones((2, 4), candle_core::DType::F32, &Device::Cpu)?,
            );
            assert_eq!(head.forward(&pooled)?.value().dims(), [2, spec.outputs()]);
            assert_eq!(head.scale(&spec)?.is_some(), spec.task == Task::Ordinal);
        }
        Ok(())
    }

    #[test]
    fn a_rescaled_head_gives_rescaled_outputs() -> Result<()> {
        let spec = spec(Task::Regression, &[]);
        let loader = WeightLoader::new(StateDict::default(), 1, &Device::Cpu);
        let head = Head::load(&spec, 4, &loader.initialized().pp("head"))?;
        let ops = Eager::new();
        let pooled = Tensor::new(&[[1_f32, -2.0, 0.5, 40.0]], &Device::Cpu)?;
        let output = || -> Result<f32> {
            let pooled = Var::new(&ops, pooled.clone());
            Ok(head
                .forward(&pooled)?
                .value()
                .flatten_all()?
                .to_vec1::<f32>()?[0])
        };
        let before = output()?;
        head.rescale(30.0, 50.0)?;
        let rescaled = output()?;
        assert!(
            (rescaled - (30.0 * before + 50.0)).abs() < 1e-5,
            "{rescaled}"
        );
        head.rescale(1.0 / 30.0, -50.0 / 30.0)?;
        assert!((output()? - before).abs() < 1e-6);
        Ok(())
    }

    #[test]
    fn initial_values_depend_on_the_seed_alone() -> Result<()> {
        let spec = spec(Task::Classification, &["no", "yes"]);
        let weights = |seed| {
            let loader = WeightLoader::new(StateDict::default(), seed, &Device::Cpu);
            let head = Head::load(&spec, 64, &loader.initialized().pp("head"))?;
            Ok::<_, crate::NnError>(head.params()[0].value().flatten_all()?.to_vec1::<f32>()?)
        };
        let values = weights(5)?;
        assert_eq!(values, weights(5)?);
        assert_ne!(values, weights(6)?);
        let square = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        assert!(
            (square.sqrt() - 0.02).abs() < 0.005,
            "deviation {}",
            square.sqrt()
        );
        Ok(())
    }
}
