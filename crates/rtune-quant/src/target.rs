use rtune_graph::passes::constants_to_initializers;
use rtune_graph::{Dim, ElementType, Fact, Graph, GraphError, Model, Node, Tensor, ValueId, infer};
use std::collections::BTreeSet;

/// A matrix product with constant weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Product<'a> {
    /// The node.
    pub node: &'a Node,
    /// Its activation.
    pub input: ValueId,
    /// Its weights.
    pub weight: ValueId,
    /// Whether rows of the weights are output channels.
    pub transposed: bool,
}

impl<'a> Product<'a> {
    /// The node as a product that can be quantized: `MatMul`, or `Gemm` without factors or
    /// transposed input, over a constant float matrix.
    pub(crate) fn of(graph: &'a Graph, node: &'a Node) -> Option<Self> {
        let (input, weight) = (node.input(0)?, node.input(1)?);
        let is_matrix = |tensor: &Tensor| {
            tensor.dims().len() == 2
                && !tensor.bytes().is_empty()
                && tensor.element_type() == ElementType::Float32
        };
        if !node.domain.is_empty()
            || graph.initializer(input).is_some()
            || !graph.initializer(weight).is_some_and(is_matrix)
        {
            return None;
        }
        #[allow(clippy::float_cmp)] // Exactly one, or the kernel does not apply.
        match node.op_type.as_str() {
            "MatMul" => Some(Self {
                node,
                input,
                weight,
                transposed: false,
            }),
            "Gemm"
                if node.float("alpha", 1.0).ok()? == 1.0
                    && node.float("beta", 1.0).ok()? == 1.0
                    && node.int("transA", 0).ok()? == 0 =>
            {
                let transposed = node.int("transB", 0).ok()? != 0;
                let channels = graph.initializer(weight)?.dims()[usize::from(!transposed)];
                let fits = |bias| {
                    graph
                        .initializer(bias)
                        .is_some_and(|bias| is_bias(bias, channels))
                };
                node.input(2).is_none_or(fits).then_some(Self {
                    node,
                    input,
                    weight,
                    transposed,
                })
            }
            _ => None,
        }
    }
}

/// One number for all channels, or one for each.
fn is_bias(tensor: &Tensor, channels: u64) -> bool {
    let dims = tensor.dims();
    let shape_fits = matches!(dims, [] | [1]) || dims == [channels] || dims == [1, channels];
    shape_fits && tensor.element_type() == ElementType::Float32
}

/// What can be quantized in a graph.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Targets<'a> {
    /// Products with constant weights, in order of execution.
    pub products: Vec<Product<'a>>,
    /// Lookups in constant float tables.
    pub lookups: Vec<&'a Node>,
}

impl Targets<'_> {
    /// The tensors that need a range: the products' inputs, each once.
    pub fn inputs<'g>(&self, graph: &'g Graph) -> Vec<&'g str> {
        let mut seen = BTreeSet::new();
        let inputs = self
            .products
            .iter()
            .map(|product| product.input)
            .filter(|input| seen.insert(*input));
        inputs
            .map(|input| graph.value(input).name.as_str())
            .collect()
    }
}

/// Readies a graph of any origin: constants as initializers, and around what can be quantized types
/// and ranks, as far as they follow. Sizes that a file does not state stay unknown.
///
/// The values around a product with constant float weights are float, whatever the file says or
/// does not say of them.
///
/// # Errors
/// If the graph is not in order.
pub fn prepare(model: &mut Model) -> Result<(), GraphError> {
    *model = constants_to_initializers(model)?.0;
    let facts = infer(&model.graph, &model.opsets);
    let graph = &mut model.graph;
    let products = targets(graph)
        .products
        .into_iter()
        .flat_map(|p| [Some(p.input), p.node.output(0)])
        .flatten();
    let products: Vec<ValueId> = products.collect();
    let lookups = graph
        .nodes()
        .map(|(_, node)| node)
        .filter(|node| table_of(graph, node).is_some());
    let lookups: Vec<ValueId> = lookups
        .flat_map(|node| [node.input(1), node.output(0)])
        .flatten()
        .collect();
    let unstated = |graph: &Graph, ids: &[ValueId]| -> Vec<ValueId> {
        ids.iter()
            .copied()
            .filter(|id| graph.fact(*id).is_none())
            .collect()
    };
    let ids = unstated(graph, &[products.as_slice(), &lookups].concat());
    for id in ids {
        if let Some(fact) = facts.fact(id).cloned() {
            let shape = fact
                .shape
                .map(|shape| shape.iter().map(|_| Dim::Unknown).collect());
            graph.set_fact(id, Fact { shape, ..fact });
        }
    }
    for id in unstated(graph, &products) {
        graph.set_fact(id, Fact::unranked(ElementType::Float32));
    }
    Ok(())
}

/// Finds what can be quantized.
pub fn targets(graph: &Graph) -> Targets<'_> {
    let nodes = || graph.nodes().map(|(_, node)| node);
    Targets {
        products: nodes()
            .filter_map(|node| Product::of(graph, node))
            .collect(),
        lookups: nodes().filter(|node| is_lookup(graph, node)).collect(),
    }
}

/// The constant float matrix that a `Gather` takes rows of.
fn table_of<'a>(graph: &'a Graph, node: &Node) -> Option<&'a Tensor> {
    let table = node.input(0).and_then(|table| graph.initializer(table))?;
    let is_matrix = table.dims().len() == 2
        && !table.bytes().is_empty()
        && table.element_type() == ElementType::Float32;
    let is_lookup = node.is("Gather") && node.int("axis", 0) == Ok(0);
    (is_matrix && is_lookup).then_some(table)
}

/// A `Gather` of rows from a constant float matrix, by indices of which enough is known.
pub(crate) fn is_lookup(graph: &Graph, node: &Node) -> bool {
    let fact = |id: Option<ValueId>| id.and_then(|id| graph.fact(id));
    let ranked = fact(node.output(0)).and_then(Fact::rank).is_some();
    ranked && fact(node.input(1)).is_some() && table_of(graph, node).is_some()
}
