//! `Gemm` of an activation and a constant matrix.

use super::{Kind, Recipe, Site, operands, product};
use crate::apply::Apply;
use crate::{QuantError, Quantizable, Refusal};
use rtune_graph::{ElementType, NodeId, Tensor};

/// `Gemm` without factors and without a transposed activation.
#[derive(Debug)]
pub(super) struct Gemm;

impl Recipe for Gemm {
    fn op_type(&self) -> &'static str {
        "Gemm"
    }

    fn kind(&self) -> Kind {
        Kind::Product
    }

    fn matches(&self, source: &Quantizable, id: NodeId) -> Result<Option<Site>, Refusal> {
        let graph = &source.model().graph;
        let node = graph.node(id);
        let (activation, weight) = operands(source, node)?;
        for name in ["alpha", "beta"] {
            if node.float(name, 1.0).map_err(Refusal::Invalid)? != 1.0 {
                return Err(Refusal::Attribute {
                    name,
                    supported: "1",
                });
            }
        }
        if node.int("transA", 0).map_err(Refusal::Invalid)? != 0 {
            return Err(Refusal::Attribute {
                name: "transA",
                supported: "0",
            });
        }
        let transposed = node.int("transB", 0).map_err(Refusal::Invalid)? != 0;
        let channel_axis = usize::from(!transposed);
        let bias = node.input(2);
        if let Some(bias) = bias {
            let tensor = graph.initializer(bias).ok_or(Refusal::Bias)?;
            let dims = graph.initializer(weight).map(Tensor::dims);
            let channels = dims.and_then(|dims| dims.get(channel_axis).copied());
            if !is_bias(tensor, channels) {
                return Err(Refusal::Bias);
            }
        }
        Ok(Some(Site {
            node: id,
            last: id,
            activation: Some(activation),
            weight,
            channel_axis,
            bias,
        }))
    }

    fn rewrite(&self, site: &Site, out: &mut Apply<'_>) -> Result<(), QuantError> {
        product::rewrite(site, "Gemm", out)
    }
}

/// Returns whether a constant is one float32 for all channels, or one for each.
fn is_bias(tensor: &Tensor, channels: Option<u64>) -> bool {
    let fits = match tensor.dims() {
        [] | [1] => true,
        [n] | [1, n] => Some(*n) == channels,
        _ => false,
    };
    fits && tensor.element_type() == ElementType::Float32
}
