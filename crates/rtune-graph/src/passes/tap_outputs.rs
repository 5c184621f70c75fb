use super::Changes;
use crate::{GraphError, GraphErrorKind, Model, Place, infer};

/// Makes the values of the given names further outputs, after the model's own. A value that is an
/// output already stays where it is. A type that the graph does not state is inferred.
///
/// # Errors
/// If the graph has no such value, or the value's type is not known.
pub fn tap_outputs<'a>(
    model: &Model,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<(Model, Changes), GraphError> {
    let mut tapped = model.clone();
    let mut changes = Changes::new("tap_outputs");
    let mut facts = None;
    for name in names {
        let graph = &mut tapped.graph;
        let id = graph
            .find(name)
            .ok_or_else(|| GraphError::value(name, GraphErrorKind::NotFound))?;
        let place = Place::Value(name.to_owned());
        if graph.outputs().contains(&id) {
            changes.skipped(place, "is an output already");
            continue;
        }
        if graph.fact(id).is_none() {
            let facts = facts.get_or_insert_with(|| infer(&model.graph, &model.opsets));
            let problem = "has no known type, so it cannot become an output";
            let fact = facts
                .fact(id)
                .ok_or_else(|| GraphError::value(name, problem))?;
            graph.set_fact(id, fact.clone());
        }
        graph.add_output(id)?;
        changes.made(place, "is an output now");
    }
    Ok((tapped, changes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dim, ElementType, Fact, Graph, Node, NodeDraft};

    #[test]
    fn inner_values_become_outputs() {
        let mut graph = Graph::new("test");
        let x = graph
            .add_input("x", Fact::new(ElementType::Float32, [Dim::symbol("n")]))
            .unwrap();
        let mut last = x;
        for (op_type, name) in [
            ("Tanh", "a"),
            ("Relu", "b"),
            ("Mystery", "c"),
            ("Relu", "d"),
        ] {
            let output = graph.declare(name, None).unwrap();
            let node = NodeDraft::new(op_type, name).inputs([last]).node;
            let outputs = vec![Some(output)];
            graph.push(Node { outputs, ..node }).unwrap();
            last = output;
        }
        graph.set_fact(last, Fact::unranked(ElementType::Float32));
        graph.add_output(last).unwrap();
        let model = Model::new(graph, 17);
        let (tapped, changes) = tap_outputs(&model, ["b", "d", "a"]).unwrap();
        let graph = &tapped.graph;
        let names: Vec<_> = graph
            .outputs()
            .iter()
            .map(|id| graph.name_of(*id))
            .collect();
        assert_eq!(names, ["d", "b", "a"]);
        let fact = graph.fact(graph.find("b").unwrap()).unwrap();
        assert_eq!(fact.to_string(), "f32[n]");
        assert_eq!(
            changes.to_string(),
            "tap_outputs: value `b`: is an output now\n\
             tap_outputs: value `a`: is an output now\n\
             tap_outputs: value `d`: not changed: is an output already\n"
        );
        let error = |name| tap_outputs(&model, [name]).unwrap_err().to_string();
        assert_eq!(error("e"), "value `e`: is not in the graph");
        assert_eq!(
            error("c"),
            "value `c`: has no known type, so it cannot become an output"
        );
    }
}
