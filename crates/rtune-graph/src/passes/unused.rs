use super::Changes;
use crate::{GraphError, Model, NodeId, Place, Rewrite};
use std::collections::BTreeSet;

/// Removes nodes and constants from which no output of the graph follows.
///
/// # Errors
/// If the graph is not in order.
pub fn remove_unused_nodes(model: &Model) -> Result<(Model, Changes), GraphError> {
    let graph = &model.graph;
    let mut changes = Changes::new("remove_unused_nodes");
    let mut needed: BTreeSet<NodeId> = BTreeSet::new();
    let mut open: Vec<_> = graph.outputs().to_vec();
    while let Some(value) = open.pop() {
        if let Some(id) = graph.producer(value).filter(|id| needed.insert(*id)) {
            open.extend(graph.node(id).inputs.iter().flatten());
        }
    }
    let mut rewrite = Rewrite::new(model)?;
    for (id, node) in graph.nodes() {
        match needed.contains(&id) {
            true => rewrite.keep(id)?,
            false => changes.made(Place::of(node), "removed, for no output follows from it"),
        }
    }
    Ok((rewrite.finish()?, changes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dim, ElementType, Fact, GraphBuilder, NodeDraft, Tensor};

    #[test]
    fn only_what_outputs_read_stays() {
        let mut builder = GraphBuilder::new("test", 17);
        let x = builder
            .input("x", Fact::new(ElementType::Float32, [Dim::symbol("n")]))
            .unwrap();
        let node = |op_type, name| NodeDraft::new(op_type, name);
        let a = builder.add(node("Tanh", "a").inputs([x])).unwrap();
        let c = builder
            .constant("c", Tensor::from_f32(&[], &[1.0]).unwrap())
            .unwrap();
        let b = builder.add(node("Add", "b").inputs([a, c])).unwrap();
        builder.add(node("Relu", "dead").inputs([b])).unwrap();
        builder.output(a).unwrap();
        let (model, changes) = remove_unused_nodes(&builder.finish()).unwrap();
        assert_eq!(
            model.graph.to_string(),
            "input x: f32[n]\na: f32[n] = Tanh(x)\noutput a\n"
        );
        let removed: Vec<_> = changes.made.iter().map(|c| c.place.to_string()).collect();
        assert_eq!(removed, ["node `b` (Add)", "node `dead` (Relu)"]);
    }
}
