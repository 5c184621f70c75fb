use crate::{
    Facts, Graph, GraphBuilder, GraphError, Model, Node, NodeDraft, NodeId, Tensor, ValueId, infer,
};

/// Builds an edited copy of a model; the source is not changed.
///
/// A pass walks over the source's nodes in order and, for each, keeps it or puts something else in
/// its place. Ids of the source and of the copy are different: [`Rewrite::value`] leads from the
/// first to the second.
///
/// Constants are copied when a kept node or the pass first reads them, so constants that nothing
/// reads any longer are left out.
///
/// ```
/// use rtune_graph::{Dim, ElementType, Fact, GraphBuilder, NodeDraft, Rewrite};
///
/// # fn main() -> Result<(), rtune_graph::GraphError> {
/// let mut builder = GraphBuilder::new("example", 17);
/// let x = builder.input("x", Fact::new(ElementType::Float32, [Dim::symbol("n")]))?;
/// let y = builder.add(NodeDraft::new("Tanh", "y").inputs([x]))?;
/// builder.output(y)?;
/// let model = builder.finish();
///
/// // Each Tanh becomes a Relu.
/// let mut rewrite = Rewrite::new(&model)?;
/// for (id, node) in model.graph.nodes() {
///     match (node.is("Tanh"), node.input(0), node.output(0)) {
///         (true, Some(input), Some(output)) => {
///             let input = rewrite.value(input)?;
///             rewrite.define(output, NodeDraft::new("Relu", &node.name).inputs([input]))?;
///         }
///         _ => rewrite.keep(id)?,
///     }
/// }
/// let changed = rewrite.finish()?;
/// assert!(changed.to_string().contains("y: f32[n] = Relu(x)"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Rewrite<'a> {
    source: &'a Model,
    target: GraphBuilder,
    /// From values of the source to those of the copy.
    values: Vec<Option<ValueId>>,
}

impl<'a> Rewrite<'a> {
    /// A copy with the inputs of `source`, and no node yet.
    ///
    /// # Errors
    /// If the source has two inputs of one name.
    pub fn new(source: &'a Model) -> Result<Self, GraphError> {
        let graph = &source.graph;
        let mut rewrite = Self {
            source,
            target: GraphBuilder::with_opsets(&graph.name, source.opsets.clone()),
            values: vec![None; graph.values().count()],
        };
        for input in graph.inputs() {
            let fact = graph.fact(*input).cloned();
            let id = rewrite
                .target
                .graph
                .add_input(graph.name_of(*input), fact.clone())?;
            rewrite.target.facts.set(id, infer::known_fact(fact));
            if let Some(tensor) = graph.initializer(*input) {
                rewrite.target.graph.set_initializer(id, tensor.clone());
            }
            rewrite.values[input.index()] = Some(id);
        }
        Ok(rewrite)
    }

    /// The graph that is copied.
    pub fn source(&self) -> &'a Graph {
        &self.source.graph
    }

    /// The copy as built so far.
    pub fn target(&self) -> &Graph {
        self.target.graph()
    }

    /// Everything known about the copy's values so far.
    pub fn facts(&self) -> &Facts {
        self.target.facts()
    }

    /// The copy's value for a value of the source.
    ///
    /// # Errors
    /// If no node that defines it has been kept or replaced yet.
    pub fn value(&mut self, id: ValueId) -> Result<ValueId, GraphError> {
        if let Some(found) = self.values.get(id.index()).copied().flatten() {
            return Ok(found);
        }
        let name = self.source.graph.name_of(id);
        let Some(tensor) = self.source.graph.initializer(id) else {
            return Err(GraphError::value(name, "is read before it is defined"));
        };
        let copied = self.target.constant(name, tensor.clone())?;
        self.values[id.index()] = Some(copied);
        Ok(copied)
    }

    /// Copies a node of the source as it is.
    ///
    /// # Errors
    /// If one of its inputs is not defined yet, or one of its outputs is defined already.
    pub fn keep(&mut self, id: NodeId) -> Result<(), GraphError> {
        let node = self.source.graph.node(id);
        let inputs = node
            .inputs
            .iter()
            .map(|i| i.map(|id| self.value(id)).transpose());
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let kept = Node {
            inputs,
            outputs: Vec::new(),
            ..node.clone()
        };
        self.place(kept, &node.outputs)?;
        Ok(())
    }

    /// Adds a node in place of the one that defines `value` in the source: its output has that
    /// value's name and stated fact.
    ///
    /// # Errors
    /// If the draft has more than one output, or the value is defined already.
    pub fn define(&mut self, value: ValueId, draft: NodeDraft) -> Result<ValueId, GraphError> {
        if draft.outputs.len() != 1 {
            return Err(GraphError::node(
                &draft.node,
                "defines one value, but has several outputs",
            ));
        }
        self.place(draft.node, &[Some(value)])?;
        self.value(value)
    }

    /// Makes a value of the source a constant of the same name.
    ///
    /// # Errors
    /// If the value is defined already.
    pub fn define_constant(
        &mut self,
        value: ValueId,
        tensor: Tensor,
    ) -> Result<ValueId, GraphError> {
        let id = self
            .target
            .constant(self.source.graph.name_of(value), tensor)?;
        self.values[value.index()] = Some(id);
        Ok(id)
    }

    /// Makes everything that reads `value` in the source read `with`, a value of the copy.
    pub fn replace(&mut self, value: ValueId, with: ValueId) {
        self.values[value.index()] = Some(with);
    }

    /// `name`, with as many `_` behind it as make it new in the source and in the copy.
    pub fn unique(&self, name: impl Into<String>) -> String {
        let mut name = name.into();
        while self.source.graph.find(&name).is_some() || self.target().find(&name).is_some() {
            name.push('_');
        }
        name
    }

    /// Adds a new constant under a [unique](Rewrite::unique) name.
    ///
    /// # Errors
    /// If the name is empty.
    pub fn constant(
        &mut self,
        name: impl Into<String>,
        tensor: Tensor,
    ) -> Result<ValueId, GraphError> {
        let name = self.unique(name);
        self.target.constant(&name, tensor)
    }

    /// Adds a new node over values of the copy; its output, and the node if it is named like it,
    /// get a [unique](Rewrite::unique) name. The output's fact is inferred and stated.
    ///
    /// # Errors
    /// If the node has not exactly one output, or does not accept its inputs or attributes.
    pub fn add(&mut self, mut draft: NodeDraft) -> Result<ValueId, GraphError> {
        for output in draft.outputs.iter_mut().flatten() {
            let name = self.unique(output.as_str());
            if draft.node.name == *output {
                draft.node.name.clone_from(&name);
            }
            *output = name;
        }
        self.target.add(draft)
    }

    /// Ends the copy: the outputs of the source become its outputs, under their names. An output
    /// that has been replaced is read through an `Identity` node.
    ///
    /// # Errors
    /// If an output of the source is not defined.
    pub fn finish(mut self) -> Result<Model, GraphError> {
        for output in self.source.graph.outputs() {
            let id = self.value(*output)?;
            let name = self.source.graph.name_of(*output);
            let id = match self.target().name_of(id) == name {
                true => id,
                false => self
                    .target
                    .add(NodeDraft::new("Identity", name).inputs([id]))?,
            };
            self.target.output(id)?;
        }
        Ok(Model {
            graph: self.target.finish().graph,
            ir_version: self.source.ir_version,
            opsets: self.source.opsets.clone(),
            producer_name: self.source.producer_name.clone(),
            producer_version: self.source.producer_version.clone(),
            metadata: self.source.metadata.clone(),
        })
    }

    /// Adds a node whose outputs stand for values of the source.
    fn place(&mut self, mut node: Node, outputs: &[Option<ValueId>]) -> Result<(), GraphError> {
        let source = &self.source.graph;
        let omitted: Vec<bool> = outputs.iter().map(Option::is_none).collect();
        let target = &mut self.target;
        let known = infer::infer_node(
            &target.graph,
            &target.facts,
            &target.opsets,
            &node,
            &omitted,
        );
        // A kept node may have faults of its own; `check` reports them.
        let mut known = known.unwrap_or_default().into_iter();
        for output in outputs {
            let known = known.next().unwrap_or_default();
            let Some(value) = output else {
                node.outputs.push(None);
                continue;
            };
            let stated = source.fact(*value);
            let id = target
                .graph
                .declare(source.name_of(*value), stated.cloned())?;
            target.facts.set(id, infer::merge(known, stated));
            node.outputs.push(Some(id));
            self.values[value.index()] = Some(id);
        }
        target.graph.push(node)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dim, ElementType, Fact, check};

    /// x → tanh → y = tanh + c, and an output for each.
    fn source() -> Model {
        let mut builder = GraphBuilder::new("source", 17);
        let x = builder
            .input("x", Fact::new(ElementType::Float32, [Dim::symbol("n")]))
            .unwrap();
        let tanh = builder
            .add(NodeDraft::new("Tanh", "tanh").inputs([x]))
            .unwrap();
        let c = builder
            .constant("c", Tensor::from_f32(&[], &[1.0]).unwrap())
            .unwrap();
        builder
            .constant("unread", Tensor::from_f32(&[], &[2.0]).unwrap())
            .unwrap();
        let y = builder
            .add(NodeDraft::new("Add", "y").inputs([tanh, c]))
            .unwrap();
        builder.output(tanh).unwrap();
        builder.output(y).unwrap();
        let mut model = builder.finish();
        model.metadata.insert("key".to_owned(), "value".to_owned());
        model
    }

    fn lines(model: &Model) -> Vec<String> {
        check(model).unwrap();
        model.graph.to_string().lines().map(str::to_owned).collect()
    }

    #[test]
    fn keeping_everything_changes_nothing_but_unread_constants() {
        let source = source();
        let mut rewrite = Rewrite::new(&source).unwrap();
        for (id, _) in source.graph.nodes() {
            rewrite.keep(id).unwrap();
        }
        let copy = rewrite.finish().unwrap();
        let all = lines(&source);
        let expected: Vec<_> = all.iter().filter(|line| !line.contains("unread")).collect();
        assert_eq!(lines(&copy).iter().collect::<Vec<_>>(), expected);
        assert_eq!(
            (copy.metadata, copy.ir_version),
            (source.metadata, source.ir_version)
        );
    }

    #[test]
    fn replaced_values_are_read_by_later_nodes_and_keep_their_output_name() {
        let source = source();
        let mut rewrite = Rewrite::new(&source).unwrap();
        for (id, node) in source.graph.nodes() {
            match node.is("Tanh") {
                true => {
                    let x = rewrite.value(node.input(0).unwrap()).unwrap();
                    let relu = NodeDraft::new("Relu", "tanh").inputs([x]);
                    let relu = rewrite.add(relu).unwrap();
                    rewrite.replace(node.output(0).unwrap(), relu);
                }
                false => rewrite.keep(id).unwrap(),
            }
        }
        assert_eq!(
            lines(&rewrite.finish().unwrap()),
            [
                "input x: f32[n]",
                "constant c: f32[] = 1",
                "tanh_: f32[n] = Relu(x)",
                "y: f32[n] = Add(tanh_, c)",
                "tanh: f32[n] = Identity(tanh_)",
                "output tanh",
                "output y",
            ]
        );
    }

    #[test]
    fn new_names_are_unique_in_both_graphs() {
        let source = source();
        let mut rewrite = Rewrite::new(&source).unwrap();
        let one = || Tensor::from_f32(&[], &[1.0]).unwrap();
        let first = rewrite.constant("c", one()).unwrap();
        let second = rewrite.constant("c", one()).unwrap();
        let names = [first, second].map(|id| rewrite.target().name_of(id).to_owned());
        assert_eq!(names, ["c_", "c__"]);
        assert_eq!(rewrite.unique("new"), "new");
        assert_eq!(rewrite.facts().rank(first), Some(0));
    }

    #[test]
    fn values_are_read_after_their_definition_and_defined_once() {
        let source = source();
        let mut rewrite = Rewrite::new(&source).unwrap();
        let tanh = source.graph.find("tanh").unwrap();
        assert_eq!(
            rewrite.value(tanh).unwrap_err().to_string(),
            "value `tanh`: is read before it is defined"
        );
        let producer = source.graph.producer(tanh).unwrap();
        rewrite.keep(producer).unwrap();
        assert!(rewrite.value(tanh).is_ok());
        assert_eq!(
            rewrite.keep(producer).unwrap_err().to_string(),
            "value `tanh`: defined twice"
        );
        assert_eq!(
            rewrite.finish().unwrap_err().to_string(),
            "value `y`: is read before it is defined"
        );
    }
}
