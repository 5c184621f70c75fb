//! ONNX files: [`encode`] or [`write`](fn@write) a graph, [`decode`] bytes to a graph.
//!
//! ```
//! use rtune_graph::{Dim, ElementType, Fact, GraphBuilder, NodeDraft};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut builder = GraphBuilder::new("example", 17);
//! let x = builder.input("x", Fact::new(ElementType::Float32, [Dim::symbol("n")]))?;
//! let y = builder.add(NodeDraft::new("Relu", "relu").inputs([x]).output("y"))?;
//! builder.output(y)?;
//! let model = builder.finish();
//!
//! let bytes = rtune_onnx::encode(&model)?;
//! assert_eq!(rtune_onnx::decode(bytes.clone())?, model);
//!
//! // A reader that shares no code with this crate accepts the bytes.
//! use protobuf::Message as _;
//! let independent = onnx_protobuf::ModelProto::parse_from_bytes(&bytes)?;
//! assert_eq!(independent.graph.node[0].op_type, "Relu");
//! # Ok(())
//! # }
//! ```
//!
//! # Design
//!
//! This is the only crate that names protobuf types. They are generated from `proto/onnx.proto` and
//! committed; a test compares the two. Weights are shared between the graph and the encoder, not
//! copied, and the same model always gives the same bytes. A decoded model equals the one that was
//! encoded: symbolic dimensions are written as the text of their expressions and read back as such.
//!
//! Contents that a graph cannot carry yet (subgraphs, functions, external data, string tensors) are
//! errors on reading, with the node or tensor they are at. Comments on a model (doc strings,
//! denotations, training and quantization notes) are dropped.

mod decode;
mod encode;
mod error;
#[allow(missing_docs, clippy::all, unreachable_pub, reason = "generated code")]
#[rustfmt::skip]
mod generated;
mod types;
mod writer;

pub use decode::decode;
pub use encode::encode;
pub use error::OnnxError;
pub use writer::{write, write_to};

use rtune_graph::Model;
use std::path::Path;

/// Reads a model from a file.
///
/// # Errors
/// If the file cannot be read, is not ONNX, or holds anything that [`decode`] does not support.
pub fn read(path: &Path) -> Result<Model, OnnxError> {
    let in_file = |error: OnnxError| OnnxError::File {
        path: path.to_owned(),
        source: Box::new(error),
    };
    let bytes = std::fs::read(path).map_err(|e| in_file(OnnxError::Io(e)))?;
    decode(bytes.into()).map_err(in_file)
}
