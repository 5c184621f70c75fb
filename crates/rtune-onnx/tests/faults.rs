//! Faulty bytes and models are errors that name the place and the fault.

#![expect(
    clippy::unwrap_used,
    reason = "a failure of a helper is the test's failure"
)]

use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::tensor_proto::DataLocation;
use onnx_protobuf::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, SparseTensorProto,
    StringStringEntryProto, TypeProto,
};
use protobuf::Message as _;
use rtune_graph::{Dim, ElementType, Fact, Graph, GraphBuilder, Model, NodeDraft, Tensor};
use rtune_onnx::{OnnxError, decode, encode, read};

/// `y = Gemm(x, w)`, with the tensor `w`.
fn model() -> Model {
    let mut builder = GraphBuilder::new("test", 17);
    let shape = [Dim::symbol("n"), Dim::Fixed(2)];
    let x = builder
        .input("x", Fact::new(ElementType::Float32, shape))
        .unwrap();
    let w = Tensor::from_f32(&[2, 2], &[1.0; 4]).unwrap();
    let w = builder.constant("w", w).unwrap();
    let y = NodeDraft::new("Gemm", "y")
        .inputs([x, w])
        .attribute("transB", 1_i64);
    let y = builder.add(y).unwrap();
    builder.output(y).unwrap();
    builder.finish()
}

/// The error of decoding what `change` makes of the bytes.
fn error(change: impl FnOnce(&mut ModelProto)) -> String {
    let mut proto = ModelProto::parse_from_bytes(&encode(&model()).unwrap()).unwrap();
    change(&mut proto);
    match decode(proto.write_to_bytes().unwrap().into()) {
        Ok(model) => panic!("no error, but\n{model}"),
        Err(error) => error.to_string(),
    }
}

fn graph_error(change: impl FnOnce(&mut GraphProto)) -> String {
    error(|proto| change(proto.graph.mut_or_insert_default()))
}

fn attribute_error(change: impl FnOnce(&mut AttributeProto)) -> String {
    graph_error(|graph| change(&mut graph.node[0].attribute[0]))
}

fn malformed(problem: &str) -> String {
    format!("not an ONNX model, or a truncated one ({problem}); export or download it again")
}

#[test]
fn incomplete_models() {
    assert_eq!(
        decode(bytes::Bytes::new()).unwrap_err().to_string(),
        malformed("it holds no graph")
    );
    assert_eq!(
        error(|proto| proto.graph = None.into()),
        malformed("it holds no graph")
    );
    assert_eq!(
        error(|proto| proto.opset_import.clear()),
        malformed("it imports no operator set")
    );
}

#[test]
fn truncated_and_foreign_bytes() {
    let bytes = encode(&model()).unwrap();
    let cut = bytes.slice(..bytes.len() - 20);
    for bytes in [cut, bytes::Bytes::from_static(b"PK\x03\x04 not a model")] {
        let error = decode(bytes).unwrap_err();
        assert!(matches!(error, OnnxError::Malformed(_)), "{error}");
    }
}

#[test]
fn contents_that_a_graph_cannot_carry() {
    assert_eq!(
        error(|proto| proto.functions.push(FunctionProto::new())),
        "the model: a model-local function is not supported"
    );
    assert_eq!(
        graph_error(|graph| graph.sparse_initializer.push(SparseTensorProto::new())),
        "the graph: a sparse initializer is not supported"
    );
    assert_eq!(
        attribute_error(|a| a.type_ = AttributeType::GRAPH.into()),
        "node `y` (Gemm): attribute `transB` of type GRAPH is not supported"
    );
    assert_eq!(
        attribute_error(|a| a.type_ = AttributeType::TENSOR.into()),
        "node `y` (Gemm): attribute `transB` of type TENSOR without a tensor is not supported"
    );
    let sequence = |graph: &mut GraphProto| {
        let mut sequence = TypeProto::new();
        sequence.mut_sequence_type();
        graph.input[0].type_ = Some(sequence).into();
    };
    assert_eq!(
        graph_error(sequence),
        "value `x`: a value that is no dense tensor is not supported"
    );
}

#[test]
fn external_data() {
    let expected = |file: &str| {
        format!("tensor `w`: external data{file} (write the model as one file) is not supported")
    };
    let location = |graph: &mut GraphProto| {
        graph.initializer[0].data_location = DataLocation::EXTERNAL.into();
    };
    assert_eq!(graph_error(location), expected(""));
    let entry = |graph: &mut GraphProto| {
        graph.initializer[0]
            .external_data
            .push(StringStringEntryProto::new());
        let entry = &mut graph.initializer[0].external_data[0];
        (entry.key, entry.value) = ("location".to_owned(), "weights.bin".to_owned());
    };
    assert_eq!(graph_error(entry), expected(" in `weights.bin`"));
}

#[test]
fn element_types() {
    assert_eq!(
        graph_error(|graph| graph.initializer[0].data_type = 8),
        "tensor `w`: element type string is not supported"
    );
    assert_eq!(
        graph_error(|graph| graph.initializer[0].data_type = 99),
        "tensor `w`: element type 99 (not in the standard) is not supported"
    );
    let input = |graph: &mut GraphProto| {
        let tensor = graph.input[0]
            .type_
            .mut_or_insert_default()
            .mut_tensor_type();
        tensor.elem_type = 14;
    };
    assert_eq!(
        graph_error(input),
        "value `x`: element type complex64 is not supported"
    );
}

#[test]
fn sizes() {
    assert_eq!(
        graph_error(|graph| graph.initializer[0].dims = vec![2, 3]),
        "tensor `w`: f32 [2, 3] takes 24 bytes, found 16"
    );
    assert_eq!(
        graph_error(|graph| graph.initializer[0].dims = vec![2, -2]),
        "tensor `w`: [2, -2] are not dimensions"
    );
    assert_eq!(
        graph_error(|graph| graph.initializer[0].dims = vec![i64::MAX, i64::MAX]),
        format!(
            "tensor `w`: f32 [{0}, {0}] takes too many bytes, found 16",
            i64::MAX
        )
    );
    let input = |graph: &mut GraphProto| {
        let tensor = graph.input[0]
            .type_
            .mut_or_insert_default()
            .mut_tensor_type();
        tensor.shape.mut_or_insert_default().dim[1].set_dim_value(-5);
    };
    assert_eq!(graph_error(input), "value `x`: -5 is not a dimension");
}

#[test]
fn numbers_outside_of_their_type() {
    let with = |code: i32, value: i32| {
        graph_error(|graph| {
            let tensor = &mut graph.initializer[0];
            tensor.raw_data = Vec::new();
            tensor.dims = vec![1];
            tensor.data_type = code;
            tensor.int32_data = vec![value];
        })
    };
    assert_eq!(with(3, 128), "tensor `w`: 128 is not a value of i8");
    assert_eq!(with(2, -1), "tensor `w`: -1 is not a value of u8");
    assert_eq!(with(10, 65536), "tensor `w`: 65536 is not a value of f16");
    assert_eq!(with(9, 2), "tensor `w`: 2 is not a value of bool");
    // No numbers at all.
    assert_eq!(with(1, 0), "tensor `w`: f32 [1] takes 4 bytes, found 0");
}

#[test]
fn tensors_in_attributes_name_node_and_attribute() {
    let with = |change: &dyn Fn(&mut AttributeProto)| {
        attribute_error(|attribute| {
            attribute.type_ = AttributeType::TENSOR.into();
            attribute.t.mut_or_insert_default().data_type = 1;
            change(attribute);
        })
    };
    assert_eq!(
        with(&|a| a.t.mut_or_insert_default().dims = vec![3]),
        "node `y` (Gemm): attribute `transB`: f32 [3] takes 12 bytes, found 0"
    );
    assert_eq!(
        with(&|a| a.t.mut_or_insert_default().data_type = 8),
        "node `y` (Gemm): attribute `transB`: element type string is not supported"
    );
}

#[test]
fn contradictions() {
    assert_eq!(
        graph_error(|graph| graph.node[0].input[0] = "ghost".to_owned()),
        "node `y` (Gemm): reads `ghost`, which no earlier node defines"
    );
    assert_eq!(
        graph_error(|graph| graph.output[0].name = "ghost".to_owned()),
        "value `ghost`: is never defined"
    );
    assert_eq!(
        graph_error(|graph| graph.node[0].output[0] = "x".to_owned()),
        "value `x`: defined twice"
    );
    assert_eq!(
        graph_error(|graph| {
            let again = graph.initializer[0].clone();
            graph.initializer.push(again);
        }),
        "value `w`: defined twice"
    );
    assert_eq!(
        graph_error(|graph| {
            let again = graph.node[0].attribute[0].clone();
            graph.node[0].attribute.push(again);
        }),
        "node `y` (Gemm): has attribute `transB` twice"
    );
    assert_eq!(
        graph_error(|graph| graph.initializer[0].name = String::new()),
        "graph `test`: a value needs a name"
    );
}

#[test]
fn nodes_without_a_name_are_named_by_their_output() {
    assert_eq!(
        graph_error(|graph| {
            graph.node[0].name = String::new();
            graph.node[0].input[0] = "ghost".to_owned();
        }),
        "node of `y` (Gemm): reads `ghost`, which no earlier node defines"
    );
    let mut proto = ModelProto::parse_from_bytes(&encode(&model()).unwrap()).unwrap();
    let node = &mut proto.graph.mut_or_insert_default().node[0];
    (node.name, node.attribute[0].name) = (String::new(), "transX".to_owned());
    let decoded = decode(proto.write_to_bytes().unwrap().into()).unwrap();
    assert_eq!(
        encode(&decoded).unwrap_err().to_string(),
        "node of `y` (Gemm): has no attribute `transX`"
    );
}

#[test]
fn attributes_of_the_wrong_type_are_not_read_as_defaults() {
    let mut proto = ModelProto::parse_from_bytes(&encode(&model()).unwrap()).unwrap();
    let attribute = &mut proto.graph.mut_or_insert_default().node[0].attribute[0];
    attribute.type_ = AttributeType::FLOAT.into();
    attribute.f = 1.0;
    let decoded = decode(proto.write_to_bytes().unwrap().into()).unwrap();
    assert_eq!(
        encode(&decoded).unwrap_err().to_string(),
        "node `y` (Gemm): attribute `transB` must be an int, found a float"
    );
}

#[test]
fn faulty_graphs_are_not_written() {
    let mut graph = Graph::new("test");
    let x = graph.add_input("x", None).unwrap();
    graph.add_output(x).unwrap();
    assert_eq!(
        encode(&Model::new(graph, 17)).unwrap_err().to_string(),
        "value `x`: an input or output of the graph needs a known type"
    );
    assert_eq!(
        encode(&Model::new(Graph::new("empty"), 17))
            .unwrap_err()
            .to_string(),
        "graph `empty`: has no output"
    );
    let mut old = model();
    old.opsets = rtune_graph::Opsets::standard(9);
    assert_eq!(
        encode(&old).unwrap_err().to_string(),
        "node `y` (Gemm): takes 3 to 3 inputs, found 2"
    );
}

#[test]
fn errors_of_files_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let shown = path.display().to_string();
    assert!(read(&path).unwrap_err().to_string().starts_with(&shown));
    std::fs::write(&path, b"nonsense").unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{shown}: not an ONNX model")),
        "{error}"
    );
    std::fs::write(&path, encode(&model()).unwrap()).unwrap();
    assert_eq!(read(&path).unwrap(), model());
}
