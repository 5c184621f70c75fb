use crate::{Ops, Param, Result, Weights};

/// A table with one row per id.
#[derive(Debug, Clone)]
pub struct Embedding {
    table: Param,
}

impl Embedding {
    /// A layer over a given table.
    ///
    /// # Shapes
    /// table `[n, width]`
    pub fn new(table: Param) -> Self {
        Self { table }
    }

    pub(crate) fn load(
        weights: &mut Weights,
        path: &str,
        rows: usize,
        width: usize,
    ) -> Result<Self> {
        Ok(Self::new(
            weights.encoder(&format!("{path}.weight"), &[rows, width])?,
        ))
    }

    /// # Shapes
    /// ids `[..]` → `[.., width]`
    ///
    /// # Errors
    /// Where an id is outside the table.
    pub fn forward<O: Ops>(&self, ops: &O, ids: &O::Value) -> Result<O::Value> {
        ops.embedding(ids, &self.table)
    }

    pub(crate) fn params(&self) -> impl Iterator<Item = &Param> {
        std::iter::once(&self.table)
    }
}
