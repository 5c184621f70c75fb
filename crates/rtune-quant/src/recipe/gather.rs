//! `Gather` of rows from a constant matrix: an embedding table.

use super::{Kind, Recipe, Site, matrix};
use crate::apply::Apply;
use crate::{QuantError, Quantizable, Refusal};
use rtune_graph::{ElementType, NodeId};

/// `Gather` along axis 0 of int8 rows, which `DequantizeLinear` turns into float behind it, with
/// one scale per column.
#[derive(Debug)]
pub(super) struct Gather;

impl Recipe for Gather {
    fn op_type(&self) -> &'static str {
        "Gather"
    }

    fn kind(&self) -> Kind {
        Kind::Lookup
    }

    fn matches(&self, source: &Quantizable, id: NodeId) -> Result<Option<Site>, Refusal> {
        let graph = &source.model().graph;
        let node = graph.node(id);
        let table = node
            .input(0)
            .and_then(|table| Some((table, graph.initializer(table)?)));
        let Some((weight, tensor)) = table else {
            return Ok(None);
        };
        // Gathers of shapes and of vectors are not lookups in tables.
        if tensor.element_type() != ElementType::Float32 || tensor.dims().len() != 2 {
            return Ok(None);
        }
        matrix(tensor)?;
        if node.int("axis", 0).map_err(Refusal::Invalid)? != 0 {
            return Err(Refusal::Attribute {
                name: "axis",
                supported: "0",
            });
        }
        let output = node.output(0).ok_or(Refusal::MissingInput)?;
        source.facts().rank(output).ok_or(Refusal::UnknownRank)?;
        Ok(Some(Site {
            node: id,
            last: id,
            activation: None,
            weight,
            channel_axis: 1,
            bias: None,
        }))
    }

    fn rewrite(&self, site: &Site, out: &mut Apply<'_>) -> Result<(), QuantError> {
        out.lookup(site)
    }
}
