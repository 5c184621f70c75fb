use crate::{
    Fact, Facts, Graph, GraphError, GraphErrorKind, Model, NodeDraft, Opsets, Tensor, ValueId,
    infer,
};

/// Builds a graph node by node for a given operator set.
///
/// The types and shapes of a node's outputs are inferred and stated as it is added, so an operator
/// that is not in the operator set, or that does not accept its inputs, is refused at once.
///
/// ```
/// use rtune_graph::{Dim, ElementType, Fact, GraphBuilder, NodeDraft};
///
/// # fn main() -> Result<(), rtune_graph::GraphError> {
/// let mut builder = GraphBuilder::new("halves", 18);
/// let x = builder.input("x", Fact::new(ElementType::Float32, [Dim::symbol("n"), Dim::Fixed(6)]))?;
/// let split = NodeDraft::new("Split", "split")
///     .inputs([x])
///     .attribute("axis", 1_i64)
///     .attribute("num_outputs", 2_i64)
///     .outputs(["left", "right"]);
/// for half in builder.add_all(split)? {
///     builder.output(half)?;
/// }
/// let text = builder.finish().to_string();
/// assert!(text.contains("left: f32[n, 3], right: f32[n, 3] = Split(x) axis=1 num_outputs=2"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct GraphBuilder {
    pub(crate) graph: Graph,
    pub(crate) opsets: Opsets,
    pub(crate) facts: Facts,
}

impl GraphBuilder {
    /// A builder of a graph on the standard operator set `opset`.
    pub fn new(name: impl Into<String>, opset: i64) -> Self {
        Self::with_opsets(name, Opsets::standard(opset))
    }

    /// A builder of a graph on several operator sets.
    pub fn with_opsets(name: impl Into<String>, opsets: Opsets) -> Self {
        Self {
            graph: Graph::new(name),
            opsets,
            facts: Facts::default(),
        }
    }

    /// Imports another operator set, such as version 1 of `com.microsoft`.
    pub fn import(&mut self, domain: &str, version: i64) {
        self.opsets.insert(domain, version);
    }

    /// Adds a graph input.
    ///
    /// # Errors
    /// If the name is empty or taken.
    pub fn input(&mut self, name: &str, fact: Fact) -> Result<ValueId, GraphError> {
        let id = self.graph.add_input(name, fact.clone())?;
        self.facts.set(id, fact.into());
        Ok(id)
    }

    /// Adds a constant.
    ///
    /// # Errors
    /// If the name is empty or taken.
    pub fn constant(&mut self, name: &str, tensor: Tensor) -> Result<ValueId, GraphError> {
        let known = infer::known_of(&tensor);
        let id = self.graph.add_initializer(name, tensor)?;
        self.facts.set(id, known);
        Ok(id)
    }

    /// Adds a node with one output.
    ///
    /// # Errors
    /// If the node has not exactly one output, the output's name is empty or taken, or the
    /// operator does not accept the inputs or attributes.
    pub fn add(&mut self, draft: NodeDraft) -> Result<ValueId, GraphError> {
        if !matches!(draft.outputs.as_slice(), [Some(_)]) {
            let kind = GraphErrorKind::Outputs {
                min: 1,
                max: Some(1),
                found: draft.outputs.iter().flatten().count(),
            };
            return Err(GraphError::node(&draft.node, kind));
        }
        let place = draft.node.clone();
        let ids = self.add_all(draft)?;
        ids.first()
            .copied()
            .ok_or_else(|| GraphError::node(&place, "has no output"))
    }

    /// Adds a node with any number of outputs, and returns those that are not omitted.
    ///
    /// # Errors
    /// If an output's name is empty or taken, or the operator does not accept the inputs,
    /// attributes or number of outputs. The graph may then hold outputs that no node defines, so a
    /// builder should not be used further after an error.
    pub fn add_all(&mut self, draft: NodeDraft) -> Result<Vec<ValueId>, GraphError> {
        let NodeDraft { mut node, outputs } = draft;
        let omitted: Vec<bool> = outputs.iter().map(Option::is_none).collect();
        let known = infer::infer_node(&self.graph, &self.facts, &self.opsets, &node, &omitted)?;
        let mut ids = Vec::new();
        for (name, known) in outputs.iter().zip(known) {
            let Some(name) = name else {
                node.outputs.push(None);
                continue;
            };
            let id = self.graph.declare(name, known.fact.clone())?;
            self.facts.set(id, known);
            node.outputs.push(Some(id));
            ids.push(id);
        }
        self.graph.push(node)?;
        Ok(ids)
    }

    /// Makes a value an output of the graph.
    ///
    /// # Errors
    /// If it is one already.
    pub fn output(&mut self, id: ValueId) -> Result<(), GraphError> {
        self.graph.add_output(id)
    }

    /// States a value's type and shape, for outputs of operators that rtune does not know.
    pub fn set_fact(&mut self, id: ValueId, fact: Fact) {
        self.graph.set_fact(id, fact.clone());
        self.facts.set(id, fact.into());
    }

    /// The graph as built so far.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Everything known about the values so far.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Ends the graph.
    pub fn finish(self) -> Model {
        // The operator sets replace the one that `new` sets.
        Model {
            opsets: self.opsets,
            ..Model::new(self.graph, 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Contents, Dim, ElementType};

    fn float(dims: &[u64]) -> Fact {
        Fact::new(ElementType::Float32, dims.iter().map(|d| Dim::Fixed(*d)))
    }

    #[test]
    fn nodes_that_do_not_fit_are_refused() {
        let mut builder = GraphBuilder::new("test", 17);
        let a = builder.input("a", float(&[2, 3])).unwrap();
        let b = builder.input("b", float(&[4, 5])).unwrap();
        let node = |op_type: &str| NodeDraft::new(op_type, "n");
        let cases = [
            (
                node("MatMul").inputs([a, b]),
                "node `n` (MatMul): inner dimensions differ: f32[2, 3] and f32[4, 5]",
            ),
            (
                node("Add").inputs([a, b]),
                "node `n` (Add): shapes f32[2, 3] and f32[4, 5] cannot be broadcast",
            ),
            (
                node("Add").inputs([a]),
                "node `n` (Add): takes 2 to 2 inputs, found 1",
            ),
            (
                node("Add").inputs([Some(a), None]),
                "node `n` (Add): input 1 is missing",
            ),
            (
                node("Relu").inputs([a]).output("b"),
                "value `b`: defined twice",
            ),
            (
                node("Relu").inputs([a]).outputs(["x", "y"]),
                "node `n` (Relu): has 1 to 1 outputs, found 2",
            ),
            (
                node("Gelu").domain("com.microsoft").inputs([a]),
                "node `n` (Gelu): the model does not import domain `com.microsoft`",
            ),
        ];
        for (draft, expected) in cases {
            let error = builder.clone().add(draft).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        assert_eq!(
            builder.input("a", float(&[1])).unwrap_err().to_string(),
            "value `a`: defined twice"
        );
    }

    #[test]
    fn symbols_are_followed_through_shape_arithmetic() {
        let mut builder = GraphBuilder::new("test", 17);
        let dims = [Dim::symbol("batch"), Dim::symbol("sequence"), Dim::Fixed(6)];
        let x = builder
            .input("x", Fact::new(ElementType::Float32, dims))
            .unwrap();
        let constant = |builder: &mut GraphBuilder, name: &str, values: &[i64]| {
            let tensor = Tensor::from_i64(&[values.len() as u64], values).unwrap();
            builder.constant(name, tensor).unwrap()
        };
        let flat = constant(&mut builder, "flat", &[-1, 6]);
        let rows = NodeDraft::new("Reshape", "rows").inputs([x, flat]);
        let rows = builder.add(rows).unwrap();
        let grid = NodeDraft::new("Shape", "grid")
            .inputs([x])
            .attribute("end", 2_i64);
        let grid = builder.add(grid).unwrap();
        let heads = constant(&mut builder, "heads", &[2, 3]);
        let shape = NodeDraft::new("Concat", "shape").inputs([grid, heads]);
        let shape = builder.add(shape.attribute("axis", 0_i64)).unwrap();
        let split = NodeDraft::new("Reshape", "split").inputs([rows, shape]);
        let split = builder.add(split).unwrap();
        let text = |id| builder.facts().fact(id).unwrap().to_string();
        assert_eq!(text(rows), "f32[batch*sequence, 6]");
        assert_eq!(text(split), "f32[batch, sequence, 2, 3]");
        let contents: Contents = builder.facts().contents(shape).unwrap().to_vec();
        let contents: Vec<_> = contents.iter().flatten().map(ToString::to_string).collect();
        assert_eq!(contents, ["batch", "sequence", "2", "3"]);
    }
}
