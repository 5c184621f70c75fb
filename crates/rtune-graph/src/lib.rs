//! The ONNX graph as values.
//!
//! A [`Model`] is a [`Graph`] with its operator sets and metadata. A [`GraphBuilder`] builds one
//! node by node for a given operator set; the types and shapes of each node's outputs are inferred
//! as it is added, with symbolic dimensions, so a finished graph states a [`Fact`] for every value.
//!
//! ```
//! use rtune_graph::{Dim, ElementType, Fact, GraphBuilder, NodeDraft, Tensor};
//!
//! # fn main() -> Result<(), rtune_graph::GraphError> {
//! let mut builder = GraphBuilder::new("example", 17);
//! let fact = Fact::new(ElementType::Float32, [Dim::symbol("batch"), Dim::Fixed(2)]);
//! let x = builder.input("x", fact)?;
//! let weight = builder.constant("weight", Tensor::from_f32(&[3, 2], &[0.0; 6])?)?;
//! let linear = NodeDraft::new("Gemm", "linear").inputs([x, weight]).attribute("transB", 1_i64);
//! let y = builder.add(linear)?;
//! let limit = builder.constant("limit", Tensor::from_f32(&[], &[6.0])?)?;
//! // The lower limit is an optional input that is omitted.
//! let y = builder.add(NodeDraft::new("Clip", "y").inputs([Some(y), None, Some(limit)]))?;
//! builder.output(y)?;
//! let model = builder.finish();
//! rtune_graph::check(&model)?;
//! assert_eq!(
//!     model.to_string(),
//!     "opset ai.onnx 17\n\
//!      input x: f32[batch, 2]\n\
//!      constant weight: f32[3, 2]\n\
//!      constant limit: f32[] = 6\n\
//!      linear: f32[batch, 3] = Gemm(x, weight) transB=1\n\
//!      y: f32[batch, 3] = Clip(linear, -, limit)\n\
//!      output y\n"
//! );
//! # Ok(())
//! # }
//! ```
//!
//! # Design
//!
//! The graph knows no file format, no tensor library and no runtime: it depends on nothing.
//! Encoding is in `rtune-onnx`, recording in `rtune-export`.
//!
//! - *Operators are a table.* Each file in `operators/` holds a family; a row has the operator's
//!   forms (from which operator set on, attributes with types and defaults, numbers of inputs and
//!   outputs) and its inference, and the cases that test it stand below. An operator without a row
//!   has unknown outputs; nothing is assumed about it.
//! - *Dimensions are expressions* ([`Expr`]) in a normal form, so equal sizes compare equal
//!   wherever they come from, and shape arithmetic is followed through small integer tensors.
//! - *A graph holds what a file states and nothing else*, so a decoded graph equals its source.
//!   Everything that follows is a table beside it, [`Facts`], which [`infer`] computes.
//! - *Changes are passes* ([`passes`]): named functions from model to model that report what they
//!   changed and why they left the rest. [`Rewrite`] carries the edits, so a source graph is never
//!   left half edited. [`Graph::users`] and [`Graph::producer`] are indexed.
//! - *Faults are typed*: a [`GraphError`] has a [`Place`] and a [`GraphErrorKind`]. [`check`] holds
//!   every graph to the same rules. `Display` prints a graph in a stable form made for review.

mod attribute;
mod builder;
mod check;
mod dim;
mod display;
mod element;
mod error;
mod expr;
mod fact;
mod facts;
mod graph;
mod infer;
mod model;
mod node;
mod operators;
pub mod passes;
mod rewrite;
mod tensor;

pub use attribute::{Attribute, AttributeKind};
pub use builder::GraphBuilder;
pub use check::check;
pub use dim::Dim;
pub use element::ElementType;
pub use error::{GraphError, GraphErrorKind, Place};
pub use expr::Expr;
pub use fact::Fact;
pub use facts::{Contents, Facts};
pub use graph::{Graph, Value, ValueId};
pub use infer::infer;
pub use model::{Model, Opsets};
pub use node::{Node, NodeDraft, NodeId};
pub use operators::{AttributeDefault, AttributeRule, Form, Operator, operator, operators};
pub use rewrite::Rewrite;
pub use tensor::Tensor;
