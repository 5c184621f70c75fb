//! Writing a model piece by piece, so that a file's weights are in memory once.

use crate::OnnxError;
use crate::encode::model_proto;
use crate::generated::{GraphProto, ModelProto, TensorProto};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use rtune_graph::Model;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

const MAX_BYTES: usize = i32::MAX as usize;

// Numbers of fields in `proto/onnx.proto`.
const MODEL_GRAPH: u32 = 7;
const GRAPH_INITIALIZER: u32 = 5;
const TENSOR_RAW_DATA: u32 = 9;

/// Writes a model to a file, and returns the number of bytes; see [`write_to`]. A file that exists
/// is replaced.
///
/// # Errors
/// As [`write_to`], with the path. After an error of writing, an incomplete file is left.
pub fn write(model: &Model, path: &Path) -> Result<u64, OnnxError> {
    let in_file = |error: OnnxError| OnnxError::File {
        path: path.to_owned(),
        source: Box::new(error),
    };
    let file = File::create(path).map_err(|error| in_file(OnnxError::Io(error)))?;
    write_to(model, &mut BufWriter::new(file)).map_err(in_file)
}

/// Writes a model after [`check`](rtune_graph::check) has passed it, and returns the number of
/// bytes. The bytes are those of [`encode`](crate::encode); weights go to the writer as they are in
/// the graph, so no second copy of them is made.
///
/// # Errors
/// If the model has a fault, an input or output without a known type, or more than 2 GiB, or if
/// the writer fails.
pub fn write_to(model: &Model, writer: &mut impl Write) -> Result<u64, OnnxError> {
    let proto = model_proto(model)?;
    let length = encoded_length(&proto)?;
    let written = write_model(proto, writer).and_then(|()| writer.flush());
    written.map_err(OnnxError::Io)?;
    Ok(length as u64)
}

/// The number of bytes of a model.
pub(crate) fn encoded_length(proto: &ModelProto) -> Result<usize, OnnxError> {
    match proto.encoded_len() {
        length if length > MAX_BYTES => Err(OnnxError::TooLarge(length as u64)),
        length => Ok(length),
    }
}

/// Writes the fields in the order of their numbers, as protobuf's own encoder does.
pub(crate) fn write_model(mut proto: ModelProto, writer: &mut impl Write) -> io::Result<()> {
    let graph = proto.graph.take();
    let after_graph = ModelProto {
        opset_import: std::mem::take(&mut proto.opset_import),
        metadata_props: std::mem::take(&mut proto.metadata_props),
        ..ModelProto::default()
    };
    writer.write_all(&proto.encode_to_vec())?;
    if let Some(graph) = graph {
        writer.write_all(&prefix(MODEL_GRAPH, graph.encoded_len()))?;
        write_graph(graph, writer)?;
    }
    writer.write_all(&after_graph.encode_to_vec())
}

fn write_graph(mut graph: GraphProto, writer: &mut impl Write) -> io::Result<()> {
    let initializers = std::mem::take(&mut graph.initializer);
    let before = GraphProto {
        node: std::mem::take(&mut graph.node),
        name: graph.name.take(),
        ..GraphProto::default()
    };
    writer.write_all(&before.encode_to_vec())?;
    for tensor in initializers {
        writer.write_all(&prefix(GRAPH_INITIALIZER, tensor.encoded_len()))?;
        write_tensor(tensor, writer)?;
    }
    writer.write_all(&graph.encode_to_vec())
}

fn write_tensor(mut tensor: TensorProto, writer: &mut impl Write) -> io::Result<()> {
    // Type, dimensions and name come before the elements, and nothing after them.
    let elements = tensor.raw_data.take();
    writer.write_all(&tensor.encode_to_vec())?;
    if let Some(elements) = elements {
        writer.write_all(&prefix(TENSOR_RAW_DATA, elements.len()))?;
        writer.write_all(&elements)?;
    }
    Ok(())
}

/// The key and length of a field of `length` bytes.
fn prefix(field: u32, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(field, WireType::LengthDelimited, &mut bytes);
    encode_varint(length as u64, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_graph::{Attribute, Dim, ElementType, Fact, GraphBuilder, NodeDraft, Tensor};

    fn models() -> Vec<Model> {
        let mut plain = GraphBuilder::new("plain", 17);
        let fact = Fact::new(ElementType::Float32, [Dim::symbol("n"), Dim::Fixed(2)]);
        let x = plain.input("x", fact).unwrap();
        let weight = Tensor::from_f32(&[3, 2], &[0.5; 6]).unwrap();
        let weight = plain.constant("weight", weight).unwrap();
        let empty = Tensor::from_f32(&[0], &[]).unwrap();
        plain.constant("empty", empty).unwrap();
        let shape = plain
            .constant("shape", Tensor::from_i64(&[1], &[-1]).unwrap())
            .unwrap();
        let linear = NodeDraft::new("Gemm", "linear").inputs([x, weight]);
        let y = plain.add(linear.attribute("transB", 1_i64)).unwrap();
        let flat = plain
            .add(NodeDraft::new("Reshape", "flat").inputs([y, shape]))
            .unwrap();
        plain.output(flat).unwrap();
        let mut plain = plain.finish();
        plain.metadata = [("a".to_owned(), "1".to_owned()), ("b".into(), "ü".into())].into();

        let mut constant = GraphBuilder::new("constant", 21);
        let value = Tensor::from_i64(&[2], &[7, 8]).unwrap();
        let node = NodeDraft::new("Constant", "c").attribute("value", Attribute::Tensor(value));
        let c = constant.add(node).unwrap();
        constant.output(c).unwrap();
        vec![plain, constant.finish()]
    }

    #[test]
    fn the_pieces_are_the_bytes_of_the_whole_message() {
        for model in models() {
            let whole = model_proto(&model).unwrap().encode_to_vec();
            let mut pieces = Vec::new();
            let length = write_to(&model, &mut pieces).unwrap();
            assert_eq!(pieces, whole, "{}", model.graph.name);
            assert_eq!(length, whole.len() as u64);
            assert_eq!(crate::encode(&model).unwrap(), whole);
            assert_eq!(crate::decode(pieces.into()).unwrap(), model);
        }
    }

    /// A writer with room for a number of bytes.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.checked_sub(bytes.len()) {
                Some(rest) => {
                    self.0 = rest;
                    Ok(bytes.len())
                }
                None => Err(io::ErrorKind::StorageFull.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_file_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        let model = &models()[0];
        let length = write(model, &path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), length);
        let missing = folder.path().join("missing/model.onnx");
        let error = write(model, &missing).unwrap_err().to_string();
        assert!(error.starts_with(&missing.display().to_string()), "{error}");
    }

    #[test]
    fn a_full_disk_at_any_byte_is_an_error() {
        let model = &models()[0];
        let length = crate::encode(model).unwrap().len();
        for room in 0..length {
            let error = write_to(model, &mut Full(room)).unwrap_err();
            assert!(matches!(error, OnnxError::Io(_)), "{room}: {error}");
        }
        write_to(model, &mut Full(length)).unwrap();
    }
}
