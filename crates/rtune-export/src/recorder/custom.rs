//! Operators that the vocabulary lacks.

use super::{Recorder, element_type, interpreter, size_as_i64};
use rtune_graph::{Attribute, Dim, Fact, NodeDraft, ValueId};
use rtune_nn::{CustomAttribute, CustomOp, NnError, OutputFact, OutputSize, Result};
use std::collections::btree_map::Entry;

impl Recorder {
    pub(super) fn record_custom(&self, op: &CustomOp, inputs: &[&ValueId]) -> Result<Vec<ValueId>> {
        self.import(op)?;
        let facts = op
            .outputs()
            .iter()
            .map(|fact| self.custom_fact(op, fact, inputs))
            .collect::<Result<Vec<_>>>()?;
        let name = self.scopes.custom(op);
        let names = (0..facts.len()).map(|index| match index {
            0 => name.clone(),
            _ => format!("{name}:{index}"),
        });
        let names: Vec<String> = names.collect();
        let mut draft = NodeDraft::new(op.name(), &name)
            .domain(op.domain())
            .inputs(inputs.iter().map(|id| **id))
            .outputs(names.iter().map(String::as_str));
        for (key, value) in op.attributes() {
            draft = draft.attribute(key, attribute(value));
        }
        let mut graph = self.graph.borrow_mut();
        let outputs = graph.add_all(draft).map_err(interpreter)?;
        for (output, fact) in outputs.iter().zip(facts) {
            match (graph.facts().fact(*output), fact) {
                (Some(inferred), Some(stated)) if !inferred.agrees_with(&stated) => {
                    return Err(NnError::operation(format!(
                        "custom operator {}: an output is stated as {stated}, the operator gives \
                         {inferred}",
                        op.name()
                    )));
                }
                (None, Some(stated)) => graph.set_fact(*output, stated),
                _ => {}
            }
        }
        Ok(outputs)
    }

    /// Notes the operator set that `op` needs.
    fn import(&self, op: &CustomOp) -> Result<()> {
        let refuse = |have: i64, whose: &str| {
            Err(NnError::operation(format!(
                "custom operator {} of domain `{}` needs operator set {}, {whose} {have}",
                op.name(),
                op.domain(),
                op.opset()
            )))
        };
        if op.domain().is_empty() {
            return match op.opset() > self.opset {
                true => refuse(self.opset, "the graph is written in"),
                false => Ok(()),
            };
        }
        match self.domains.borrow_mut().entry(op.domain().to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert(op.opset());
                self.graph.borrow_mut().import(op.domain(), op.opset());
                Ok(())
            }
            Entry::Occupied(entry) if *entry.get() == op.opset() => Ok(()),
            Entry::Occupied(entry) => refuse(*entry.get(), "another one of the graph"),
        }
    }

    fn custom_fact(
        &self,
        op: &CustomOp,
        fact: &OutputFact,
        inputs: &[&ValueId],
    ) -> Result<Option<Fact>> {
        let input = |index: usize| {
            inputs.get(index).copied().copied().ok_or_else(|| {
                NnError::operation(format!(
                    "custom operator {}: an output is described by input {index}, there are {}",
                    op.name(),
                    inputs.len()
                ))
            })
        };
        let (kind, shape) = match fact {
            OutputFact::Is { kind, shape } => (kind, shape),
            OutputFact::Like(index) => {
                return Ok(self.graph.borrow().facts().fact(input(*index)?).cloned());
            }
        };
        let dims = shape.iter().map(|size| {
            Ok(match size {
                OutputSize::Exact(size) => Dim::Fixed(size_as_i64(*size)?.unsigned_abs()),
                OutputSize::Of { input: of, axis } => self
                    .dims(input(*of)?)
                    .and_then(|dims| dims.get(*axis).cloned())
                    .unwrap_or(Dim::Unknown),
                OutputSize::Unknown => Dim::Unknown,
            })
        });
        let dims = dims.collect::<Result<Vec<_>>>()?;
        Ok(Some(Fact::new(element_type(*kind), dims)))
    }
}

fn attribute(value: &CustomAttribute) -> Attribute {
    match value {
        CustomAttribute::Int(value) => Attribute::Int(*value),
        CustomAttribute::Ints(values) => Attribute::Ints(values.clone()),
        CustomAttribute::Float(value) => Attribute::Float(*value),
        CustomAttribute::Floats(values) => Attribute::Floats(values.clone()),
        CustomAttribute::String(value) => Attribute::String(value.clone().into_bytes()),
    }
}
