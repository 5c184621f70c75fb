use crate::{Dim, Graph, GraphError, Model, Node, ValueId, infer, operator_rule};
use std::collections::BTreeSet;

/// Checks a model: every value is defined once and before it is read, every operator is legal in
/// the model's operator set and takes such inputs, and what the graph says of types and shapes
/// agrees with what can be inferred.
///
/// Operators that rtune does not know are checked for order and single assignment only.
///
/// # Errors
/// The first violation, with the node or value it is at.
pub fn validate(model: &Model) -> Result<(), GraphError> {
    let graph = &model.graph;
    let mut defined = BTreeSet::new();
    for id in graph.inputs() {
        define(graph, &mut defined, *id)?;
    }
    for (id, _) in graph.initializers() {
        // An initializer may also be listed as an input: it is then that input's default.
        defined.insert(id);
    }
    for node in graph.nodes() {
        validate_opset(model, node)?;
        for input in node.inputs.iter().flatten() {
            if !defined.contains(input) {
                let name = &graph.value(*input).name;
                return Err(GraphError::new(
                    node.label(),
                    format!("reads `{name}`, which no earlier node defines"),
                ));
            }
        }
        validate_facts(graph, node)?;
        for output in node.outputs.iter().flatten() {
            define(graph, &mut defined, *output)?;
        }
    }
    if graph.outputs().is_empty() {
        return Err(GraphError::new(
            format!("graph `{}`", graph.name),
            "has no output",
        ));
    }
    for output in graph.outputs() {
        if !defined.contains(output) {
            return Err(GraphError::new(
                format!("output `{}`", graph.value(*output).name),
                "is never defined",
            ));
        }
    }
    Ok(())
}

fn define(graph: &Graph, defined: &mut BTreeSet<ValueId>, id: ValueId) -> Result<(), GraphError> {
    if defined.insert(id) {
        return Ok(());
    }
    Err(GraphError::new(
        format!("value `{}`", graph.value(id).name),
        "defined twice",
    ))
}

fn validate_opset(model: &Model, node: &Node) -> Result<(), GraphError> {
    if !node.domain.is_empty() && node.domain != "ai.onnx" {
        return match model.opsets.contains_key(&node.domain) {
            true => Ok(()),
            false => Err(GraphError::new(
                node.label(),
                format!("the model does not import domain `{}`", node.domain),
            )),
        };
    }
    let Some(opset) = model.opset() else {
        return Err(GraphError::new(
            node.label(),
            "the model imports no standard operator set",
        ));
    };
    let Some(rule) = operator_rule(&node.op_type) else {
        return Ok(());
    };
    if opset < rule.first {
        return Err(GraphError::new(
            node.label(),
            format!("needs operator set {}, the model has {opset}", rule.first),
        ));
    }
    // A reduction with axes as an attribute; without axes, both forms are the same.
    match rule
        .changed
        .filter(|changed| opset >= *changed && node.attributes.contains_key("axes"))
    {
        Some(changed) => {
            let problem =
                format!("has the form of operator sets before {changed}, the model has {opset}");
            Err(GraphError::new(node.label(), problem))
        }
        None => Ok(()),
    }
}

fn validate_facts(graph: &Graph, node: &Node) -> Result<(), GraphError> {
    let all_known = node
        .inputs
        .iter()
        .flatten()
        .all(|id| graph.value(*id).fact.is_some());
    if !all_known {
        return Ok(());
    }
    let (Some(inferred), Some(output)) = (infer::infer(graph, node)?.fact, node.output(0)) else {
        return Ok(());
    };
    let Some(stated) = &graph.value(output).fact else {
        return Ok(());
    };
    let types_agree = stated.element_type == inferred.element_type;
    let dims_agree = |(a, b): (&Dim, &Dim)| a.fixed().zip(b.fixed()).is_none_or(|(a, b)| a == b);
    let shapes = stated.shape.as_ref().zip(inferred.shape.as_ref());
    let shapes_agree =
        shapes.is_none_or(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(dims_agree));
    if types_agree && shapes_agree {
        return Ok(());
    }
    let name = &graph.value(output).name;
    Err(GraphError::new(
        node.label(),
        format!("output `{name}` is stated as {stated}, but is {inferred}"),
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // Tests.
mod tests {
    use super::*;
    use crate::{ElementType, Fact, NodeDraft, Tensor};

    fn fact(dims: &[u64]) -> Fact {
        Fact::new(ElementType::Float32, dims.iter().map(|d| Dim::Fixed(*d)))
    }

    /// x → relu → y, to be broken in one way each.
    fn model(change: impl FnOnce(&mut Graph)) -> Model {
        let mut graph = Graph::new("test");
        let x = graph.add_input("x", fact(&[2])).unwrap();
        let y = graph
            .add(NodeDraft::new("Relu", "relu").inputs([x]).output("y"))
            .unwrap();
        graph.add_output(y).unwrap();
        change(&mut graph);
        Model::new(graph, 17)
    }

    fn check(model: &Model, expected: &str) {
        let found = validate(model).map_or_else(|e| e.to_string(), |()| "valid".to_owned());
        assert_eq!(found, expected);
    }

    #[test]
    fn violations_are_named() {
        check(&model(|_| {}), "valid");
        let twice = model(|graph| {
            let node = graph.nodes()[0].clone();
            graph.push(node);
        });
        check(&twice, "value `y`: defined twice");
        let early = model(|graph| {
            let ghost = graph.declare("ghost", Some(fact(&[2]))).unwrap();
            let mut node = graph.nodes()[0].clone();
            (node.inputs, node.outputs) = (vec![Some(ghost)], vec![]);
            graph.push(node);
        });
        check(
            &early,
            "node `relu` (Relu): reads `ghost`, which no earlier node defines",
        );
        let stated = model(|graph| {
            graph.set_fact(
                graph.find("y").unwrap(),
                Fact::new(ElementType::Int64, [Dim::Fixed(2)]),
            )
        });
        check(
            &stated,
            "node `relu` (Relu): output `y` is stated as i64[2], but is f32[2]",
        );
        let undefined = model(|graph| {
            let ghost = graph.declare("ghost", Some(fact(&[2]))).unwrap();
            graph.add_output(ghost).unwrap();
        });
        check(&undefined, "output `ghost`: is never defined");
    }

    #[test]
    fn operators_must_be_legal_in_the_operator_set() {
        let mut normalized = model(|graph| {
            let x = graph.find("y").unwrap();
            let weight = graph
                .add_initializer("weight", Tensor::from_f32(&[2], &[1.0, 1.0]).unwrap())
                .unwrap();
            graph
                .add(NodeDraft::new("LayerNormalization", "norm").inputs([x, weight]))
                .unwrap();
        });
        check(&normalized, "valid");
        normalized.opsets.insert(String::new(), 16);
        check(
            &normalized,
            "node `norm` (LayerNormalization): needs operator set 17, the model has 16",
        );
        let mut reduced = model(|graph| {
            let x = graph.find("y").unwrap();
            graph
                .add(
                    NodeDraft::new("ReduceMean", "mean")
                        .inputs([x])
                        .attribute("axes", vec![0_i64]),
                )
                .unwrap();
        });
        reduced.opsets.insert(String::new(), 18);
        check(
            &reduced,
            "node `mean` (ReduceMean): has the form of operator sets before 18, the model has 18",
        );
    }

    #[test]
    fn adding_what_does_not_fit_is_an_error() {
        let mut graph = Graph::new("test");
        let a = graph.add_input("a", fact(&[2, 3])).unwrap();
        let b = graph.add_input("b", fact(&[4, 5])).unwrap();
        let error = |draft: NodeDraft, graph: &mut Graph| graph.add(draft).unwrap_err().to_string();
        let product = error(NodeDraft::new("MatMul", "p").inputs([a, b]), &mut graph);
        assert_eq!(
            product,
            "node `p` (MatMul): inner dimensions differ: f32[2, 3] and f32[4, 5]"
        );
        let sum = error(NodeDraft::new("Add", "s").inputs([a, b]), &mut graph);
        assert_eq!(
            sum,
            "node `s` (Add): shapes f32[2, 3] and f32[4, 5] cannot be broadcast"
        );
        assert_eq!(
            error(NodeDraft::new("Add", "s").inputs([a]), &mut graph),
            "node `s` (Add): takes 2 to 2 inputs, found 1"
        );
        assert_eq!(
            graph.add_input("a", fact(&[1])).unwrap_err().to_string(),
            "value `a`: defined twice"
        );
    }

    #[test]
    fn symbols_are_followed_through_shape_arithmetic() {
        let mut graph = Graph::new("test");
        let x = graph
            .add_input(
                "x",
                Fact::new(
                    ElementType::Float32,
                    [Dim::symbol("batch"), Dim::symbol("sequence"), Dim::Fixed(6)],
                ),
            )
            .unwrap();
        let flat = graph
            .add_initializer("flat", Tensor::from_i64(&[2], &[-1, 6]).unwrap())
            .unwrap();
        let rows = graph
            .add(NodeDraft::new("Reshape", "rows").inputs([x, flat]))
            .unwrap();
        assert_eq!(
            graph.value(rows).fact.as_ref().unwrap().to_string(),
            "f32[batch*sequence, 6]"
        );
        let grid = graph
            .add(
                NodeDraft::new("Shape", "grid")
                    .inputs([x])
                    .attribute("end", 2_i64),
            )
            .unwrap();
        let heads = graph
            .add_initializer("heads", Tensor::from_i64(&[2], &[2, 3]).unwrap())
            .unwrap();
        let shape = graph
            .add(
                NodeDraft::new("Concat", "shape")
                    .inputs([grid, heads])
                    .attribute("axis", 0_i64),
            )
            .unwrap();
        let split = graph
            .add(NodeDraft::new("Reshape", "split").inputs([rows, shape]))
            .unwrap();
        assert_eq!(
            graph.value(split).fact.as_ref().unwrap().to_string(),
            "f32[batch, sequence, 2, 3]"
        );
    }
}
