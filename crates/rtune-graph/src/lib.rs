//! The ONNX graph as values.
//!
//! A [`Model`] is a [`Graph`] with its operator sets and metadata. A graph is built node by node;
//! each node's output types and shapes are inferred as it is added, with symbolic dimensions, so a
//! finished graph carries a [`Fact`] for every value and no later stage has to guess.
//!
//! ```
//! use rtune_graph::{Dim, ElementType, Fact, Graph, NodeDraft, Tensor};
//!
//! # fn main() -> Result<(), rtune_graph::GraphError> {
//! let mut graph = Graph::new("example");
//! let x = graph.add_input("x", Fact::new(ElementType::Float32, [Dim::symbol("batch"), Dim::Fixed(2)]))?;
//! let weight = graph.add_initializer("weight", Tensor::from_f32(&[3, 2], &[0.0; 6])?)?;
//! let y = graph.add(NodeDraft::new("Gemm", "linear").inputs([x, weight]).attribute("transB", 1_i64).output("y"))?;
//! graph.add_output(y)?;
//! assert_eq!(graph.value(y).fact.as_ref().map(ToString::to_string).as_deref(), Some("f32[batch, 3]"));
//! # Ok(())
//! # }
//! ```
//!
//! # Design
//!
//! The graph knows no file format, no tensor library and no runtime: it depends on nothing.
//! Encoding lives in `rtune-onnx`, recording in `rtune-export`. Values and nodes are named by
//! newtype ids into arenas, and a dimension is an enum, never `-1`. Changes are passes that build a
//! new graph ([`passes`]), so an input graph is never left half edited. [`validate`] holds every
//! graph to the same rules: single assignment, topological order, known types, operators legal in
//! the operator set. `Display` prints a graph in a stable form made for review.

mod attribute;
mod dim;
mod display;
mod element;
mod error;
mod fact;
mod graph;
mod infer;
mod model;
mod operator;
pub mod passes;
mod tensor;
mod validate;

pub use attribute::Attribute;
pub use dim::Dim;
pub use element::ElementType;
pub use error::GraphError;
pub use fact::Fact;
pub use graph::{Graph, Node, NodeDraft, NodeId, Value, ValueId};
pub use model::Model;
pub use operator::{OperatorRule, operator_rule};
pub use tensor::Tensor;
pub use validate::validate;
