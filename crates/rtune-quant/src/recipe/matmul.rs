//! `MatMul` of an activation and a constant matrix.

use super::{Kind, Recipe, Site, operands, product};
use crate::apply::Apply;
use crate::{QuantError, Quantizable, Refusal};
use rtune_graph::{ElementType, NodeId, ValueId};

/// `MatMul`, which becomes a `Gemm` together with an `Add` of a constant vector behind it if its
/// activation has rank 2: the runtime would make such a `Gemm` itself, and leave it in float.
#[derive(Debug)]
pub(super) struct MatMul;

impl Recipe for MatMul {
    fn op_type(&self) -> &'static str {
        "MatMul"
    }

    fn kind(&self) -> Kind {
        Kind::Product
    }

    fn matches(&self, source: &Quantizable, id: NodeId) -> Result<Option<Site>, Refusal> {
        let (activation, weight) = operands(source, source.model().graph.node(id))?;
        let bias = bias_behind(source, id, activation, weight);
        Ok(Some(Site {
            node: id,
            last: bias.map_or(id, |(add, _)| add),
            activation: Some(activation),
            weight,
            channel_axis: 1,
            bias: bias.map(|(_, bias)| bias),
        }))
    }

    fn rewrite(&self, site: &Site, out: &mut Apply<'_>) -> Result<(), QuantError> {
        let op_type = if site.bias.is_some() {
            "Gemm"
        } else {
            "MatMul"
        };
        product::rewrite(site, op_type, out)
    }
}

/// The `Add` that is the only user of a rank-2 product, and the constant vector that it adds.
fn bias_behind(
    source: &Quantizable,
    id: NodeId,
    activation: ValueId,
    weight: ValueId,
) -> Option<(NodeId, ValueId)> {
    let graph = &source.model().graph;
    let product = graph.node(id).output(0)?;
    let [user] = graph.users(product) else {
        return None;
    };
    let add = graph.node(*user);
    if source.facts().rank(activation) != Some(2)
        || graph.outputs().contains(&product)
        || !add.is("Add")
    {
        return None;
    }
    let bias = add.inputs.iter().flatten().find(|id| **id != product)?;
    let vector = graph.initializer(*bias)?;
    let channels = *graph.initializer(weight)?.dims().get(1)?;
    let fits = vector.dims() == [channels] && vector.element_type() == ElementType::Float32;
    fits.then_some((*user, *bias))
}
