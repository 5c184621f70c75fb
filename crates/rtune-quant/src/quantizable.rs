//! A model that is ready to be planned for.

use crate::QuantError;
use rtune_graph::passes::{constants_to_initializers, initializers_from_inputs};
use rtune_graph::{ElementType, Facts, Model, ValueId, check, infer};

/// A float model with constants as initializers, and with all types and shapes that follow from it.
///
/// This is the only way to a [`Plan`](crate::Plan), and so to calibration and quantization.
#[derive(Debug, Clone)]
pub struct Quantizable {
    model: Model,
    facts: Facts,
}

impl Quantizable {
    /// Turns `Constant` nodes into initializers, takes constants out of the inputs, and infers
    /// types and shapes.
    ///
    /// # Errors
    /// If the operator set is older than 13, which has no per-channel quantization, or the
    /// graph is invalid.
    pub fn new(model: &Model) -> Result<Self, QuantError> {
        if let Some(opset) = model.opset().filter(|opset| *opset < 13) {
            return Err(QuantError::Opset(opset));
        }
        check(model)?;
        let (model, _) = constants_to_initializers(model)?;
        // In old files constants are listed as inputs, too.
        let (model, _) = initializers_from_inputs(&model)?;
        let facts = infer(&model.graph, &model.opsets);
        Ok(Self { model, facts })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Types and shapes of its values.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Names of the outputs that are float32, as far as their type is known.
    pub fn float_outputs(&self) -> Vec<String> {
        let graph = &self.model.graph;
        let is_float = |id: &&ValueId| {
            let found = self.facts.element_type(**id);
            found.is_none_or(|found| found == ElementType::Float32)
        };
        let outputs = graph.outputs().iter().filter(is_float);
        outputs.map(|id| graph.name_of(*id).to_owned()).collect()
    }
}
