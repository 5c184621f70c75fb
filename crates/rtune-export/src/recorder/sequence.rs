//! The token layout: flat in linear layers, a grid in attention and pooling.

use super::{Recorder, as_i64, size_as_i64, text};
use rtune_graph::{NodeDraft, Tensor, ValueId};
use rtune_nn::{Kind, NnError, Operation, Positions, Result, SequenceOps};

/// The token layout of a batch in the graph.
#[derive(Debug, Clone)]
pub struct GraphSequences {
    /// i64 `[2]`: batch and sequence.
    pub(super) grid: ValueId,
    /// i64 `[sequence]`: 0, 1, 2, …
    pub(super) row: ValueId,
    /// i64 `[batch·sequence]`
    pub(super) positions: ValueId,
    /// i64 `[batch, sequence]`
    pub(super) attention_mask: ValueId,
    /// f32 `[batch, sequence]`
    pub(super) mask: ValueId,
    /// f32 `[batch, 1, 1, sequence]`
    pub(super) mask_bias: ValueId,
}

impl Recorder {
    /// `[batch, sequence]` and the given sizes as one shape.
    fn grid_shape(&self, sequences: &GraphSequences, sizes: &[usize]) -> Result<ValueId> {
        let label: Vec<String> = sizes.iter().map(ToString::to_string).collect();
        let label = label.join("x");
        let name = format!("shape/grid/{label}");
        self.once(&name, || {
            let rest = self.i64s(&format!("shape/{label}"), &as_i64(sizes)?)?;
            let draft = NodeDraft::new("Concat", &name).inputs([sequences.grid, rest]);
            self.add(draft.attribute("axis", 0_i64))
        })
    }

    /// The width of the last axis of `hidden`, for the node `name`.
    ///
    /// # Errors
    /// If it is not known while the graph is recorded.
    fn width(&self, hidden: ValueId, name: &str) -> Result<usize> {
        let width = self.dims(hidden).and_then(|dims| dims.last()?.fixed());
        width
            .and_then(|width| usize::try_from(width).ok())
            .ok_or_else(|| {
                NnError::operation(format!(
                    "{name}: the width of the hidden states is not known"
                ))
            })
    }

    /// `[batch·sequence, width]` → `[batch, sequence, width]`.
    fn to_grid(&self, hidden: ValueId, sequences: &GraphSequences, name: &str) -> Result<ValueId> {
        let shape = self.grid_shape(sequences, &[self.width(hidden, name)?])?;
        self.node("Reshape", name, &[hidden, shape])
    }

    /// Swaps the axes of heads and of the sequence.
    fn swap_heads(&self, x: ValueId, name: &str) -> Result<ValueId> {
        let draft = NodeDraft::new("Transpose", name).inputs([x]);
        self.add(draft.attribute("perm", vec![0_i64, 2, 1, 3]))
    }

    /// Positions that start after the padding id: the running count of the mask, 0 for padding,
    /// plus the id.
    fn positions_after(&self, padding: u32, sequences: &GraphSequences) -> Result<ValueId> {
        let name = format!("inputs/positions_after_{padding}");
        let part = |part: &str| format!("{name}/{part}");
        self.once(&name, || {
            let mask = sequences.attention_mask;
            let axis = self.constant("shape/axis", || Tensor::from_i64(&[], &[1]))?;
            let counts = self.node("CumSum", &part("CumSum"), &[mask, axis])?;
            let counts = self.node("Mul", &part("Mul"), &[counts, mask])?;
            let offset = self.constant(&format!("constant/padding/{padding}"), || {
                Tensor::from_i64(&[], &[i64::from(padding)])
            })?;
            let grid = self.node("Add", &part("Add"), &[counts, offset])?;
            let flat = self.i64s("shape/flat", &[-1])?;
            self.node("Reshape", &name, &[grid, flat])
        })
    }
}

impl SequenceOps for Recorder {
    type Sequences = GraphSequences;

    fn position_ids(&self, positions: Positions, sequences: &GraphSequences) -> Result<ValueId> {
        match positions {
            Positions::FromZero => Ok(sequences.positions),
            Positions::AfterPadding(padding) => self.positions_after(padding, sequences),
        }
    }

    fn grid_positions(&self, sequences: &GraphSequences) -> Result<ValueId> {
        self.once("inputs/grid_positions", || {
            let draft =
                NodeDraft::new("Cast", "inputs/grid_positions/Cast").inputs([sequences.row]);
            let row = self.add(draft.attribute("to", text::code(Kind::Float)))?;
            let axes = self.i64s("shape/1", &[1])?;
            self.node("Unsqueeze", "inputs/grid_positions", &[row, axes])
        })
    }

    fn mask_bias(&self, sequences: &GraphSequences) -> Result<ValueId> {
        Ok(sequences.mask_bias)
    }

    fn split_heads(
        &self,
        x: &ValueId,
        heads: usize,
        head_dim: usize,
        sequences: &GraphSequences,
    ) -> Result<ValueId> {
        let name = self.scopes.name(Operation::SplitHeads);
        let shape = self.grid_shape(sequences, &[heads, head_dim])?;
        let grid = self.node("Reshape", &format!("{name}/Reshape"), &[*x, shape])?;
        self.swap_heads(grid, &name)
    }

    fn merge_heads(
        &self,
        x: &ValueId,
        heads: usize,
        head_dim: usize,
        _: &GraphSequences,
    ) -> Result<ValueId> {
        let name = self.scopes.name(Operation::MergeHeads);
        let grid = self.swap_heads(*x, &format!("{name}/Transpose"))?;
        let width = size_as_i64(heads * head_dim)?;
        let shape = self.i64s(&format!("shape/flat/{width}"), &[-1, width])?;
        self.node("Reshape", &name, &[grid, shape])
    }

    fn mean_pool(&self, hidden: &ValueId, sequences: &GraphSequences) -> Result<ValueId> {
        let name = self.scopes.name(Operation::MeanPool);
        let part = |part: &str| format!("{name}/{part}");
        let width = size_as_i64(self.width(*hidden, &name)?)?;
        let grid = self.to_grid(*hidden, sequences, &part("Reshape"))?;
        let axes = self.i64s("shape/sequence_axis", &[1])?;
        let counts = self.node("ReduceSum", &part("ReduceSum"), &[sequences.mask, axes])?;
        let counts = self.node("Max", &part("Max"), &[counts, self.scalar(1.0)?])?;
        let shares = self.node("Div", &part("Div"), &[sequences.mask, counts])?;
        let shares = self.node("Unsqueeze", &part("Unsqueeze"), &[shares, axes])?;
        let mean = self.node("MatMul", &part("MatMul"), &[shares, grid])?;
        let shape = self.i64s(&format!("shape/batch/{width}"), &[0, width])?;
        self.node("Reshape", &name, &[mean, shape])
    }

    fn first_pool(&self, hidden: &ValueId, sequences: &GraphSequences) -> Result<ValueId> {
        let name = self.scopes.name(Operation::FirstPool);
        let grid = self.to_grid(*hidden, sequences, &format!("{name}/Reshape"))?;
        let first = self.constant("shape/first", || Tensor::from_i64(&[], &[0]))?;
        let draft = NodeDraft::new("Gather", name).inputs([grid, first]);
        self.add(draft.attribute("axis", 1_i64))
    }
}
