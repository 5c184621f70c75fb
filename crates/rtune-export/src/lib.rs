//! Records a module tree as an ONNX graph.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use rtune_export::Recorder;
//! use rtune_graph::{Dim, ElementType, Fact, Model};
//! use rtune_nn::{Linear, Param};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let weight = Param::new("head.weight", Tensor::ones((1, 3), DType::F32, &Device::Cpu)?);
//! let head = Linear::new(weight, None);
//!
//! let recorder = Recorder::new("example");
//! let x = recorder.input("x", Fact::new(ElementType::Float32, [Dim::symbol("batch"), Dim::Fixed(3)]))?;
//! let score = head.forward(&recorder, &x)?;
//! let graph = recorder.finish([("score", score)])?;
//! let bytes = rtune_onnx::encode(&Model::new(graph, 17))?;
//!
//! // A reader that shares no code with the writer accepts the bytes.
//! use protobuf::Message as _;
//! let independent = onnx_protobuf::ModelProto::parse_from_bytes(&bytes)?;
//! assert_eq!(independent.graph.initializer[0].name, "head.weight");
//! # Ok(())
//! # }
//! ```
//!
//! # Design
//!
//! The recorder is an interpreter of the same forward that computes and trains, so parity holds by
//! construction. Tokens are recorded flat, `[batch·sequence, width]`: linear layers become `Gemm`
//! nodes that read the checkpoint's weights as they are, and the runtime has integer kernels for
//! just that form. Only attention and pooling see the grid. Weights become initializers of their
//! own name; results are named by module path, the same names that [`rtune_nn::Eager::traced`]
//! gives, so that a difference can be traced to its first node.

mod error;
mod export;
mod recorder;

pub use error::ExportError;
pub use export::{SUPPORTED_OPSET, export};
pub use recorder::{GraphSequences, Recorder, TextInputs};
