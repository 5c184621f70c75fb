//! Normalizations and activations that are written in the form that the runtime fuses.

use super::Recorder;
use rtune_graph::{NodeDraft, ValueId};
use rtune_nn::{Operation, Ops as _, Param, Result};

impl Recorder {
    pub(super) fn record_layer_norm(
        &self,
        x: ValueId,
        weight: &Param,
        bias: Option<&Param>,
        epsilon: f64,
    ) -> Result<ValueId> {
        let name = self.scopes.module(weight);
        let mut inputs = vec![x, self.param(weight)?];
        inputs.extend(bias.map(|bias| self.param(bias)).transpose()?);
        let draft = NodeDraft::new("LayerNormalization", name).inputs(inputs);
        let draft = draft.attribute("axis", -1_i64);
        self.add(draft.attribute("epsilon", epsilon as f32))
    }

    /// The chain that the runtime recognizes and replaces by its own
    /// `SimplifiedLayerNormalization`; the standard has an operator from 23 on.
    pub(super) fn record_rms_norm(
        &self,
        x: ValueId,
        weight: &Param,
        epsilon: f64,
    ) -> Result<ValueId> {
        let name = self.scopes.module(weight);
        let part = |part: &str| format!("{name}/{part}");
        let square = self.node("Pow", &part("Pow"), &[x, self.scalar(2.0)?])?;
        let mean = NodeDraft::new("ReduceMean", part("ReduceMean")).inputs([square]);
        let mean = self.add(mean.attribute("axes", vec![-1_i64]))?;
        let shifted = self.node("Add", &part("Add"), &[mean, self.scalar(epsilon)?])?;
        let root = self.node("Sqrt", &part("Sqrt"), &[shifted])?;
        let normal = self.node("Div", &part("Div"), &[x, root])?;
        self.node("Mul", &name, &[normal, self.param(weight)?])
    }

    /// The chain that the runtime recognizes and replaces by its own Gelu.
    pub(super) fn record_gelu_erf(&self, x: ValueId) -> Result<ValueId> {
        let name = self.scopes.name(Operation::GeluErf);
        let part = |part: &str| format!("{name}/{part}");
        let root = self.scalar(std::f64::consts::SQRT_2)?;
        let scaled = self.node("Div", &part("Div"), &[x, root])?;
        let erf = self.node("Erf", &part("Erf"), &[scaled])?;
        let shifted = self.node("Add", &part("Add"), &[erf, self.scalar(1.0)?])?;
        let product = self.node("Mul", &part("Mul"), &[x, shifted])?;
        self.node("Mul", &name, &[product, self.scalar(0.5)?])
    }
}
