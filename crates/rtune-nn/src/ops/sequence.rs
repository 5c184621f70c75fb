use super::attention::{self, Attention, Disentangled, Rotary};
use crate::{Ops, Result, Var};

/// The number added to the attention scores of padding. It is finite, so that a row of padding
/// alone gives no NaN, and within the range of half precision.
pub const MASK_BIAS: f64 = -1e4;

/// The rule that numbers the tokens of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Positions {
    /// 0, 1, 2, …: BERT and most others.
    #[default]
    FromZero,
    /// The number of tokens up to and including this one, plus the id of the padding token; padding
    /// itself gets that id. RoBERTa's rule: with padding id 1, positions start at 2.
    AfterPadding(u32),
}

/// The operations that know how tokens lie in memory.
///
/// Below, `tokens..` is the token layout: `[batch, sequence]` padded, `[tokens]` packed,
/// `[batch·sequence]` in graphs. `[batch, heads, sequence, head_dim]` is the grid that attention
/// computes on. A vision model needs [`Ops`] alone.
///
/// # Errors
/// As for [`Ops`].
pub trait SequenceOps: Ops {
    /// The token layout of one batch.
    type Sequences;

    /// Numbers the tokens.
    ///
    /// # Shapes
    /// → ids `[tokens..]`
    fn position_ids(
        &self,
        positions: Positions,
        sequences: &Self::Sequences,
    ) -> Result<Self::Value>;
    /// Numbers the places of the grid, 0, 1, 2, …, as floats.
    ///
    /// # Shapes
    /// → `[sequence, 1]`
    fn grid_positions(&self, sequences: &Self::Sequences) -> Result<Self::Value>;
    /// Returns the summand of attention scores that hides padding: 0 for tokens, [`MASK_BIAS`] for
    /// padding.
    ///
    /// # Shapes
    /// → `[batch, 1, 1, sequence]`
    fn mask_bias(&self, sequences: &Self::Sequences) -> Result<Self::Value>;
    /// Lays the heads of each sequence side by side on the grid.
    ///
    /// # Shapes
    /// x `[tokens.., heads · head_dim]` → `[batch, heads, sequence, head_dim]`
    fn split_heads(
        &self,
        x: &Self::Value,
        heads: usize,
        head_dim: usize,
        sequences: &Self::Sequences,
    ) -> Result<Self::Value>;
    /// Undoes [`SequenceOps::split_heads`].
    ///
    /// # Shapes
    /// x `[batch, heads, sequence, head_dim]` → `[tokens.., heads · head_dim]`
    fn merge_heads(
        &self,
        x: &Self::Value,
        heads: usize,
        head_dim: usize,
        sequences: &Self::Sequences,
    ) -> Result<Self::Value>;
    /// Averages the tokens of each sequence, without padding.
    ///
    /// # Shapes
    /// hidden `[tokens.., width]` → `[batch, width]`
    fn mean_pool(&self, hidden: &Self::Value, sequences: &Self::Sequences) -> Result<Self::Value>;
    /// Takes the first token of each sequence.
    ///
    /// # Shapes
    /// hidden `[tokens.., width]` → `[batch, width]`
    fn first_pool(&self, hidden: &Self::Value, sequences: &Self::Sequences) -> Result<Self::Value>;

    /// Turns pairs of elements of each head by an angle that grows with the position (Su et al.,
    /// 2021).
    ///
    /// # Shapes
    /// x `[batch, heads, sequence, head_dim]` → the same
    fn rotate(
        &self,
        x: &Self::Value,
        head_dim: usize,
        rotary: &Rotary,
        sequences: &Self::Sequences,
    ) -> Result<Self::Value> {
        attention::rotate(&Var::of(self, x), head_dim, rotary, sequences)
    }

    /// Attends to the tokens of the same sequence: softmax(q · kᵀ · scale + bias + mask) · v in
    /// each head (Vaswani et al., 2017), with what else `spec` asks for.
    ///
    /// # Shapes
    /// query `[tokens.., heads · head_dim]`, key and value `[tokens.., kv_heads · head_dim]`
    /// → `[tokens.., heads · head_dim]`
    fn attention(
        &self,
        query: &Self::Value,
        key: &Self::Value,
        value: &Self::Value,
        spec: &Attention,
        sequences: &Self::Sequences,
    ) -> Result<Self::Value> {
        let [query, key, value] = [query, key, value].map(|x| Var::of(self, x));
        attention::attention([&query, &key, &value], None, spec, sequences)
    }

    /// As [`SequenceOps::attention`], with scores between tokens and relative positions.
    ///
    /// # Shapes
    /// query, key and value `[tokens.., heads · head_dim]` → the same
    fn disentangled_attention(
        &self,
        query: &Self::Value,
        key: &Self::Value,
        value: &Self::Value,
        positions: &Disentangled<Self::Value>,
        spec: &Attention,
        sequences: &Self::Sequences,
    ) -> Result<Self::Value> {
        let [query, key, value] = [query, key, value].map(|x| Var::of(self, x));
        attention::attention([&query, &key, &value], Some(positions), spec, sequences)
    }
}
