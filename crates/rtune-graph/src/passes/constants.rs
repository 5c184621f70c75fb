use super::Changes;
use crate::{Attribute, GraphError, Model, Node, Place, Rewrite, Tensor};

/// Makes initializers of `Constant` nodes that hold numbers.
///
/// # Errors
/// If the graph is not in order.
pub fn constants_to_initializers(model: &Model) -> Result<(Model, Changes), GraphError> {
    let mut changes = Changes::new("constants_to_initializers");
    let mut rewrite = Rewrite::new(model)?;
    for (id, node) in model.graph.nodes() {
        let (true, Some(output)) = (node.is("Constant"), node.output(0)) else {
            rewrite.keep(id)?;
            continue;
        };
        let place = Place::Value(model.graph.name_of(output).to_owned());
        match tensor_of(node)? {
            Some(tensor) => {
                rewrite.define_constant(output, tensor)?;
                changes.made(place, "is an initializer now");
            }
            None => {
                rewrite.keep(id)?;
                changes.skipped(place, "the node holds no tensor of numbers");
            }
        }
    }
    Ok((rewrite.finish()?, changes))
}

/// The constant that a `Constant` node holds, in any of its forms.
fn tensor_of(node: &Node) -> Result<Option<Tensor>, GraphError> {
    let tensor = node
        .attributes
        .values()
        .find_map(|attribute| match attribute {
            Attribute::Tensor(tensor) => Some(Ok(tensor.clone())),
            Attribute::Int(value) => Some(Tensor::from_i64(&[], &[*value])),
            Attribute::Ints(values) => Some(Tensor::from_i64(&[values.len() as u64], values)),
            Attribute::Float(value) => Some(Tensor::from_f32(&[], &[*value])),
            Attribute::Floats(values) => Some(Tensor::from_f32(&[values.len() as u64], values)),
            Attribute::String(_) | Attribute::Strings(_) => None,
        });
    tensor.transpose()
}

/// Takes constants off the list of inputs, where files of format versions before 4 had to list
/// them. Such a constant can then no longer be given another value at run time. The format version
/// becomes at least 4.
///
/// # Errors
/// If the graph is not in order.
pub fn initializers_from_inputs(model: &Model) -> Result<(Model, Changes), GraphError> {
    let mut changes = Changes::new("initializers_from_inputs");
    let mut changed = model.clone();
    let graph = &mut changed.graph;
    for id in graph.remove_constant_inputs() {
        let place = Place::Input(graph.name_of(id).to_owned());
        changes.made(place, "is a constant only");
    }
    if !changes.is_empty() {
        changed.ir_version = changed.ir_version.max(4);
    }
    Ok((changed, changes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ElementType, Fact, Graph, NodeDraft, ValueId};

    fn constant(graph: &mut Graph, name: &str, attribute: &str, value: Attribute) -> ValueId {
        let output = graph.declare(name, None).unwrap();
        let node = NodeDraft::new("Constant", name)
            .attribute(attribute, value)
            .node;
        let outputs = vec![Some(output)];
        graph.push(Node { outputs, ..node }).unwrap();
        output
    }

    #[test]
    fn nodes_become_initializers() {
        let mut graph = Graph::new("test");
        let tensor = Tensor::from_f32(&[1, 1], &[3.0]).unwrap();
        let cases = [
            (
                "a",
                "value",
                Attribute::from(tensor),
                "constant a: f32[1, 1]",
            ),
            (
                "b",
                "value_int",
                Attribute::from(7),
                "constant b: i64[] = 7",
            ),
            (
                "c",
                "value_ints",
                Attribute::from(vec![7_i64, 8]),
                "constant c: i64[2] = [7, 8]",
            ),
            (
                "d",
                "value_float",
                Attribute::from(0.5),
                "constant d: f32[] = 0.5",
            ),
            (
                "e",
                "value_floats",
                Attribute::from(vec![0.5_f32]),
                "constant e: f32[1] = [0.5]",
            ),
            (
                "f",
                "value_string",
                Attribute::from("x"),
                "f: ? = Constant() value_string=\"x\"",
            ),
        ];
        for (name, attribute, value, _) in &cases {
            let id = constant(&mut graph, name, attribute, value.clone());
            graph.set_fact(id, Fact::unranked(ElementType::Float32));
            graph.add_output(id).unwrap();
        }
        let (model, changes) = constants_to_initializers(&Model::new(graph, 17)).unwrap();
        let text = model.graph.to_string();
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with("output"))
            .collect();
        assert_eq!(lines[..5], cases.each_ref().map(|case| case.3)[..5]);
        assert_eq!(lines[5], "f: f32[..] = Constant() value_string=\"x\"");
        assert_eq!((changes.made.len(), changes.skipped.len()), (5, 1));
    }

    #[test]
    fn constants_leave_the_inputs() {
        let mut graph = Graph::new("test");
        let x = graph
            .add_input("x", Fact::unranked(ElementType::Float32))
            .unwrap();
        let c = graph.add_input("c", None).unwrap();
        graph.set_initializer(c, Tensor::from_f32(&[], &[1.0]).unwrap());
        graph.add_output(c).unwrap();
        let mut model = Model::new(graph, 17);
        model.ir_version = 3;
        let (changed, changes) = initializers_from_inputs(&model).unwrap();
        assert_eq!(changed.graph.inputs(), [x]);
        assert_eq!((changed.ir_version, changes.made.len()), (4, 1));
        let (again, changes) = initializers_from_inputs(&changed).unwrap();
        assert_eq!(again, changed);
        assert!(changes.is_empty());
    }
}
