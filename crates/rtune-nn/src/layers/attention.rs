use crate::{Attention, Linear, Result, SequenceOps, Var, parameters};

/// Multi-head self-attention with its four projections (Vaswani et al., 2017).
#[derive(Debug, Clone)]
pub struct SelfAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    attention: Attention,
}

parameters!(SelfAttention: query, key, value, output);

impl SelfAttention {
    /// Self-attention over given projections.
    ///
    /// # Shapes
    /// query `[heads · head_dim, width]`, key and value `[kv_heads · head_dim, width]`, output
    /// `[width, heads · head_dim]`
    pub fn new([query, key, value, output]: [Linear; 4], attention: Attention) -> Self {
        Self {
            query,
            key,
            value,
            output,
            attention,
        }
    }

    /// Mixes for each token the values of its sequence.
    ///
    /// # Shapes
    /// hidden `[tokens.., width]` → `[tokens.., heads · head_dim]`
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn context<'a, O: SequenceOps>(
        &self,
        hidden: &Var<'a, O>,
        sequences: &O::Sequences,
    ) -> Result<Var<'a, O>> {
        let query = self.query.forward(hidden)?;
        let key = self.key.forward(hidden)?;
        let value = self.value.forward(hidden)?;
        query.attention(&key, &value, &self.attention, sequences)
    }

    /// Projects the result of [`SelfAttention::context`] to the width of the encoder.
    ///
    /// # Shapes
    /// context `[tokens.., heads · head_dim]` → `[tokens.., width]`
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn project<'a, O: SequenceOps>(&self, context: &Var<'a, O>) -> Result<Var<'a, O>> {
        self.output.forward(context)
    }
}
