//! Models come back from their bytes equal, whatever they hold.

#![expect(
    clippy::unwrap_used,
    reason = "a failure of a helper is the test's failure"
)]

use onnx_protobuf::{ModelProto, TensorProto, ValueInfoProto};
use protobuf::Message as _;
use rtune_graph::{
    Attribute, Dim, ElementType, Fact, Graph, GraphBuilder, Model, Node, NodeDraft, Tensor,
};
use rtune_onnx::{decode, encode};
use std::collections::BTreeMap;

fn float(dims: &[&str]) -> Fact {
    let dim = |text: &&str| text.parse().map_or_else(|_| Dim::symbol(text), Dim::Fixed);
    Fact::new(ElementType::Float32, dims.iter().map(dim))
}

/// Encodes, decodes, compares, and returns what an independent reader sees.
fn round_trip(model: &Model) -> ModelProto {
    let bytes = encode(model).unwrap();
    assert_eq!(&decode(bytes.clone()).unwrap(), model);
    ModelProto::parse_from_bytes(&bytes).unwrap()
}

/// A model of one custom node, which rtune has no rule for.
fn custom(draft: NodeDraft) -> Model {
    let mut builder = GraphBuilder::new("test", 17);
    let x = builder.input("x", float(&["n"])).unwrap();
    let y = builder.add(draft.inputs([x])).unwrap();
    builder.set_fact(y, float(&["n"]));
    builder.output(y).unwrap();
    builder.finish()
}

/// A graph whose only output is the constant `c`.
fn constant(tensor: Tensor) -> Model {
    let mut builder = GraphBuilder::new("test", 17);
    let c = builder.constant("c", tensor).unwrap();
    builder.output(c).unwrap();
    builder.finish()
}

/// Decodes what `change` makes of the bytes of a model.
fn changed(model: &Model, change: impl FnOnce(&mut ModelProto)) -> Model {
    let mut proto = ModelProto::parse_from_bytes(&encode(model).unwrap()).unwrap();
    change(&mut proto);
    decode(proto.write_to_bytes().unwrap().into()).unwrap()
}

#[test]
fn every_kind_of_attribute_comes_back() {
    let tensor = Tensor::from_f32(&[2, 1], &[1.0, -2.0]).unwrap();
    let values = [
        Attribute::Int(-3),
        Attribute::Int(0),
        Attribute::Float(0.1),
        Attribute::Float(0.0),
        Attribute::String(b"text".to_vec()),
        Attribute::String(vec![0xff, 0]),
        Attribute::String(Vec::new()),
        Attribute::Tensor(tensor),
        Attribute::Ints(vec![1, -1, i64::MAX]),
        Attribute::Ints(Vec::new()),
        Attribute::Floats(vec![0.5, f32::INFINITY]),
        Attribute::Strings(vec![b"a".to_vec(), Vec::new()]),
    ];
    let mut draft = NodeDraft::new("Custom", "y");
    for (index, value) in values.iter().enumerate() {
        draft = draft.attribute(&format!("a{index:02}"), value.clone());
    }
    let independent = round_trip(&custom(draft));
    assert_eq!(independent.graph.node[0].attribute.len(), values.len());
}

#[test]
fn every_element_type_comes_back() {
    for element_type in ElementType::all() {
        let bytes: Vec<u8> = (0..6 * element_type.size()).map(|b| b as u8 % 2).collect();
        let tensor = Tensor::new(element_type, &[2, 3], bytes.clone()).unwrap();
        let independent = round_trip(&constant(tensor));
        let found = &independent.graph.initializer[0];
        assert_eq!(found.data_type, element_type.code(), "{element_type}");
        assert_eq!(found.raw_data, bytes, "{element_type}");
    }
}

#[test]
fn scalars_and_empty_tensors_come_back() {
    round_trip(&constant(Tensor::from_i64(&[], &[7]).unwrap()));
    round_trip(&constant(Tensor::from_i64(&[0], &[]).unwrap()));
    round_trip(&constant(Tensor::from_f32(&[3, 0, 2], &[]).unwrap()));
}

#[test]
fn omitted_inputs_are_empty_names() {
    let mut builder = GraphBuilder::new("test", 17);
    let x = builder.input("x", float(&["n"])).unwrap();
    let limit = Tensor::from_f32(&[], &[6.0]).unwrap();
    let limit = builder.constant("limit", limit).unwrap();
    let clip = NodeDraft::new("Clip", "y").inputs([Some(x), None, Some(limit)]);
    let y = builder.add(clip).unwrap();
    builder.output(y).unwrap();
    let independent = round_trip(&builder.finish());
    assert_eq!(independent.graph.node[0].input, ["x", "", "limit"]);
}

#[test]
fn several_and_omitted_outputs_come_back() {
    let mut builder = GraphBuilder::new("test", 17);
    let x = builder.input("x", float(&["n", "6"])).unwrap();
    let split = NodeDraft::new("Split", "split")
        .inputs([x])
        .attribute("axis", 1_i64);
    let halves = builder.add_all(split.outputs(["left", "right"])).unwrap();
    let scale = Tensor::from_f32(&[3], &[1.0; 3]).unwrap();
    let scale = builder.constant("scale", scale).unwrap();
    let norm = NodeDraft::new("LayerNormalization", "norm").inputs([halves[0], scale]);
    let norm = norm.outputs([Some("y"), None, Some("deviation")]);
    let outputs = builder.add_all(norm).unwrap();
    builder.output(outputs[0]).unwrap();
    builder.output(halves[1]).unwrap();
    let independent = round_trip(&builder.finish());
    assert_eq!(independent.graph.node[0].output, ["left", "right"]);
    assert_eq!(independent.graph.node[1].output, ["y", "", "deviation"]);
}

#[test]
fn graphs_with_shape_arithmetic_come_back() {
    let mut builder = GraphBuilder::new("test", 17);
    let x = builder
        .input("x", float(&["batch", "sequence", "6"]))
        .unwrap();
    let grid = NodeDraft::new("Shape", "grid")
        .inputs([x])
        .attribute("end", 2_i64);
    let grid = builder.add(grid).unwrap();
    // A constant that is defined behind a node, and read behind another.
    let heads = Tensor::from_i64(&[2], &[2, 3]).unwrap();
    let heads = builder.constant("heads", heads).unwrap();
    let shape = NodeDraft::new("Concat", "shape").inputs([grid, heads]);
    let shape = builder.add(shape.attribute("axis", 0_i64)).unwrap();
    let y = builder
        .add(NodeDraft::new("Reshape", "y").inputs([x, shape]))
        .unwrap();
    builder.output(y).unwrap();
    let model = builder.finish();
    round_trip(&model);
    let y = model.graph.fact(y).unwrap();
    assert_eq!(y.to_string(), "f32[batch, sequence, 2, 3]");
}

#[test]
fn dimensions_are_written_as_the_text_of_their_expression() {
    let dims = [
        "batch*sequence",
        "floor((h + 1)/2)",
        "min(24, n)",
        "seq len",
        "2*`seq len`",
    ];
    let mut graph = Graph::new("test");
    let x = graph.add_input("x", float(&dims)).unwrap();
    graph.add_output(x).unwrap();
    let independent = round_trip(&Model::new(graph, 17));
    let shape = &independent.graph.input[0].type_.tensor_type().shape;
    let found: Vec<_> = shape.dim.iter().map(|dim| dim.dim_param()).collect();
    assert_eq!(found, dims);
}

#[test]
fn dimensions_of_other_writers_keep_their_names() {
    let mut graph = Graph::new("test");
    let x = graph.add_input("x", float(&["a", "b", "c", "4"])).unwrap();
    graph.add_output(x).unwrap();
    let model = Model::new(graph, 17);
    let names = ["unk__12", "sequence*batch", "12"];
    let decoded = changed(&model, |proto| {
        let input = &mut proto.graph.mut_or_insert_default().input[0];
        let shape = input.type_.mut_or_insert_default().mut_tensor_type();
        let dims = &mut shape.shape.mut_or_insert_default().dim;
        for (dim, name) in dims.iter_mut().zip(names) {
            dim.set_dim_param(name.to_owned());
        }
        dims[3].value = None;
        proto.graph.mut_or_insert_default().output[0].type_ = None.into();
    });
    let input = decoded.graph.fact(decoded.graph.inputs()[0]).unwrap();
    assert_eq!(input.to_string(), "f32[unk__12, sequence*batch, 12, ?]");
    assert_eq!(decode(encode(&decoded).unwrap()).unwrap(), decoded);
}

#[test]
fn facts_may_be_partly_or_not_known() {
    let mut graph = Graph::new("test");
    let x = graph
        .add_input("x", Fact::unranked(ElementType::Int8))
        .unwrap();
    let [hidden, y] = ["hidden", "y"].map(|name| graph.declare(name, None).unwrap());
    for (input, output) in [(x, hidden), (hidden, y)] {
        let node = Node {
            inputs: vec![Some(input)],
            outputs: vec![Some(output)],
            name: String::new(),
            domain: String::new(),
            op_type: "Relu".to_owned(),
            attributes: BTreeMap::new(),
        };
        graph.push(node).unwrap();
    }
    graph.set_fact(y, Fact::new(ElementType::Int8, [Dim::Unknown]));
    graph.add_output(y).unwrap();
    let independent = round_trip(&Model::new(graph, 17));
    // Nothing is written about a value that nothing is stated about.
    assert!(independent.graph.value_info.is_empty());
}

#[test]
fn inputs_with_defaults_come_back() {
    let mut graph = Graph::new("test");
    let x = graph.add_input("x", float(&["2"])).unwrap();
    graph.set_initializer(x, Tensor::from_f32(&[2], &[1.0, 2.0]).unwrap());
    graph.add_output(x).unwrap();
    let independent = round_trip(&Model::new(graph, 17));
    assert_eq!(independent.graph.input.len(), 1);
    assert_eq!(independent.graph.initializer.len(), 1);
}

#[test]
fn operator_sets_and_metadata_come_back() {
    let mut builder = GraphBuilder::new("test", 20);
    builder.import("com.microsoft", 1);
    let x = builder.input("x", float(&["n"])).unwrap();
    let y = NodeDraft::new("Gelu", "y")
        .domain("com.microsoft")
        .inputs([x]);
    let y = builder.add(y).unwrap();
    builder.output(y).unwrap();
    let mut model = builder.finish();
    model.metadata.insert("key".to_owned(), "ä\n".to_owned());
    model.ir_version = 9;
    model.producer_name = "someone".to_owned();
    let independent = round_trip(&model);
    assert_eq!(independent.opset_import.len(), 2);
    assert_eq!(independent.graph.node[0].domain, "com.microsoft");
    assert_eq!(independent.ir_version, 9);
}

#[test]
fn both_names_of_the_standard_domain_are_read() {
    let model = custom(NodeDraft::new("Custom", "y"));
    let decoded = changed(&model, |proto| {
        proto.opset_import[0].domain = "ai.onnx".to_owned();
        proto.graph.mut_or_insert_default().node[0].domain = "ai.onnx".to_owned();
    });
    assert_eq!(decoded, model);
}

#[test]
fn numbers_in_typed_fields_are_the_same_as_raw_bytes() {
    let with = |element_type, bytes: Vec<u8>, write: &dyn Fn(&mut TensorProto)| {
        let tensor = Tensor::new(element_type, &[2], bytes).unwrap();
        let model = constant(tensor);
        let decoded = changed(&model, |proto| {
            let tensor = &mut proto.graph.mut_or_insert_default().initializer[0];
            tensor.raw_data = Vec::new();
            write(tensor);
        });
        assert_eq!(decoded, model, "{element_type}");
    };
    let ints = |tensor: &mut TensorProto| tensor.int32_data = vec![1, -1];
    let bits = |tensor: &mut TensorProto| tensor.int32_data = vec![1, 0x3c00];
    let flags = |tensor: &mut TensorProto| tensor.int32_data = vec![0, 1];
    let floats = [1.0_f32, -0.5];
    with(ElementType::Int8, vec![1, 255], &ints);
    with(ElementType::Int16, vec![1, 0, 255, 255], &ints);
    with(
        ElementType::Int32,
        [1, -1].map(i32::to_le_bytes).concat(),
        &ints,
    );
    with(ElementType::Uint8, vec![0, 1], &flags);
    with(ElementType::Bool, vec![0, 1], &flags);
    with(ElementType::Uint16, vec![1, 0, 0, 0x3c], &bits);
    with(ElementType::Float16, vec![1, 0, 0, 0x3c], &bits);
    with(ElementType::BFloat16, vec![1, 0, 0, 0x3c], &bits);
    with(
        ElementType::Int64,
        [1, -1].map(i64::to_le_bytes).concat(),
        &|t| {
            t.int64_data = vec![1, -1];
        },
    );
    with(
        ElementType::Uint32,
        [1, u32::MAX].map(u32::to_le_bytes).concat(),
        &|t| {
            t.uint64_data = vec![1, u32::MAX.into()];
        },
    );
    with(
        ElementType::Uint64,
        [1, u64::MAX].map(u64::to_le_bytes).concat(),
        &|t| {
            t.uint64_data = vec![1, u64::MAX];
        },
    );
    with(
        ElementType::Float32,
        floats.map(f32::to_le_bytes).concat(),
        &|t| {
            t.float_data = floats.to_vec();
        },
    );
    with(
        ElementType::Float64,
        floats.map(|v| f64::from(v).to_le_bytes()).concat(),
        &|t| {
            t.double_data = floats.map(f64::from).to_vec();
        },
    );
}

#[test]
fn notes_on_removed_values_are_dropped() {
    let model = custom(NodeDraft::new("Custom", "y"));
    let decoded = changed(&model, |proto| {
        let mut note = ValueInfoProto::new();
        note.name = "removed".to_owned();
        proto.graph.mut_or_insert_default().value_info.push(note);
    });
    assert_eq!(decoded, model);
}
