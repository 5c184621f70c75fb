//! The same elements in another order or shape.

use super::{Recorder, as_i64, size_as_i64};
use rtune_graph::{NodeDraft, ValueId};
use rtune_nn::{Axis, Extent, NnError, Operation, Result};

impl Recorder {
    pub(super) fn record_permute(&self, x: ValueId, order: &[usize]) -> Result<ValueId> {
        let name = self.scopes.name(Operation::Transpose);
        let draft = NodeDraft::new("Transpose", name).inputs([x]);
        self.add(draft.attribute("perm", as_i64(order)?))
    }

    pub(super) fn record_transpose(
        &self,
        x: ValueId,
        first: Axis,
        second: Axis,
    ) -> Result<ValueId> {
        let rank = self.rank(x, "transpose")?;
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(first.index(rank)?, second.index(rank)?);
        self.record_permute(x, &order)
    }

    pub(super) fn record_reshape(&self, x: ValueId, shape: &[Extent]) -> Result<ValueId> {
        let sizes = shape.iter().map(|extent| match extent {
            Extent::Keep => Ok(0),
            Extent::Infer => Ok(-1),
            Extent::Exact(size) => size_as_i64(*size),
        });
        let sizes: Vec<i64> = sizes.collect::<Result<_>>()?;
        let name = self.scopes.name(Operation::Reshape);
        let shape = self.i64s(&format!("{name}/shape"), &sizes)?;
        self.node("Reshape", &name, &[x, shape])
    }

    pub(super) fn record_narrow(
        &self,
        x: ValueId,
        axis: Axis,
        start: usize,
        length: usize,
    ) -> Result<ValueId> {
        let number = |number: i64| self.i64s(&format!("shape/{number}"), &[number]);
        let start_id = number(size_as_i64(start)?)?;
        let end = start.checked_add(length).ok_or_else(|| {
            NnError::operation(format!(
                "narrow from {start} by {length}: the end is too large"
            ))
        })?;
        let end = number(size_as_i64(end)?)?;
        let axes = number(axis.number())?;
        self.next(Operation::Narrow, "Slice", &[x, start_id, end, axes])
    }
}
