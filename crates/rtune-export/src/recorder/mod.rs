//! The interpreter that records a graph; its files mirror those of `rtune-nn`'s `ops`.

mod custom;
mod index;
mod layout;
mod linear;
mod norm;
mod ops;
mod sequence;
mod text;
mod weight;

pub use sequence::GraphSequences;
pub use text::TextInputs;
pub(crate) use text::element_type;

use crate::ExportError;
use rtune_graph::passes::remove_unused_nodes;
use rtune_graph::{Dim, Fact, GraphBuilder, GraphError, Model, NodeDraft, Tensor, ValueId, check};
use rtune_nn::{NnError, Operation, Result, Scopes};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Builds a graph from the operations of a forward.
#[derive(Debug)]
pub struct Recorder {
    graph: RefCell<GraphBuilder>,
    scopes: Scopes,
    opset: i64,
    /// True if weights are moved into the graph.
    moves_weights: bool,
    /// The operator sets of the domains that custom operators come from.
    domains: RefCell<BTreeMap<String, i64>>,
}

/// A graph's error as one of the module tree; the graph's error stays its source.
fn interpreter(error: GraphError) -> NnError {
    NnError::interpreter("the graph cannot be recorded", error)
}

/// Sizes as ONNX writes them.
fn as_i64(sizes: &[usize]) -> Result<Vec<i64>> {
    sizes.iter().map(|size| size_as_i64(*size)).collect()
}

fn size_as_i64(size: usize) -> Result<i64> {
    i64::try_from(size)
        .map_err(|_| NnError::operation(format!("size {size} exceeds what ONNX can state")))
}

impl Recorder {
    /// A recorder of a graph named `name` in the forms of operator set `opset`.
    ///
    /// # Errors
    /// If the operator set is not supported.
    pub fn new(name: &str, opset: i64) -> Result<Self, ExportError> {
        if opset != crate::SUPPORTED_OPSET {
            return Err(ExportError::Opset(opset));
        }
        Ok(Self {
            graph: RefCell::new(GraphBuilder::new(name, opset)),
            scopes: Scopes::default(),
            opset,
            moves_weights: false,
            domains: RefCell::default(),
        })
    }

    /// The same recorder, which moves the memory of weights into the graph in place of copying it.
    pub(crate) fn moving_weights(self) -> Self {
        Self {
            moves_weights: true,
            ..self
        }
    }

    /// Adds a graph input.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn input(&self, name: &str, fact: Fact) -> Result<ValueId, ExportError> {
        Ok(self.graph.borrow_mut().input(name, fact)?)
    }

    /// Ends the recording; each output gets its name.
    ///
    /// # Errors
    /// If a name is taken, or the graph does not hold together.
    pub fn finish<'a>(
        self,
        outputs: impl IntoIterator<Item = (&'a str, ValueId)>,
    ) -> Result<Model, ExportError> {
        for (name, value) in outputs {
            let mut graph = self.graph.borrow_mut();
            let output = graph.add(NodeDraft::new("Identity", name).inputs([value]))?;
            graph.output(output)?;
        }
        let model = self.graph.into_inner().finish();
        // An encoder need not read all of the token layout. A graph without unused nodes keeps the
        // order of its constants, and so its bytes.
        let (used, changes) = remove_unused_nodes(&model)?;
        let model = if changes.is_empty() { model } else { used };
        check(&model)?;
        Ok(model)
    }

    /// Adds a node and returns its output.
    fn add(&self, draft: NodeDraft) -> Result<ValueId> {
        self.graph.borrow_mut().add(draft).map_err(interpreter)
    }

    fn node(&self, op_type: &str, name: &str, inputs: &[ValueId]) -> Result<ValueId> {
        self.add(NodeDraft::new(op_type, name).inputs(inputs.iter().copied()))
    }

    /// A node named as the next result of `operation`.
    fn next(
        &self,
        operation: impl Into<Operation>,
        op_type: &str,
        inputs: &[ValueId],
    ) -> Result<ValueId> {
        self.node(op_type, &self.scopes.name(operation), inputs)
    }

    /// The value named `name`, recorded on first use.
    fn once(&self, name: &str, record: impl FnOnce() -> Result<ValueId>) -> Result<ValueId> {
        let known = self.graph.borrow().graph().find(name);
        known.map_or_else(record, Ok)
    }

    /// A constant; the same one for the same name.
    fn constant(
        &self,
        name: &str,
        tensor: impl FnOnce() -> Result<Tensor, GraphError>,
    ) -> Result<ValueId> {
        self.once(name, || {
            let tensor = tensor().map_err(interpreter)?;
            let mut graph = self.graph.borrow_mut();
            graph.constant(name, tensor).map_err(interpreter)
        })
    }

    fn i64s(&self, name: &str, values: &[i64]) -> Result<ValueId> {
        self.constant(name, || Tensor::from_i64(&[values.len() as u64], values))
    }

    fn scalar(&self, value: f64) -> Result<ValueId> {
        self.constant(&format!("constant/{value}"), || {
            Tensor::from_f32(&[], &[value as f32])
        })
    }

    /// The dimensions of a value, if its rank is known.
    fn dims(&self, value: ValueId) -> Option<Vec<Dim>> {
        let graph = self.graph.borrow();
        graph.facts().shape(value).map(<[_]>::to_vec)
    }

    /// The rank of the input of `operation`.
    ///
    /// # Errors
    /// If it is not known.
    fn rank(&self, value: ValueId, operation: &str) -> Result<usize> {
        self.dims(value).map(|dims| dims.len()).ok_or_else(|| {
            NnError::operation(format!("{operation}: the rank of its input is not known"))
        })
    }

    fn affine_named(&self, x: ValueId, multiply: f64, add: f64, name: &str) -> Result<ValueId> {
        if add == 0.0 {
            return self.node("Mul", name, &[x, self.scalar(multiply)?]);
        }
        let scaled = if multiply == 1.0 {
            x
        } else {
            self.node("Mul", &format!("{name}/Mul"), &[x, self.scalar(multiply)?])?
        };
        self.node("Add", name, &[scaled, self.scalar(add)?])
    }
}
