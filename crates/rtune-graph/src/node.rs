use crate::{Attribute, AttributeKind, GraphError, GraphErrorKind, ValueId};
use std::collections::BTreeMap;

/// A node of one graph; ids ascend in the order of execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    /// The node's position in the order of execution.
    pub fn index(self) -> usize {
        self.0 as usize
    }
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
    /// Inputs; an omitted optional one is `None`.
    pub inputs: Vec<Option<ValueId>>,
    /// Outputs; an omitted optional one is `None`.
    pub outputs: Vec<Option<ValueId>>,
    /// Attributes by name.
    pub attributes: BTreeMap<String, Attribute>,
}

impl Node {
    /// The input at `index`, unless it is omitted.
    pub fn input(&self, index: usize) -> Option<ValueId> {
        self.inputs.get(index).copied().flatten()
    }

    /// The output at `index`, unless it is omitted.
    pub fn output(&self, index: usize) -> Option<ValueId> {
        self.outputs.get(index).copied().flatten()
    }

    /// True if the node is the operator `op_type` of the standard domain.
    pub fn is(&self, op_type: &str) -> bool {
        self.domain.is_empty() && self.op_type == op_type
    }

    /// The integer attribute `name`, or `default` if the node does not have it.
    ///
    /// # Errors
    /// If the attribute has another type.
    pub fn int(&self, name: &str, default: i64) -> Result<i64, GraphError> {
        let value = self.typed(name, AttributeKind::Int, Attribute::as_int)?;
        Ok(value.unwrap_or(default))
    }

    /// The float attribute `name`, or `default` if the node does not have it.
    ///
    /// # Errors
    /// If the attribute has another type.
    pub fn float(&self, name: &str, default: f32) -> Result<f32, GraphError> {
        let value = self.typed(name, AttributeKind::Float, Attribute::as_float)?;
        Ok(value.unwrap_or(default))
    }

    /// The integers of the attribute `name`, if the node has it.
    ///
    /// # Errors
    /// If the attribute has another type.
    pub fn ints(&self, name: &str) -> Result<Option<&[i64]>, GraphError> {
        self.typed(name, AttributeKind::Ints, Attribute::as_ints)
    }

    /// The text of the attribute `name`, if the node has it.
    ///
    /// # Errors
    /// If the attribute has another type or is not UTF-8.
    pub fn string(&self, name: &str) -> Result<Option<&str>, GraphError> {
        self.typed(name, AttributeKind::String, Attribute::as_str)
    }

    /// The tensor of the attribute `name`, if the node has it.
    ///
    /// # Errors
    /// If the attribute has another type.
    pub fn tensor(&self, name: &str) -> Result<Option<&crate::Tensor>, GraphError> {
        self.typed(name, AttributeKind::Tensor, Attribute::as_tensor)
    }

    fn typed<'a, T>(
        &'a self,
        name: &str,
        expected: AttributeKind,
        value: impl FnOnce(&'a Attribute) -> Option<T>,
    ) -> Result<Option<T>, GraphError> {
        let Some(attribute) = self.attributes.get(name) else {
            return Ok(None);
        };
        match value(attribute) {
            Some(value) => Ok(Some(value)),
            None => Err(GraphError::node(
                self,
                GraphErrorKind::AttributeType {
                    name: name.to_owned(),
                    expected,
                    found: attribute.kind(),
                },
            )),
        }
    }
}

/// A node to be added to a graph.
#[derive(Debug, Clone)]
pub struct NodeDraft {
    pub(crate) node: Node,
    pub(crate) outputs: Vec<Option<String>>,
}

impl NodeDraft {
    /// A node of the standard domain with one output, which is named like the node unless
    /// [`NodeDraft::output`] or [`NodeDraft::outputs`] gives names.
    pub fn new(op_type: impl Into<String>, name: impl Into<String>) -> Self {
        let node = Node {
            name: name.into(),
            domain: String::new(),
            op_type: op_type.into(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            attributes: BTreeMap::new(),
        };
        let outputs = vec![Some(node.name.clone())];
        Self { node, outputs }
    }

    /// A node with the operator, name and attributes of another one, and one output of that name.
    pub fn like(node: &Node) -> Self {
        let node = Node {
            inputs: Vec::new(),
            outputs: Vec::new(),
            ..node.clone()
        };
        let outputs = vec![Some(node.name.clone())];
        Self { node, outputs }
    }

    /// Sets the operator set's domain.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.node.domain = domain.into();
        self
    }

    /// Sets the inputs: value ids, or options of them if some inputs are omitted.
    #[must_use]
    pub fn inputs(mut self, inputs: impl IntoIterator<Item = impl Into<Option<ValueId>>>) -> Self {
        self.node.inputs = inputs.into_iter().map(Into::into).collect();
        self
    }

    /// Sets one attribute.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: impl Into<Attribute>) -> Self {
        self.node.attributes.insert(name.to_owned(), value.into());
        self
    }

    /// Names the only output.
    #[must_use]
    pub fn output(mut self, name: impl Into<String>) -> Self {
        self.outputs = vec![Some(name.into())];
        self
    }

    /// Names all outputs; `None` omits one.
    #[must_use]
    pub fn outputs<'a>(
        mut self,
        names: impl IntoIterator<Item = impl Into<Option<&'a str>>>,
    ) -> Self {
        let names = names.into_iter().map(|name| name.into().map(str::to_owned));
        self.outputs = names.collect();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_another_type_are_errors() {
        let node = NodeDraft::new("Gemm", "g")
            .attribute("transB", 1.0_f32)
            .attribute("alpha", 2.0_f32)
            .attribute("mode", "linear")
            .node;
        assert_eq!(node.float("alpha", 1.0), Ok(2.0));
        assert_eq!(node.float("beta", 1.0), Ok(1.0));
        assert_eq!(node.string("mode"), Ok(Some("linear")));
        assert_eq!(node.ints("axes"), Ok(None));
        assert_eq!(
            node.int("transB", 0).unwrap_err().to_string(),
            "node `g` (Gemm): attribute `transB` must be an int, found a float"
        );
        assert!(node.tensor("mode").is_err());
    }
}
