//! Recipes: how one operator becomes integer, one file each.
//!
//! A new recipe is a file here with a type that implements [`Recipe`], and its line in [`RECIPES`].

mod gather;
mod gemm;
mod matmul;
mod product;

use crate::apply::Apply;
use crate::{QuantError, Quantizable, Refusal};
use rtune_graph::{ElementType, Node, NodeId, Tensor, ValueId};
use std::fmt::Debug;

/// Every recipe. At most one per operator.
pub(crate) const RECIPES: [&dyn Recipe; 3] = [&matmul::MatMul, &gemm::Gemm, &gather::Gather];

/// Turns one operator of the standard domain into integers.
pub(crate) trait Recipe: Debug + Sync {
    /// The operator.
    fn op_type(&self) -> &'static str;

    /// The effect: a product of integers, or only a smaller table.
    fn kind(&self) -> Kind;

    /// Returns the site around `node`, or `None` if the node is not even a candidate.
    ///
    /// # Errors
    /// If the node is a candidate and stays in float.
    fn matches(&self, source: &Quantizable, node: NodeId) -> Result<Option<Site>, Refusal>;

    /// Writes the integer form of a site.
    ///
    /// # Errors
    /// If a range is missing, or a weight is NaN or infinite.
    fn rewrite(&self, site: &Site, out: &mut Apply<'_>) -> Result<(), QuantError>;
}

/// Effect of a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A matrix product of integers.
    Product,
    /// Integer rows that become float when they are read.
    Lookup,
}

/// Place in a graph where a recipe applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Site {
    /// The matched node.
    pub(crate) node: NodeId,
    /// The node whose output the integer form computes: `node`, or an `Add` of a bias behind it.
    pub(crate) last: NodeId,
    /// The input that needs a range, if one does.
    pub(crate) activation: Option<ValueId>,
    /// The constant matrix.
    pub(crate) weight: ValueId,
    /// The axis of the matrix whose indices are channels.
    pub(crate) channel_axis: usize,
    /// The constant bias.
    pub(crate) bias: Option<ValueId>,
}

/// Activation and weight of a product: its first two inputs.
fn operands(source: &Quantizable, node: &Node) -> Result<(ValueId, ValueId), Refusal> {
    let (Some(activation), Some(weight)) = (node.input(0), node.input(1)) else {
        return Err(Refusal::MissingInput);
    };
    let graph = &source.model().graph;
    let is_constant = |id| graph.initializer(id).is_some();
    match (is_constant(activation), graph.initializer(weight)) {
        (false, Some(tensor)) => matrix(tensor).map(|()| (activation, weight)),
        (true, Some(_)) => Err(Refusal::NoActivation),
        (true, None) => Err(Refusal::ConstantLeft),
        (false, None) => Err(Refusal::NoConstant),
    }
}

/// Checks that a constant is a float32 matrix with elements.
fn matrix(tensor: &Tensor) -> Result<(), Refusal> {
    match tensor.dims().len() {
        _ if tensor.element_type() != ElementType::Float32 => {
            Err(Refusal::WeightType(tensor.element_type()))
        }
        2 if tensor.bytes().is_empty() => Err(Refusal::EmptyWeight),
        2 => Ok(()),
        rank => Err(Refusal::WeightRank(rank)),
    }
}
