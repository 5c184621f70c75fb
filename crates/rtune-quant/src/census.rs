//! Counts of integer and float kernels in a model as the runtime rewrites it.

use crate::names::float_name;
use rtune_graph::{Graph, Node};
use serde::Serialize;
use std::collections::BTreeMap;

/// Operators that compute matrix products with integers, including ONNX Runtime's own.
const INTEGER: [&str; 7] = [
    "QGemm",
    "QLinearMatMul",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "DynamicQuantizeMatMul",
    "QAttention",
    "QLinearConv",
];
/// Operators that compute matrix products in float, including ONNX Runtime's own.
const FLOAT: [&str; 7] = [
    "Gemm",
    "MatMul",
    "FusedMatMul",
    "FusedGemm",
    "MatMulNBits",
    "Attention",
    "Conv",
];

/// Operators of a graph, and the kernels that read each constant weight.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Census {
    /// Number of nodes of each operator.
    pub operators: BTreeMap<String, usize>,
    /// Float names of the constant weights that integer kernels read, one entry per node.
    pub integer: Vec<String>,
    /// Names of the constant weights that float kernels read, one entry per node, also through
    /// `DequantizeLinear`.
    pub float: Vec<String>,
}

/// Counts the products with constant weights of a graph as the runtime has rewritten it.
pub fn census(graph: &Graph) -> Census {
    let mut census = Census::default();
    for (_, node) in graph.nodes() {
        *census.operators.entry(node.op_type.clone()).or_default() += 1;
        let kernels = match node.op_type.as_str() {
            op_type if INTEGER.contains(&op_type) => &mut census.integer,
            op_type if FLOAT.contains(&op_type) => &mut census.float,
            _ => continue,
        };
        kernels.extend(constant_weight(graph, node));
    }
    census
}

/// Name of the constant matrix that a product reads, also through `DequantizeLinear`, `Transpose`
/// and `Identity`. Scales, zero points and biases have lower ranks, so the weight is the first
/// constant matrix.
fn constant_weight(graph: &Graph, node: &Node) -> Option<String> {
    node.inputs.iter().flatten().find_map(|input| {
        let mut id = *input;
        while let Some(producer) = graph.producer(id).map(|producer| graph.node(producer)) {
            let passes = ["DequantizeLinear", "Transpose", "Identity"];
            if !passes.contains(&producer.op_type.as_str()) {
                return None;
            }
            id = producer.input(0)?;
        }
        let tensor = graph.initializer(id)?;
        let name = float_name(graph.name_of(id), tensor.element_type());
        (tensor.dims().len() >= 2).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_graph::{ElementType, Tensor};

    /// Adds a node with one undescribed output.
    fn push(graph: &mut Graph, op_type: &str, inputs: &[&str], output: &str) {
        let inputs = inputs.iter().map(|name| graph.find(name)).collect();
        let outputs = vec![Some(graph.declare(output, None).unwrap())];
        let node = Node {
            name: output.to_owned(),
            domain: String::new(),
            op_type: op_type.to_owned(),
            inputs,
            outputs,
            attributes: BTreeMap::new(),
        };
        graph.push(node).unwrap();
    }

    #[test]
    fn integer_and_float_kernels_are_told_apart_by_the_weight_they_read() {
        let mut graph = Graph::new("optimized");
        graph.add_input("x", None).unwrap();
        let int8 = || Tensor::new(ElementType::Int8, &[2, 2], vec![0_u8; 4]).unwrap();
        let float = |dims: &[u64]| {
            let count = dims.iter().product::<u64>() as usize;
            Tensor::from_f32(dims, &vec![0.0; count]).unwrap()
        };
        for name in ["a_quantized", "b_quantized", "c_quantized__"] {
            graph.add_initializer(name, int8()).unwrap();
        }
        graph.add_initializer("scale", float(&[2])).unwrap();
        // A float weight whose own name ends like that of integers.
        graph
            .add_initializer("d_quantized", float(&[2, 2]))
            .unwrap();
        push(&mut graph, "QGemm", &["x", "scale", "a_quantized"], "1");
        push(
            &mut graph,
            "DequantizeLinear",
            &["b_quantized", "scale"],
            "b",
        );
        push(&mut graph, "Transpose", &["b"], "bt");
        push(&mut graph, "MatMul", &["x", "bt"], "2");
        push(
            &mut graph,
            "MatMulIntegerToFloat",
            &["x", "c_quantized__"],
            "3",
        );
        push(&mut graph, "Gemm", &["x", "d_quantized"], "4");
        push(&mut graph, "MatMul", &["x", "1"], "5");
        let census = census(&graph);
        assert_eq!(census.integer, ["a", "c"]);
        assert_eq!(census.float, ["b", "d_quantized"]);
        assert_eq!(census.operators["MatMul"], 2);
    }
}
