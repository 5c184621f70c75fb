use crate::{Ops, Param, ParamRole, Result, Var, parameters};
use candle_nn::{Init, VarBuilder};

/// A table with one row per id.
#[derive(Debug, Clone)]
pub struct Embedding {
    table: Param,
}

parameters!(Embedding: table);

/// An embedding layer with `rows` ids. Its parameter is `weight`.
///
/// # Errors
/// If the table cannot be loaded.
pub fn embedding(rows: usize, width: usize, vb: VarBuilder<'_>) -> Result<Embedding> {
    let init = Init::Randn {
        mean: 0.0,
        stdev: 1.0,
    };
    let table = Param::load(&vb, "weight", (rows, width), ParamRole::Embedding, init)?;
    Ok(Embedding::new(table))
}

impl Embedding {
    /// A layer over a given table.
    ///
    /// # Shapes
    /// table `[n, width]`
    pub fn new(table: Param) -> Self {
        Self { table }
    }

    /// Takes the row of each id.
    ///
    /// # Shapes
    /// ids `[..]` → `[.., width]`
    ///
    /// # Errors
    /// If an id is outside the table.
    pub fn forward<'a, O: Ops>(&self, ids: &Var<'a, O>) -> Result<Var<'a, O>> {
        Ok(ids.with(ids.ops().embedding(ids.value(), &self.table)?))
    }
}
