//! Records a module tree as an ONNX graph.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use rtune_export::Export;
//! use rtune_graph::Dim;
//! use rtune_nn::{Kind, Linear, Param};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A module of `rtune-nn`; its forward also computes and trains.
//! let weight = Param::new("head.weight", Tensor::ones((1, 3), DType::F32, &Device::Cpu)?);
//! let head = Linear::new(weight, None);
//!
//! let export = Export::new("example", 17)?;
//! let x = export.input("x", Kind::Float, [Dim::symbol("batch"), Dim::Fixed(3)])?;
//! let score = head.forward(&x)?.into_value();
//! let model = export.finish([("score", score)])?;
//! assert_eq!(
//!     model.graph.to_string(),
//!     "\
//! input x: f32[batch, 3]
//! constant head.weight: f32[1, 3]
//! head: f32[batch, 1] = Gemm(x, head.weight) transB=1
//! score: f32[batch, 1] = Identity(head)
//! output score
//! "
//! );
//!
//! // A reader that shares no code with the writer accepts the bytes.
//! use protobuf::Message as _;
//! let bytes = rtune_onnx::encode(&model)?;
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
pub use export::{Export, SUPPORTED_OPSET, export, export_owned};
pub use recorder::{GraphSequences, Recorder, TextInputs};
