use crate::{Graph, GraphError, Model, Node, ValueId, infer, operator_rule};
use std::collections::BTreeSet;

/// Checks a model: every value is defined once and before it is read, every operator is legal in the model's operator
/// set and takes such inputs, and what the graph says of types and shapes agrees with what can be inferred.
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
                return Err(GraphError::new(node.label(), format!("reads `{name}`, which no earlier node defines")));
            }
        }
        validate_facts(graph, node)?;
        for output in node.outputs.iter().flatten() {
            define(graph, &mut defined, *output)?;
        }
    }
    if graph.outputs().is_empty() {
        return Err(GraphError::new(format!("graph `{}`", graph.name), "has no output"));
    }
    for output in graph.outputs() {
        if !defined.contains(output) {
            return Err(GraphError::new(format!("output `{}`", graph.value(*output).name), "is never defined"));
        }
    }
    Ok(())
}

fn define(graph: &Graph, defined: &mut BTreeSet<ValueId>, id: ValueId) -> Result<(), GraphError> {
    if defined.insert(id) {
        return Ok(());
    }
    Err(GraphError::new(format!("value `{}`", graph.value(id).name), "defined twice"))
}

fn validate_opset(model: &Model, node: &Node) -> Result<(), GraphError> {
    if !node.domain.is_empty() && node.domain != "ai.onnx" {
        return match model.opsets.contains_key(&node.domain) {
            true => Ok(()),
            false => Err(GraphError::new(node.label(), format!("the model does not import domain `{}`", node.domain))),
        };
    }
    let Some(opset) = model.opset() else {
        return Err(GraphError::new(node.label(), "the model imports no standard operator set"));
    };
    match operator_rule(&node.op_type) {
        Some(rule) if rule.since > opset && node.op_type == "LayerNormalization" => {
            Err(GraphError::new(node.label(), format!("needs operator set {}, the model has {opset}", rule.since)))
        }
        _ => Ok(()),
    }
}

fn validate_facts(graph: &Graph, node: &Node) -> Result<(), GraphError> {
    let all_known = node.inputs.iter().flatten().all(|id| graph.value(*id).fact.is_some());
    if !all_known {
        return Ok(());
    }
    let (Some(inferred), Some(output)) = (infer::infer(graph, node)?.fact, node.output(0)) else { return Ok(()) };
    let Some(stated) = &graph.value(output).fact else { return Ok(()) };
    let types_agree = stated.element_type == inferred.element_type;
    let ranks_agree = stated.rank().zip(inferred.rank()).is_none_or(|(a, b)| a == b);
    if types_agree && ranks_agree {
        return Ok(());
    }
    let name = &graph.value(output).name;
    Err(GraphError::new(node.label(), format!("output `{name}` is stated as {stated}, but is {inferred}")))
}
