//! Any graph comes back from its bytes as it was, the same bytes every time, and an independent
//! reader accepts them.

#![expect(
    clippy::unwrap_used,
    reason = "a failure in a test's own work is the test's failure"
)]

use proptest::prelude::*;
use protobuf::Message as _;
use rtune_graph::{
    Attribute, Dim, ElementType, Fact, GraphBuilder, Model, NodeDraft, Tensor, ValueId,
};
use rtune_onnx::{decode, encode};
use std::collections::BTreeMap;

fn dim() -> impl Strategy<Value = Dim> {
    prop_oneof![
        (1_u64..5).prop_map(Dim::Fixed),
        "[a-c]{1,2}([*][a-c])?".prop_map(Dim::symbol),
        Just(Dim::Unknown)
    ]
}

fn tensor() -> impl Strategy<Value = Tensor> {
    let types = prop_oneof![
        Just(ElementType::Float32),
        Just(ElementType::Int64),
        Just(ElementType::Int8),
        Just(ElementType::Uint8),
        Just(ElementType::Float16),
        Just(ElementType::Int32),
        Just(ElementType::Bool),
    ];
    (types, proptest::collection::vec(0_u64..4, 0..3)).prop_flat_map(|(element_type, dims)| {
        let bytes = usize::try_from(dims.iter().product::<u64>()).unwrap() * element_type.size();
        proptest::collection::vec(any::<u8>(), bytes)
            .prop_map(move |bytes| Tensor::new(element_type, &dims, bytes).unwrap())
    })
}

fn attribute() -> impl Strategy<Value = Attribute> {
    prop_oneof![
        any::<i64>().prop_map(Attribute::Int),
        (-1e9_f32..1e9).prop_map(Attribute::Float),
        "[a-z]{0,5}".prop_map(|s| Attribute::String(s.into_bytes())),
        proptest::collection::vec(any::<i64>(), 0..4).prop_map(Attribute::Ints),
        proptest::collection::vec(-1.0_f32..1.0, 0..4).prop_map(Attribute::Floats),
        tensor().prop_map(Attribute::Tensor),
    ]
}

/// The positions of a node's inputs among the values before it, and its attributes.
fn node() -> impl Strategy<Value = (Vec<usize>, BTreeMap<String, Attribute>)> {
    let attributes = proptest::collection::btree_map("[a-z]{1,4}", attribute(), 0..3);
    (proptest::collection::vec(any::<usize>(), 0..3), attributes)
}

prop_compose! {
    /// A chain of custom operators, each reading what came before.
    fn model()(
        inputs in proptest::collection::vec(proptest::collection::vec(dim(), 0..4), 1..4),
        constants in proptest::collection::vec(tensor(), 0..4),
        nodes in proptest::collection::vec(node(), 1..6),
        metadata in proptest::collection::btree_map("[a-z.]{1,6}", ".{0,8}", 0..3),
    ) -> Model {
        let mut graph = GraphBuilder::new("random", 17);
        let mut values: Vec<ValueId> = Vec::new();
        for (index, shape) in inputs.into_iter().enumerate() {
            let fact = Fact::new(ElementType::Float32, shape);
            values.push(graph.input(&format!("input{index}"), fact).unwrap());
        }
        for (index, tensor) in constants.into_iter().enumerate() {
            values.push(graph.constant(&format!("constant{index}"), tensor).unwrap());
        }
        for (index, (reads, attributes)) in nodes.into_iter().enumerate() {
            let inputs = reads.iter().map(|r| values[r % values.len()]);
            let mut draft = NodeDraft::new("Custom", format!("node{index}")).inputs(inputs);
            for (name, value) in attributes {
                draft = draft.attribute(&name, value);
            }
            let id = graph.add(draft).unwrap();
            graph.set_fact(id, Fact::new(ElementType::Float32, [Dim::Fixed(index as u64)]));
            values.push(id);
        }
        graph.output(*values.last().unwrap()).unwrap();
        let mut model = graph.finish();
        model.metadata = metadata;
        model
    }
}

proptest! {
    #[test]
    fn models_come_back(model in model()) {
        let bytes = encode(&model).unwrap();
        prop_assert_eq!(&bytes, &encode(&model).unwrap());
        let again = decode(bytes.clone()).unwrap();
        prop_assert_eq!(&again, &model);
        prop_assert_eq!(encode(&again).unwrap(), bytes.clone());
        let independent = onnx_protobuf::ModelProto::parse_from_bytes(&bytes).unwrap();
        prop_assert_eq!(independent.graph.node.len(), model.graph.nodes().len());
        for ((_, ours), theirs) in model.graph.initializers().zip(&independent.graph.initializer) {
            prop_assert_eq!(ours.bytes(), theirs.raw_data.as_slice());
        }
    }

    #[test]
    fn bytes_of_any_kind_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(bytes.into());
    }

    #[test]
    fn truncated_files_are_errors_or_whole(model in model(), cut in 0.0_f64..1.0) {
        let bytes = encode(&model).unwrap();
        let end = (bytes.len() as f64 * cut) as usize;
        if let Ok(decoded) = decode(bytes.slice(..end)) {
            prop_assert!(!decoded.graph.outputs().is_empty() || encode(&decoded).is_err());
        }
    }
}
