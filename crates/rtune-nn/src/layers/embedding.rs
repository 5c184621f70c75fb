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

    /// The table.
    pub fn table(&self) -> &Param {
        &self.table
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

    /// All rows.
    ///
    /// # Shapes
    /// → `[n, width]`
    ///
    /// # Errors
    /// If the interpreter cannot do it.
    pub fn rows<'a, O: Ops>(&self, ops: &'a O) -> Result<Var<'a, O>> {
        Ok(Var::new(ops, ops.param(&self.table)?))
    }

    /// Takes one row, to be broadcast.
    ///
    /// # Shapes
    /// → `[1, width]`
    ///
    /// # Errors
    /// If the table has no such row.
    pub fn row<'a, O: Ops>(&self, ops: &'a O, index: usize) -> Result<Var<'a, O>> {
        self.rows(ops)?.narrow(0, index, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::test_support::{assert_close, rows, weights};
    use crate::{Eager, Parameters as _};
    use candle_core::{Device, Tensor};

    #[test]
    fn ids_and_single_rows_are_looked_up() -> Result<()> {
        let table = rows(&[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])?;
        let layer = embedding(3, 2, weights(&[("weight", table)]))?;
        let ops = Eager::new();
        let ids = Var::new(&ops, Tensor::new(&[[2_u32, 0]], &Device::Cpu)?);
        let found = layer.forward(&ids)?;
        assert_eq!(found.value().dims(), [1, 2, 2]);
        assert_close(&found, &[5.0, 6.0, 1.0, 2.0])?;
        assert_close(&layer.row(&ops, 1)?, &[3.0, 4.0])?;
        assert!(layer.row(&ops, 3).is_err());
        assert_eq!(layer.params()[0].role(), ParamRole::Embedding);
        Ok(())
    }
}
