//! Compares two models on the same inputs, and finds the first node that differs.
//!
//! The candidate is an ONNX file. The reference is anything that can compute the same outputs: an
//! ONNX file ([`OnnxReference`]), a function ([`FnReference`]), or an own [`Reference`] with inner
//! values.
//!
//! ```
//! use rtune_graph::{Dim, ElementType, Fact, GraphBuilder, NodeDraft};
//! use rtune_interrupt::Interrupt;
//! use rtune_runtime::{NamedTensor, Runtime};
//! use rtune_verify::{Case, FnReference, Tolerance, VerifyRequest, verify};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut graph = GraphBuilder::new("relu", 17);
//! let x = graph.input("x", Fact::new(ElementType::Float32, [Dim::Fixed(2)]))?;
//! let y = graph.add(NodeDraft::new("Relu", "relu").inputs([x]).output("y"))?;
//! graph.output(y)?;
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("relu.onnx");
//! std::fs::write(&file, rtune_onnx::encode(&graph.finish())?)?;
//!
//! # let library = rtune_testkit::runtime_library();
//! let runtime = Runtime::load(&library)?;
//! let request = VerifyRequest {
//!     candidate: &file,
//!     outputs: &["y"],
//!     texts: 1,
//!     tolerance: Tolerance { atol: 1e-6, rtol: 0.0 },
//!     threads: 1,
//! };
//! let cases = [Case { inputs: vec![NamedTensor::f32("x", &[2], vec![-1.0, 2.0])] }];
//! let mut reference = FnReference(|_: &Case| Ok(vec![vec![0.0, 2.0]]));
//! let stop = Interrupt::new();
//! let report = verify(&runtime, &request, &mut reference, &cases, &mut |_| {}, &stop)?;
//! assert!(report.holds);
//! # Ok(())
//! # }
//! ```
//!
//! # Design
//!
//! Inputs are named tensors, so any model can be compared; [`choose`] picks the shapes for batches
//! of sequences. The crate knows no tensor library: a reference that computes with one lives where
//! that library is allowed.
//!
//! The candidate runs twice, with the runtime's optimizations and without, because a fault may come
//! from either the graph or a fusion. If outputs differ, [`first_divergence`] bisects the inner
//! values that both models name alike, and the search walks back through parents that differ.

mod cases;
mod compare;
mod error;
mod report;
mod search;
mod tolerance;
mod trace;
mod verify;

pub use cases::{Case, Row, choose};
pub use compare::Comparison;
pub use error::{BoxError, VerifyError};
pub use report::{Check, MetadataDifference, VerifyReport};
pub use search::first_divergence;
pub use tolerance::Tolerance;
pub use trace::{FnReference, OnnxReference, Reference, Trace};
pub use verify::{Progress, VerifyRequest, verify};
