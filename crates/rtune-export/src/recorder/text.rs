//! The inputs of a text model.

use super::{GraphSequences, Recorder};
use crate::ExportError;
use rtune_graph::{Dim, ElementType, Fact, NodeDraft, ValueId};
use rtune_nn::{Kind, MASK_BIAS};

/// The inputs of a text model, as the forward takes them.
#[derive(Debug, Clone)]
pub struct TextInputs {
    /// i64 `[batch·sequence]`
    pub input_ids: ValueId,
    /// i64 `[batch·sequence]`
    pub token_type_ids: ValueId,
    /// The token layout.
    pub sequences: GraphSequences,
}

/// The element type of a kind of elements in graphs.
pub(crate) fn element_type(kind: Kind) -> ElementType {
    match kind {
        Kind::Float => ElementType::Float32,
        Kind::Int => ElementType::Int64,
        Kind::Bool => ElementType::Bool,
    }
}

/// The number of a kind's element type in the ONNX standard (`TensorProto.DataType`).
pub(super) fn code(kind: Kind) -> i64 {
    match kind {
        Kind::Float => 1,
        Kind::Int => 7,
        Kind::Bool => 9,
    }
}

impl Recorder {
    /// Adds the inputs of a text model, each `[batch, sequence]`, and the token layout.
    /// `max_positions` is the length of the longest sequence.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn text_inputs(&self, max_positions: usize) -> Result<TextInputs, ExportError> {
        let dims = || [Dim::symbol("batch"), Dim::symbol("sequence")];
        let input = |name| self.input(name, Fact::new(ElementType::Int64, dims()));
        let ids = input("input_ids")?;
        let attention_mask = input("attention_mask")?;
        let types = input("token_type_ids")?;
        let flat = self.i64s("shape/flat", &[-1])?;
        let flatten = |name: &str, x| self.node("Reshape", name, &[x, flat]);

        let grid = self.add(NodeDraft::new("Shape", "inputs/grid").inputs([ids]))?;
        let sequence = NodeDraft::new("Shape", "inputs/sequence").inputs([ids]);
        let sequence = self.add(sequence.attribute("start", 1_i64))?;
        let places: Vec<i64> = (0_i64..).take(max_positions).collect();
        let places = self.i64s("embeddings.position_ids", &places)?;
        let zero = self.i64s("shape/zero", &[0])?;
        let slice = [places, zero, sequence, zero];
        let row = self.node("Slice", "inputs/positions/Slice", &slice)?;
        let rows = self.node("Expand", "inputs/positions/Expand", &[row, grid])?;
        let mask = NodeDraft::new("Cast", "inputs/mask").inputs([attention_mask]);
        let mask = self.add(mask.attribute("to", code(Kind::Float)))?;
        let axes = self.i64s("shape/heads_and_queries", &[1, 2])?;
        let wide = self.node("Unsqueeze", "inputs/mask_bias/Unsqueeze", &[mask, axes])?;
        let mask_bias = self.affine_named(wide, -MASK_BIAS, MASK_BIAS, "inputs/mask_bias")?;
        Ok(TextInputs {
            input_ids: flatten("inputs/input_ids", ids)?,
            token_type_ids: flatten("inputs/token_type_ids", types)?,
            sequences: GraphSequences {
                grid,
                row,
                positions: flatten("inputs/positions", rows)?,
                attention_mask,
                mask,
                mask_bias,
            },
        })
    }
}
