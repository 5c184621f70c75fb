use crate::{Fact, GraphError, GraphErrorKind, Node, NodeId, Place, Tensor};
use std::collections::BTreeMap;

/// A value of one graph. An id is meaningless in any other graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(u32);

impl ValueId {
    /// The value's position in the order of definition.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A named value: a graph input, a constant, or the output of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Unique in the graph.
    pub name: String,
}

#[derive(Debug, Clone)]
struct Entry {
    value: Value,
    fact: Option<Fact>,
    producer: Option<NodeId>,
    users: Vec<NodeId>,
}

/// Nodes in order of execution over named values.
///
/// A graph holds what a file states, nothing that is computed from it; [`infer`](crate::infer)
/// gives the rest as a table of its own. Two graphs are equal if they state the same by the same
/// names, in whatever order their values were declared.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// The graph's name.
    pub name: String,
    values: Vec<Entry>,
    nodes: Vec<Node>,
    inputs: Vec<ValueId>,
    outputs: Vec<ValueId>,
    initializers: BTreeMap<ValueId, Tensor>,
    names: BTreeMap<String, ValueId>,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Adds a value that nothing defines yet, with its stated type and shape.
    ///
    /// # Errors
    /// If the name is empty or taken.
    pub fn declare(
        &mut self,
        name: &str,
        fact: impl Into<Option<Fact>>,
    ) -> Result<ValueId, GraphError> {
        if name.is_empty() {
            let place = Place::Graph(self.name.clone());
            return Err(GraphError::new(place, "a value needs a name"));
        }
        if self.names.contains_key(name) {
            return Err(GraphError::value(name, GraphErrorKind::DefinedTwice));
        }
        let index = u32::try_from(self.values.len())
            .map_err(|_| GraphError::value(name, "too many values"))?;
        self.values.push(Entry {
            value: Value {
                name: name.to_owned(),
            },
            fact: fact.into(),
            producer: None,
            users: Vec::new(),
        });
        self.names.insert(name.to_owned(), ValueId(index));
        Ok(ValueId(index))
    }

    /// Adds a graph input.
    ///
    /// # Errors
    /// If the name is empty or taken.
    pub fn add_input(
        &mut self,
        name: &str,
        fact: impl Into<Option<Fact>>,
    ) -> Result<ValueId, GraphError> {
        let id = self.declare(name, fact)?;
        self.inputs.push(id);
        Ok(id)
    }

    /// Adds a constant.
    ///
    /// # Errors
    /// If the name is empty or taken.
    pub fn add_initializer(&mut self, name: &str, tensor: Tensor) -> Result<ValueId, GraphError> {
        let id = self.declare(name, None)?;
        self.set_initializer(id, tensor);
        Ok(id)
    }

    /// Makes a declared value a constant, or replaces a constant. An input that is also a constant
    /// has that constant as its default.
    pub fn set_initializer(&mut self, id: ValueId, tensor: Tensor) {
        self.values[id.index()].fact = Some(tensor.fact());
        self.initializers.insert(id, tensor);
    }

    /// Adds a node over values that are already declared. Nothing is inferred or checked; see
    /// [`GraphBuilder`](crate::GraphBuilder) and [`check`](crate::check).
    ///
    /// # Errors
    /// If the node names a value that the graph does not have.
    pub fn push(&mut self, node: Node) -> Result<NodeId, GraphError> {
        let mut ids = node.inputs.iter().chain(&node.outputs).flatten();
        if ids.any(|id| id.index() >= self.values.len()) {
            return Err(GraphError::node(&node, "uses a value of another graph"));
        }
        let index = u32::try_from(self.nodes.len())
            .map_err(|_| GraphError::node(&node, "too many nodes"))?;
        let id = NodeId(index);
        for input in node.inputs.iter().flatten() {
            let users = &mut self.values[input.index()].users;
            if users.last() != Some(&id) {
                users.push(id);
            }
        }
        for output in node.outputs.iter().flatten() {
            self.values[output.index()].producer.get_or_insert(id);
        }
        self.nodes.push(node);
        Ok(id)
    }

    /// Makes a value an output of the graph.
    ///
    /// # Errors
    /// If it is one already.
    pub fn add_output(&mut self, id: ValueId) -> Result<(), GraphError> {
        if self.outputs.contains(&id) {
            return Err(GraphError::value(self.name_of(id), "is an output already"));
        }
        self.outputs.push(id);
        Ok(())
    }

    /// Takes constants off the list of inputs, and returns them.
    pub(crate) fn remove_constant_inputs(&mut self) -> Vec<ValueId> {
        let is_constant = |id: &ValueId| self.initializers.contains_key(id);
        let (constants, inputs) = self.inputs.iter().partition(|id| is_constant(id));
        self.inputs = inputs;
        constants
    }

    /// States a value's type and shape.
    pub fn set_fact(&mut self, id: ValueId, fact: Fact) {
        self.values[id.index()].fact = Some(fact);
    }

    /// The type and shape that the graph states for a value: for a constant, those of its tensor.
    pub fn fact(&self, id: ValueId) -> Option<&Fact> {
        self.values[id.index()].fact.as_ref()
    }

    /// The value behind an id of this graph.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()].value
    }

    /// The name of a value.
    pub fn name_of(&self, id: ValueId) -> &str {
        &self.value(id).name
    }

    /// All values, in the order of their definition.
    pub fn values(&self) -> impl Iterator<Item = (ValueId, &Value)> {
        let values = self.values.iter().map(|entry| &entry.value);
        (0_u32..).map(ValueId).zip(values)
    }

    /// The value of a name.
    pub fn find(&self, name: &str) -> Option<ValueId> {
        self.names.get(name).copied()
    }

    /// The nodes, in order of execution.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = (NodeId, &Node)> + ExactSizeIterator {
        // `push` has refused nodes beyond 32 bits.
        let pair = |(index, node)| (NodeId(index as u32), node);
        self.nodes.iter().enumerate().map(pair)
    }

    /// The node behind an id of this graph.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The graph's inputs.
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// The graph's outputs.
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// The constants, in the order of their definition.
    pub fn initializers(&self) -> impl Iterator<Item = (ValueId, &Tensor)> {
        self.initializers.iter().map(|(id, tensor)| (*id, tensor))
    }

    /// The constant behind a value, if it is one.
    pub fn initializer(&self, id: ValueId) -> Option<&Tensor> {
        self.initializers.get(&id)
    }

    /// The nodes that read a value, each once, in order of execution. Found in an index.
    pub fn users(&self, id: ValueId) -> &[NodeId] {
        &self.values[id.index()].users
    }

    /// The node that defines a value, if one does. Found in an index.
    pub fn producer(&self, id: ValueId) -> Option<NodeId> {
        self.values[id.index()].producer
    }

    /// Everything that the graph states, by name.
    fn stated(&self) -> impl PartialEq {
        let name = |id: &ValueId| self.name_of(*id).to_owned();
        let names = |ids: &[Option<ValueId>]| -> Vec<Option<String>> {
            ids.iter().map(|id| id.as_ref().map(name)).collect()
        };
        let node = |node: &Node| {
            (
                names(&node.inputs),
                names(&node.outputs),
                Node {
                    inputs: Vec::new(),
                    outputs: Vec::new(),
                    ..node.clone()
                },
            )
        };
        let fact = |entry: &Entry| Some((entry.value.name.clone(), entry.fact.clone()?));
        let tensor = |(id, tensor): (&ValueId, &Tensor)| (name(id), tensor.clone());
        (
            self.name.clone(),
            self.inputs.iter().map(name).collect::<Vec<_>>(),
            self.outputs.iter().map(name).collect::<Vec<_>>(),
            self.nodes.iter().map(node).collect::<Vec<_>>(),
            self.values
                .iter()
                .filter_map(fact)
                .collect::<BTreeMap<_, _>>(),
            self.initializers
                .iter()
                .map(tensor)
                .collect::<BTreeMap<_, _>>(),
        )
    }
}

impl PartialEq for Graph {
    fn eq(&self, other: &Self) -> bool {
        self.stated() == other.stated()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dim, ElementType, NodeDraft};

    fn node(op_type: &str, inputs: &[ValueId], output: ValueId) -> Node {
        Node {
            outputs: vec![Some(output)],
            ..NodeDraft::new(op_type, op_type)
                .inputs(inputs.iter().copied())
                .node
        }
    }

    #[test]
    fn users_and_producers_are_indexed() {
        let mut graph = Graph::new("test");
        let x = graph.add_input("x", None).unwrap();
        let [y, z] = ["y", "z"].map(|name| graph.declare(name, None).unwrap());
        let square = graph.push(node("Mul", &[x, x], y)).unwrap();
        let sum = graph.push(node("Add", &[y, x], z)).unwrap();
        assert_eq!(graph.users(x), [square, sum]);
        assert_eq!(graph.users(y), [sum]);
        assert!(graph.users(z).is_empty());
        assert_eq!(graph.producer(z), Some(sum));
        assert_eq!(graph.producer(x), None);
        assert_eq!(graph.node(sum).op_type, "Add");
        let ids: Vec<_> = graph.nodes().map(|(id, _)| id.index()).collect();
        assert_eq!(ids, [0, 1]);
    }

    #[test]
    fn equality_is_by_names_not_by_the_order_of_declarations() {
        let tensor = || Tensor::from_i64(&[1], &[3]).unwrap();
        let build = |constant_first: bool| {
            let mut graph = Graph::new("test");
            let x = graph.add_input("x", None).unwrap();
            let constant = |graph: &mut Graph| graph.add_initializer("c", tensor()).unwrap();
            let early = constant_first.then(|| constant(&mut graph));
            let y = graph.declare("y", Fact::new(ElementType::Int64, [Dim::Fixed(1)]));
            let y = y.unwrap();
            let c = early.unwrap_or_else(|| constant(&mut graph));
            graph.push(node("Add", &[x, c], y)).unwrap();
            graph.add_output(y).unwrap();
            graph
        };
        let first = build(true);
        assert_eq!(first, build(false));
        let mut other = build(false);
        other.set_fact(other.find("y").unwrap(), Fact::unranked(ElementType::Int64));
        assert_ne!(first, other);
        let mut other = build(false);
        let c = other.find("c").unwrap();
        other.set_initializer(c, Tensor::from_i64(&[1], &[4]).unwrap());
        assert_ne!(first, other);
    }

    #[test]
    fn names_are_unique_and_values_belong_to_their_graph() {
        let mut graph = Graph::new("test");
        let x = graph.add_input("x", None).unwrap();
        let error = |e: GraphError| e.to_string();
        assert_eq!(
            graph.declare("x", None).map_err(error),
            Err("value `x`: defined twice".to_owned())
        );
        assert_eq!(
            graph.declare("", None).map_err(error),
            Err("graph `test`: a value needs a name".to_owned())
        );
        let foreign = ValueId(7);
        assert_eq!(
            graph.push(node("Relu", &[x], foreign)).map_err(error),
            Err("node `Relu` (Relu): uses a value of another graph".to_owned())
        );
        graph.add_output(x).unwrap();
        assert!(graph.add_output(x).is_err());
    }
}
