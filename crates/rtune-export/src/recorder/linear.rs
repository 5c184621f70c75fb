//! Linear layers.

use super::Recorder;
use super::weight::weight_tensor;
use rtune_graph::{GraphError, NodeDraft, ValueId};
use rtune_nn::{Ops as _, Param, Result};

impl Recorder {
    /// One `Gemm` over rows; over more axes, `MatMul` with the transposed weight.
    pub(super) fn record_linear(
        &self,
        x: ValueId,
        weight: &Param,
        bias: Option<&Param>,
    ) -> Result<ValueId> {
        let name = self.scopes.module(weight);
        if self.dims(x).is_some_and(|dims| dims.len() == 2) {
            let mut inputs = vec![x, self.param(weight)?];
            inputs.extend(bias.map(|bias| self.param(bias)).transpose()?);
            let draft = NodeDraft::new("Gemm", name).inputs(inputs);
            return self.add(draft.attribute("transB", 1_i64));
        }
        let weight = self.transposed(weight)?;
        let Some(bias) = bias else {
            return self.node("MatMul", &name, &[x, weight]);
        };
        let product = self.node("MatMul", &format!("{name}/MatMul"), &[x, weight])?;
        self.node("Add", &name, &[product, self.param(bias)?])
    }

    fn transposed(&self, weight: &Param) -> Result<ValueId> {
        self.constant(&format!("{}.transposed", weight.name()), || {
            let transposed = weight.value().t();
            let transposed =
                transposed.map_err(|e| GraphError::value(weight.name(), e.to_string()))?;
            weight_tensor(weight, &transposed)
        })
    }
}
