//! Types, shapes and small contents of all values of a graph.

use crate::facts::Known;
use crate::operators::{Context, Input, OLDEST_OPSET, Operator, operator};
use crate::{
    Contents, ElementType, Expr, Facts, Graph, GraphError, GraphErrorKind, Node, Opsets, Tensor,
};

/// Larger tensors are data, not shapes.
const MAX_CONTENTS: usize = 64;

/// Computes all that is known about a graph's values from what it states and from its operators.
///
/// A stated fact and an inferred one are merged; if they contradict each other, or an operator does
/// not accept its inputs, the stated fact holds ([`check`](crate::check) reports such faults). The
/// outputs of operators that rtune has no rule for have their stated facts only.
pub fn infer(graph: &Graph, opsets: &Opsets) -> Facts {
    let mut facts = Facts::default();
    for (id, _) in graph.values() {
        let known = match graph.initializer(id) {
            Some(tensor) => known_of(tensor),
            None => known_fact(graph.fact(id).cloned()),
        };
        facts.set(id, known);
    }
    for (_, node) in graph.nodes() {
        let omitted: Vec<bool> = node.outputs.iter().map(Option::is_none).collect();
        let Ok(known) = infer_node(graph, &facts, opsets, node, &omitted) else {
            continue;
        };
        for (output, known) in node.outputs.iter().zip(known) {
            if let Some(id) = output.filter(|id| graph.initializer(*id).is_none()) {
                facts.set(id, merge(known, graph.fact(id)));
            }
        }
    }
    facts
}

/// An inferred fact and a stated one in one; the stated one if they contradict each other.
pub(crate) fn merge(inferred: Known, stated: Option<&crate::Fact>) -> Known {
    let fact = match (inferred.fact, stated) {
        (Some(inferred), Some(stated)) => Some(inferred.merge(stated)),
        (inferred, stated) => inferred.or(stated.cloned()),
    };
    Known { fact, ..inferred }
}

/// A stated fact alone.
pub(crate) fn known_fact(fact: Option<crate::Fact>) -> Known {
    fact.map(Known::from).unwrap_or_default()
}

/// Everything known about a constant.
pub(crate) fn known_of(tensor: &Tensor) -> Known {
    Known {
        fact: Some(tensor.fact()),
        contents: contents_of(tensor),
    }
}

/// The elements of a small integer constant of rank 0 or 1.
pub(crate) fn contents_of(tensor: &Tensor) -> Option<Contents> {
    let small = match tensor.dims() {
        [] => true,
        [length] => *length <= MAX_CONTENTS as u64,
        _ => false,
    };
    let values = match tensor.element_type() {
        _ if !small => return None,
        ElementType::Int64 => tensor.to_i64()?,
        ElementType::Int32 => tensor.to_i32()?.into_iter().map(i64::from).collect(),
        _ => return None,
    };
    Some(
        values
            .into_iter()
            .map(|v| Some(Expr::constant(v)))
            .collect(),
    )
}

/// The element of an integer tensor of one element, whatever its rank.
pub(crate) fn single_element(tensor: &Tensor) -> Option<Expr> {
    let value = match tensor.element_type() {
        ElementType::Int64 => tensor.to_i64()?.first().copied(),
        ElementType::Int32 => tensor.to_i32()?.first().copied().map(i64::from),
        _ => None,
    };
    value.map(Expr::constant)
}

/// Infers the outputs of one node, of which `omitted` says whether they are left out: one entry
/// for each output. Checks the node's form against the operator set on the way.
pub(crate) fn infer_node(
    graph: &Graph,
    facts: &Facts,
    opsets: &Opsets,
    node: &Node,
    omitted: &[bool],
) -> Result<Vec<Known>, GraphError> {
    infer_outputs(graph, facts, opsets, node, omitted).map_err(|error| error.named(graph, node))
}

fn infer_outputs(
    graph: &Graph,
    facts: &Facts,
    opsets: &Opsets,
    node: &Node,
    omitted: &[bool],
) -> Result<Vec<Known>, GraphError> {
    let unknown = || omitted.iter().map(|_| Known::default()).collect();
    let Some((operator, opset)) = rule_for(opsets, node)? else {
        return Ok(unknown());
    };
    let form = operator.check(node, opset, omitted)?;
    let nothing = Known::default();
    let input = |id: &Option<crate::ValueId>| {
        id.map(|id| Input {
            name: graph.name_of(id),
            known: facts.known(id).unwrap_or(&nothing),
            constant: graph.initializer(id),
        })
    };
    let inputs = node.inputs.iter().map(input).collect();
    let context = Context::new(node, form, opset, inputs, omitted.len());
    let mut known = operator.infer(&context)?;
    known.resize_with(omitted.len(), Known::default);
    for known in &mut known {
        known.contents = known.contents.take().filter(|c| c.len() <= MAX_CONTENTS);
    }
    Ok(known)
}

/// The operator's row and the version of its operator set, or `None` if there is no rule for it.
fn rule_for(opsets: &Opsets, node: &Node) -> Result<Option<(&'static Operator, i64)>, GraphError> {
    let Some(opset) = opsets.get(&node.domain) else {
        let kind = match node.domain.as_str() {
            "" | "ai.onnx" => GraphErrorKind::NoOperatorSet,
            domain => GraphErrorKind::Domain(domain.to_owned()),
        };
        return Err(GraphError::node(node, kind));
    };
    let operator = operator(&node.domain, &node.op_type);
    let too_old = node.domain.is_empty() && opset < OLDEST_OPSET;
    Ok(operator
        .filter(|_| !too_old)
        .map(|operator| (operator, opset)))
}
