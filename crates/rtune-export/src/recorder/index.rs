//! Elements by their ids.

use super::Recorder;
use rtune_graph::{NodeDraft, ValueId};
use rtune_nn::{Operation, Result};

impl Recorder {
    /// `GatherElements` over ids that are expanded to the leading axes of x.
    pub(super) fn record_gather_last(&self, x: ValueId, ids: ValueId) -> Result<ValueId> {
        let name = self.scopes.name(Operation::GatherLast);
        let part = |part: &str| format!("{name}/{part}");
        let shape = |name: String, x: ValueId| NodeDraft::new("Shape", name).inputs([x]);
        let leading = self.add(shape(part("leading"), x).attribute("end", -1_i64))?;
        let last = self.add(shape(part("last"), ids).attribute("start", -1_i64))?;
        let full = NodeDraft::new("Concat", part("shape")).inputs([leading, last]);
        let full = self.add(full.attribute("axis", 0_i64))?;
        let ids = self.node("Expand", &part("Expand"), &[ids, full])?;
        let draft = NodeDraft::new("GatherElements", name).inputs([x, ids]);
        self.add(draft.attribute("axis", -1_i64))
    }
}
