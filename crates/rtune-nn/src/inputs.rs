use crate::{Positions, Result, SequenceOps, Var};

/// The inputs of an encoder.
pub struct Inputs<'a, O: SequenceOps> {
    /// `[tokens..]`
    pub input_ids: Var<'a, O>,
    /// `[tokens..]`. Without them, all tokens are of type 0. Encoders without token types ignore
    /// them.
    pub token_type_ids: Option<Var<'a, O>>,
    /// The token layout.
    pub sequences: &'a O::Sequences,
}

impl<'a, O: SequenceOps> Inputs<'a, O> {
    /// The inputs of an encoder that `ops` interprets.
    ///
    /// # Shapes
    /// ids `[tokens..]`
    pub fn new(
        ops: &'a O,
        input_ids: O::Value,
        token_type_ids: Option<O::Value>,
        sequences: &'a O::Sequences,
    ) -> Self {
        Self {
            input_ids: Var::new(ops, input_ids),
            token_type_ids: token_type_ids.map(|ids| Var::new(ops, ids)),
            sequences,
        }
    }

    /// The interpreter.
    pub fn ops(&self) -> &'a O {
        self.input_ids.ops()
    }

    /// The position of each token.
    ///
    /// # Shapes
    /// → ids `[tokens..]`
    ///
    /// # Errors
    /// If the interpreter cannot do it.
    pub fn position_ids(&self, positions: Positions) -> Result<Var<'a, O>> {
        let ids = self.ops().position_ids(positions, self.sequences)?;
        Ok(Var::new(self.ops(), ids))
    }
}
