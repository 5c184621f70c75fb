use crate::{Attribute, Dim, Fact, GraphError, Tensor, infer};
use std::collections::BTreeMap;

/// A value of one graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(u32);

/// A node of one graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The node's position in the order of execution.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A named value: a graph input, a constant, or the output of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Unique in the graph.
    pub name: String,
    /// Type and shape, where they are known.
    pub fact: Option<Fact>,
    /// The elements of a small integer vector, as far as they are known; shape arithmetic is
    /// followed through them.
    pub contents: Option<Vec<Dim>>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The node's name, or an empty string.
    pub name: String,
    /// The operator set's domain; the standard one is the empty string.
    pub domain: String,
    /// The operator.
    pub op_type: String,
    /// Inputs; an optional one that is left out is `None`.
    pub inputs: Vec<Option<ValueId>>,
    /// Outputs; an optional one that is left out is `None`.
    pub outputs: Vec<Option<ValueId>>,
    /// Attributes by name.
    pub attributes: BTreeMap<String, Attribute>,
}

impl Node {
    /// The input at `index`, where there is one.
    pub fn input(&self, index: usize) -> Option<ValueId> {
        self.inputs.get(index).copied().flatten()
    }

    /// The output at `index`, where there is one.
    pub fn output(&self, index: usize) -> Option<ValueId> {
        self.outputs.get(index).copied().flatten()
    }

    /// The integer attribute `name`, or `default` where the node has none.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attributes
            .get(name)
            .and_then(Attribute::as_int)
            .unwrap_or(default)
    }

    /// The float attribute `name`, or `default` where the node has none.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attributes
            .get(name)
            .and_then(Attribute::as_float)
            .unwrap_or(default)
    }

    /// How messages name the node.
    pub fn label(&self) -> String {
        format!("node `{}` ({})", self.name, self.op_type)
    }
}

/// A node to be added to a graph.
#[derive(Debug, Clone)]
pub struct NodeDraft {
    node: Node,
    output_name: Option<String>,
}

impl NodeDraft {
    /// A node of the standard domain with one output, named like the node unless
    /// [`NodeDraft::output`] says more.
    pub fn new(op_type: impl Into<String>, name: impl Into<String>) -> Self {
        let node = Node {
            name: name.into(),
            domain: String::new(),
            op_type: op_type.into(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            attributes: BTreeMap::new(),
        };
        Self {
            node,
            output_name: None,
        }
    }

    /// Sets the inputs.
    #[must_use]
    pub fn inputs(mut self, inputs: impl IntoIterator<Item = ValueId>) -> Self {
        self.node.inputs = inputs.into_iter().map(Some).collect();
        self
    }

    /// Sets one attribute.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: impl Into<Attribute>) -> Self {
        self.node.attributes.insert(name.to_owned(), value.into());
        self
    }

    /// Names the output.
    #[must_use]
    pub fn output(mut self, name: impl Into<String>) -> Self {
        self.output_name = Some(name.into());
        self
    }
}

/// Nodes in order of execution over named values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// The graph's name.
    pub name: String,
    values: Vec<Value>,
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

    /// Adds a value that nothing defines yet.
    ///
    /// # Errors
    /// Where the name is empty or taken.
    pub fn declare(&mut self, name: &str, fact: Option<Fact>) -> Result<ValueId, GraphError> {
        if name.is_empty() {
            return Err(GraphError::new(
                format!("graph `{}`", self.name),
                "a value needs a name",
            ));
        }
        if self.names.contains_key(name) {
            return Err(GraphError::new(format!("value `{name}`"), "defined twice"));
        }
        let id = ValueId(
            u32::try_from(self.values.len())
                .map_err(|_| GraphError::new(name, "too many values"))?,
        );
        self.values.push(Value {
            name: name.to_owned(),
            fact,
            contents: None,
        });
        self.names.insert(name.to_owned(), id);
        Ok(id)
    }

    /// Adds a graph input.
    ///
    /// # Errors
    /// Where the name is empty or taken.
    pub fn add_input(&mut self, name: &str, fact: Fact) -> Result<ValueId, GraphError> {
        let id = self.declare(name, Some(fact))?;
        self.inputs.push(id);
        Ok(id)
    }

    /// Adds a constant.
    ///
    /// # Errors
    /// Where the name is empty or taken.
    pub fn add_initializer(&mut self, name: &str, tensor: Tensor) -> Result<ValueId, GraphError> {
        let id = self.declare(name, None)?;
        self.set_initializer(id, tensor);
        Ok(id)
    }

    /// Makes a declared value a constant.
    pub fn set_initializer(&mut self, id: ValueId, tensor: Tensor) {
        let value = &mut self.values[id.0 as usize];
        value.fact = Some(tensor.fact());
        value.contents = infer::contents_of(&tensor);
        self.initializers.insert(id, tensor);
    }

    /// Adds a node with one output and infers that output's type and shape.
    ///
    /// # Errors
    /// Where the output's name is taken, or the operator does not accept such inputs.
    pub fn add(&mut self, draft: NodeDraft) -> Result<ValueId, GraphError> {
        let NodeDraft {
            mut node,
            output_name,
        } = draft;
        let known = infer::infer(self, &node)?;
        let id = self.declare(output_name.as_deref().unwrap_or(&node.name), known.fact)?;
        self.values[id.0 as usize].contents = known.contents;
        node.outputs = vec![Some(id)];
        self.nodes.push(node);
        Ok(id)
    }

    /// Adds a node as it is, over values that are already declared; nothing is inferred.
    pub fn push(&mut self, node: Node) {
        self.nodes.push(node);
    }

    /// Makes a value an output of the graph.
    ///
    /// # Errors
    /// Where it is one already.
    pub fn add_output(&mut self, id: ValueId) -> Result<(), GraphError> {
        if self.outputs.contains(&id) {
            return Err(GraphError::new(
                format!("value `{}`", self.value(id).name),
                "is an output already",
            ));
        }
        self.outputs.push(id);
        Ok(())
    }

    /// Marks a declared value as an input.
    pub fn mark_input(&mut self, id: ValueId) {
        self.inputs.push(id);
    }

    /// States a value's type and shape.
    pub fn set_fact(&mut self, id: ValueId, fact: Fact) {
        self.values[id.0 as usize].fact = Some(fact);
    }

    /// Types and ranks that are not stated, as far as the rules for operators go, for some values.
    /// They are noted in the graph only on the way, and it is left as it was: what a file does not
    /// say, nobody may rely on.
    pub fn infer_facts(&mut self, wanted: &[ValueId]) -> Vec<(ValueId, Fact)> {
        let mut filled = Vec::new();
        for index in 0..self.nodes.len() {
            let Some(output) = self.nodes[index].output(0) else {
                continue;
            };
            let value = &self.values[output.0 as usize];
            if value.fact.is_some() && value.contents.is_some() {
                continue;
            }
            let Ok(known) = infer::infer(self, &self.nodes[index]) else {
                continue;
            };
            filled.push((output, self.values[output.0 as usize].clone()));
            let value = &mut self.values[output.0 as usize];
            value.fact = value.fact.take().or(known.fact);
            value.contents = value.contents.take().or(known.contents);
        }
        let found = wanted
            .iter()
            .filter_map(|id| Some((*id, self.value(*id).fact.clone()?)));
        let found = found.collect();
        for (id, value) in filled {
            self.values[id.0 as usize] = value;
        }
        found
    }

    /// Makes initializers of `Constant` nodes that hold a tensor.
    pub fn constants_to_initializers(&mut self) {
        for node in std::mem::take(&mut self.nodes) {
            match (
                node.domain.as_str(),
                node.op_type.as_str(),
                node.attributes.get("value"),
                node.output(0),
            ) {
                ("", "Constant", Some(Attribute::Tensor(tensor)), Some(output)) => {
                    let tensor = tensor.clone();
                    self.set_initializer(output, tensor);
                }
                _ => self.nodes.push(node),
            }
        }
    }

    /// The value behind an id of this graph.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0 as usize]
    }

    /// All values, in the order of their definition.
    pub fn values(&self) -> impl Iterator<Item = (ValueId, &Value)> {
        (0_u32..).map(ValueId).zip(&self.values)
    }

    /// The value named `name`.
    pub fn find(&self, name: &str) -> Option<ValueId> {
        self.names.get(name).copied()
    }

    /// The nodes, in order of execution.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
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

    /// The constant behind a value, where it is one.
    pub fn initializer(&self, id: ValueId) -> Option<&Tensor> {
        self.initializers.get(&id)
    }

    /// The nodes that read a value.
    pub fn consumers(&self, id: ValueId) -> impl Iterator<Item = &Node> {
        self.nodes
            .iter()
            .filter(move |node| node.inputs.contains(&Some(id)))
    }

    /// The node that defines a value, where one does.
    pub fn producer(&self, id: ValueId) -> Option<&Node> {
        self.nodes
            .iter()
            .find(|node| node.outputs.contains(&Some(id)))
    }
}
