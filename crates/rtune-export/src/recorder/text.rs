//! The inputs of a text model.

use super::{GraphSequences, Recorder};
use crate::ExportError;
use rtune_graph::{Dim, ElementType, Fact, NodeDraft, ValueId};
use rtune_nn::{Kind, MASK_BIAS, NnError};
use rtune_task::{TextInput, TextSignature};
use std::collections::BTreeMap;

/// The inputs of a text model, as the forward takes them.
#[derive(Debug, Clone)]
pub struct TextInputs {
    /// i64 `[batch·sequence]`
    pub input_ids: ValueId,
    /// i64 `[batch·sequence]`, if the signature has token types.
    pub token_type_ids: Option<ValueId>,
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
    i64::from(element_type(kind).code())
}

impl Recorder {
    /// Arranges the vectors of tokens in rows of sequences.
    ///
    /// # Shapes
    /// `[batch·sequence, width]` → `[batch, sequence, width]`
    ///
    /// # Errors
    /// If the value is none of this recorder.
    pub fn in_grid(
        &self,
        vectors: ValueId,
        width: usize,
        sequences: &GraphSequences,
    ) -> Result<ValueId, ExportError> {
        let too_wide = |_| NnError::operation(format!("a width of {width} is too large"));
        let width = i64::try_from(width).map_err(too_wide)?;
        let width = self.i64s("shape/width", &[width])?;
        let shape = NodeDraft::new("Concat", "outputs/grid").inputs([sequences.grid, width]);
        let shape = self.add(shape.attribute("axis", 0_i64))?;
        Ok(self.node("Reshape", "outputs/tokens", &[vectors, shape])?)
    }

    /// Adds the inputs of a text model in the order of its signature, and the token layout.
    /// `max_length` is the length of the longest sequence.
    ///
    /// # Shapes
    /// each input: i64 `[batch, sequence]`
    ///
    /// # Errors
    /// If a name is taken, or the signature has no attention mask.
    pub fn text_inputs(
        &self,
        signature: &TextSignature,
        max_length: usize,
    ) -> Result<TextInputs, ExportError> {
        let mut inputs = BTreeMap::new();
        for input in signature.inputs() {
            let dims = [Dim::symbol("batch"), Dim::symbol("sequence")];
            let fact = Fact::new(ElementType::Int64, dims);
            inputs.insert(*input, self.input(input.name(), fact)?);
        }
        let required = |input: TextInput| {
            inputs.get(&input).copied().ok_or_else(|| {
                let problem = format!("have no `{}`, which attention needs", input.name());
                NnError::config(format!("inputs {signature}"), problem)
            })
        };
        let ids = required(TextInput::InputIds)?;
        let attention_mask = required(TextInput::AttentionMask)?;
        let types = inputs.get(&TextInput::TokenTypeIds);
        let flat = self.i64s("shape/flat", &[-1])?;
        let flatten = |name: &str, x| self.node("Reshape", name, &[x, flat]);

        let grid = self.add(NodeDraft::new("Shape", "inputs/grid").inputs([ids]))?;
        let sequence = NodeDraft::new("Shape", "inputs/sequence").inputs([ids]);
        let sequence = self.add(sequence.attribute("start", 1_i64))?;
        let places: Vec<i64> = (0_i64..).take(max_length).collect();
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
            token_type_ids: types
                .map(|types| flatten("inputs/token_type_ids", *types))
                .transpose()?,
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
