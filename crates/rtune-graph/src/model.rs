use crate::Graph;
use std::collections::BTreeMap;

/// A graph with what a file says about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The graph.
    pub graph: Graph,
    /// Version of the file format.
    pub ir_version: i64,
    /// Operator sets by domain; the standard domain is the empty string.
    pub opsets: BTreeMap<String, i64>,
    /// Who wrote the file.
    pub producer_name: String,
    /// The writer's version.
    pub producer_version: String,
    /// Free-form properties.
    pub metadata: BTreeMap<String, String>,
}

impl Model {
    /// A model on the standard operator set `opset`, in the file format that came with it.
    pub fn new(graph: Graph, opset: i64) -> Self {
        Self {
            graph,
            ir_version: 8,
            opsets: BTreeMap::from([(String::new(), opset)]),
            producer_name: "rtune".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            metadata: BTreeMap::new(),
        }
    }

    /// The version of the standard operator set, where the model imports it.
    pub fn opset(&self) -> Option<i64> {
        self.opsets
            .get("")
            .or_else(|| self.opsets.get("ai.onnx"))
            .copied()
    }
}
