use rtune_graph::{Graph, Node};
use serde::Serialize;
use std::collections::BTreeMap;

/// Operators with integer kernels for matrix products, the runtime's own among them.
const INTEGER: [&str; 7] = [
    "QGemm",
    "QLinearMatMul",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "DynamicQuantizeMatMul",
    "QAttention",
    "QLinearConv",
];
/// Operators with float kernels for matrix products.
const FLOAT: [&str; 7] = [
    "Gemm",
    "MatMul",
    "FusedMatMul",
    "FusedGemm",
    "MatMulNBits",
    "Attention",
    "Conv",
];

/// Which products with constant weights run as integers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Census {
    /// Operators and how often each occurs.
    pub operators: BTreeMap<String, usize>,
    /// Names of constant weights that integer kernels read.
    pub integer: Vec<String>,
    /// Names of weights that float kernels read, constant or dequantized from constants.
    pub float: Vec<String>,
}

/// Counts the products of a graph as the runtime has rewritten it.
pub fn census(graph: &Graph) -> Census {
    let mut census = Census::default();
    for (_, node) in graph.nodes() {
        *census.operators.entry(node.op_type.clone()).or_default() += 1;
        let Some(weight) = constant_weight(graph, node) else {
            continue;
        };
        if INTEGER.contains(&node.op_type.as_str()) {
            census.integer.push(weight);
        } else if FLOAT.contains(&node.op_type.as_str()) {
            census.float.push(weight);
        }
    }
    census
}

/// The name of the constant matrix that a product reads, also through `DequantizeLinear` and
/// `Transpose`.
fn constant_weight(graph: &Graph, node: &Node) -> Option<String> {
    // Beside scales, zero points and biases, the weight is the first constant matrix.
    node.inputs.iter().flatten().find_map(|input| {
        let mut id = *input;
        while let Some(producer) = graph.producer(id) {
            let producer = graph.node(producer);
            if !matches!(
                producer.op_type.as_str(),
                "DequantizeLinear" | "Transpose" | "Identity"
            ) {
                return None;
            }
            id = producer.input(0)?;
        }
        let tensor = graph.initializer(id)?;
        let name = graph.value(id).name.as_str();
        // The float model's name, which is what people know.
        let name = name
            .trim_end_matches('_')
            .strip_suffix("_quantized")
            .unwrap_or(name);
        (tensor.dims().len() >= 2).then(|| name.to_owned())
    })
}
