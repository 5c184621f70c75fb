//! Checks of a whole model.

use crate::facts::Known;
use crate::{Facts, GraphError, GraphErrorKind, Model, Node, Place, ValueId, infer};
use std::collections::BTreeSet;

/// Checks a model: every value is defined once and before it is read, every operator is in the
/// model's operator set and accepts its inputs and attributes, and the types and shapes that the
/// graph states agree with those that follow.
///
/// Operators that rtune has no rule for are checked for order and single definition only.
///
/// # Errors
/// The first fault, with the node or value it is at.
pub fn check(model: &Model) -> Result<(), GraphError> {
    let graph = &model.graph;
    let mut checker = Checker {
        model,
        defined: BTreeSet::new(),
        facts: Facts::default(),
    };
    for id in graph.inputs() {
        checker.define(*id, infer::known_fact(graph.fact(*id).cloned()))?;
    }
    for (id, tensor) in graph.initializers() {
        // A constant may also be listed as an input: it is then that input's default.
        checker.defined.insert(id);
        checker.facts.set(id, infer::known_of(tensor));
    }
    for (_, node) in graph.nodes() {
        checker.node(node)?;
    }
    if graph.outputs().is_empty() {
        let place = Place::Graph(graph.name.clone());
        return Err(GraphError::new(place, "has no output"));
    }
    for output in graph.outputs() {
        if !checker.defined.contains(output) {
            let place = Place::Output(graph.name_of(*output).to_owned());
            return Err(GraphError::new(place, GraphErrorKind::NeverDefined));
        }
    }
    Ok(())
}

struct Checker<'a> {
    model: &'a Model,
    defined: BTreeSet<ValueId>,
    facts: Facts,
}

impl Checker<'_> {
    fn define(&mut self, id: ValueId, known: Known) -> Result<(), GraphError> {
        if !self.defined.insert(id) {
            let name = self.model.graph.name_of(id);
            return Err(GraphError::value(name, GraphErrorKind::DefinedTwice));
        }
        self.facts.set(id, known);
        Ok(())
    }

    fn node(&mut self, node: &Node) -> Result<(), GraphError> {
        let graph = &self.model.graph;
        for input in node.inputs.iter().flatten() {
            if !self.defined.contains(input) {
                let value = graph.name_of(*input).to_owned();
                let error = GraphError::node(node, GraphErrorKind::ReadsUndefined { value });
                return Err(error.named(graph, node));
            }
        }
        let omitted: Vec<bool> = node.outputs.iter().map(Option::is_none).collect();
        let opsets = &self.model.opsets;
        let inferred = infer::infer_node(graph, &self.facts, opsets, node, &omitted)?;
        for (output, inferred) in node.outputs.iter().zip(inferred) {
            let Some(id) = *output else {
                continue;
            };
            let fact = graph.fact(id);
            if let (Some(stated), Some(inferred)) = (fact, &inferred.fact)
                && !stated.agrees_with(inferred)
            {
                let kind = GraphErrorKind::Stated {
                    output: graph.name_of(id).to_owned(),
                    stated: stated.clone(),
                    inferred: inferred.clone(),
                };
                return Err(GraphError::node(node, kind).named(graph, node));
            }
            self.define(id, infer::merge(inferred, fact))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dim, ElementType, Fact, Graph, NodeDraft, Opsets, Tensor};

    fn fact(dims: &[u64]) -> Fact {
        Fact::new(ElementType::Float32, dims.iter().map(|d| Dim::Fixed(*d)))
    }

    fn push(graph: &mut Graph, draft: NodeDraft, outputs: &[ValueId]) {
        let node = Node {
            outputs: outputs.iter().copied().map(Some).collect(),
            ..draft.node
        };
        graph.push(node).unwrap();
    }

    /// x → relu → y, to be broken in one way each.
    fn model(change: impl FnOnce(&mut Graph, ValueId, ValueId)) -> Model {
        let mut graph = Graph::new("test");
        let x = graph.add_input("x", fact(&[2])).unwrap();
        let y = graph.declare("y", fact(&[2])).unwrap();
        push(&mut graph, NodeDraft::new("Relu", "relu").inputs([x]), &[y]);
        graph.add_output(y).unwrap();
        change(&mut graph, x, y);
        Model::new(graph, 17)
    }

    fn found(model: &Model) -> String {
        check(model).map_or_else(|e| e.to_string(), |()| "valid".to_owned())
    }

    #[test]
    fn faults_are_named_with_their_place() {
        let relu = || NodeDraft::new("Relu", "more");
        assert_eq!(found(&model(|_, _, _| {})), "valid");
        assert_eq!(
            found(&model(|graph, x, y| push(graph, relu().inputs([x]), &[y]))),
            "value `y`: defined twice"
        );
        assert_eq!(
            found(&model(|graph, x, _| push(graph, relu().inputs([x]), &[x]))),
            "value `x`: defined twice"
        );
        assert_eq!(
            found(&model(|graph, _, _| {
                let ghost = graph.declare("ghost", fact(&[2])).unwrap();
                push(graph, relu().inputs([ghost]), &[]);
            })),
            "node `more` (Relu): reads `ghost`, which no earlier node defines"
        );
        assert_eq!(
            found(&model(|graph, _, _| {
                let ghost = graph.declare("ghost", fact(&[2])).unwrap();
                graph.add_output(ghost).unwrap();
            })),
            "output `ghost`: is never defined"
        );
        let without_output = Model::new(Graph::new("test"), 17);
        assert_eq!(found(&without_output), "graph `test`: has no output");
    }

    #[test]
    fn stated_facts_must_follow() {
        let state = |fact: Fact| found(&model(|graph, _, y| graph.set_fact(y, fact)));
        assert_eq!(
            state(Fact::new(ElementType::Int64, [Dim::Fixed(2)])),
            "node `relu` (Relu): output `y` is stated as i64[2], but is f32[2]"
        );
        assert_eq!(
            state(fact(&[3])),
            "node `relu` (Relu): output `y` is stated as f32[3], but is f32[2]"
        );
        assert_eq!(
            state(fact(&[2, 1])),
            "node `relu` (Relu): output `y` is stated as f32[2, 1], but is f32[2]"
        );
        let named = Fact::new(ElementType::Float32, [Dim::symbol("n")]);
        assert_eq!(state(named), "valid");
        assert_eq!(state(Fact::unranked(ElementType::Float32)), "valid");
    }

    #[test]
    fn the_second_output_is_checked_too() {
        let split = model(|graph, _, y| {
            let a = graph.declare("a", None).unwrap();
            let b = graph.declare("b", fact(&[2])).unwrap();
            push(graph, NodeDraft::new("Split", "split").inputs([y]), &[a, b]);
        });
        assert_eq!(
            found(&split),
            "node `split` (Split): output `b` is stated as f32[2], but is f32[1]"
        );
    }

    #[test]
    fn values_without_stated_facts_are_followed() {
        let mismatch = model(|graph, x, y| {
            let hidden = graph.declare("hidden", None).unwrap();
            let sum = graph.declare("sum", None).unwrap();
            let axes = graph.add_initializer("axes", Tensor::from_i64(&[1], &[0]).unwrap());
            let outer = NodeDraft::new("Unsqueeze", "outer").inputs([y, axes.unwrap()]);
            push(graph, outer, &[hidden]);
            let weight = graph.add_initializer("w", Tensor::from_f32(&[3], &[0.0; 3]).unwrap());
            push(
                graph,
                NodeDraft::new("Add", "sum").inputs([hidden, weight.unwrap()]),
                &[sum],
            );
            assert_eq!(graph.users(x).len(), 1);
        });
        assert_eq!(
            found(&mismatch),
            "node `sum` (Add): shapes f32[1, 2] and f32[3] cannot be broadcast"
        );
    }

    #[test]
    fn operators_must_be_in_the_operator_set() {
        let mut normalized = model(|graph, _, y| {
            let weight = graph.add_initializer("w", Tensor::from_f32(&[2], &[1.0; 2]).unwrap());
            let norm = graph.declare("norm", None).unwrap();
            let draft = NodeDraft::new("LayerNormalization", "norm");
            push(graph, draft.inputs([y, weight.unwrap()]), &[norm]);
        });
        assert_eq!(found(&normalized), "valid");
        normalized.opsets = Opsets::standard(16);
        assert_eq!(
            found(&normalized),
            "node `norm` (LayerNormalization): needs operator set 17, the model has 16"
        );
        normalized.opsets = Opsets::default();
        assert_eq!(
            found(&normalized),
            "node `relu` (Relu): the model imports no standard operator set"
        );
        let mut foreign = model(|graph, _, y| {
            let z = graph.declare("z", None).unwrap();
            let draft = NodeDraft::new("Anything", "foreign").domain("org.example");
            push(graph, draft.inputs([y]), &[z]);
        });
        assert_eq!(
            found(&foreign),
            "node `foreign` (Anything): the model does not import domain `org.example`"
        );
        foreign.opsets.insert("org.example", 3);
        assert_eq!(found(&foreign), "valid");
    }

    #[test]
    fn a_constant_may_be_the_default_of_an_input() {
        let default = model(|graph, x, _| {
            graph.set_initializer(x, Tensor::from_f32(&[2], &[0.0; 2]).unwrap());
        });
        assert_eq!(found(&default), "valid");
    }
}
