//! The pass from a float graph to a QDQ graph.

use crate::target::is_lookup;
use crate::{Product, QuantError, QuantParams, Ranges, WeightRange, quantize_bias, quantize_channels, targets};
use rtune_graph::{ElementType, Graph, GraphError, Model, Node, NodeDraft, Tensor, ValueId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What the pass does beside the products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuantizeOptions {
    /// How weights are scaled.
    pub weight_range: WeightRange,
    /// Whether embedding tables become int8.
    pub embeddings: bool,
}

impl Default for QuantizeOptions {
    fn default() -> Self {
        Self { weight_range: WeightRange::default(), embeddings: true }
    }
}

/// What the pass did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct QuantizeReport {
    /// Names of the products that were quantized.
    pub products: Vec<String>,
    /// Names of the lookups that were quantized.
    pub lookups: Vec<String>,
}

/// Rewrites the products with constant weights, and the embedding lookups, to integers.
///
/// The activation of each product goes through `QuantizeLinear` (uint8) and `DequantizeLinear`; what else reads it still
/// reads the float tensor. Weights become int8 per channel. A `Gemm`'s bias becomes int32; a rank-2 `MatMul` with a
/// constant added behind it becomes such a `Gemm`, because the runtime would make one of it that stays float.
///
/// # Errors
/// Where there is nothing to quantize, or a product's input has no range.
pub fn quantize(
    model: &Model,
    ranges: &Ranges,
    options: QuantizeOptions,
) -> Result<(Model, QuantizeReport), QuantError> {
    if targets(&model.graph).products.is_empty() {
        return Err(QuantError::NothingToQuantize);
    }
    let mut rewrite = Rewrite {
        source: &model.graph,
        target: Graph::new(model.graph.name.clone()),
        values: BTreeMap::new(),
        ranges,
        options,
        report: QuantizeReport::default(),
    };
    rewrite.run()?;
    let quantized = Model { graph: rewrite.target, ..model.clone() };
    Ok((quantized, rewrite.report))
}

struct Rewrite<'a> {
    source: &'a Graph,
    target: Graph,
    /// From values of the source to those of the target.
    values: BTreeMap<ValueId, ValueId>,
    ranges: &'a Ranges,
    options: QuantizeOptions,
    report: QuantizeReport,
}

/// A rank-2 `MatMul` and the `Add` of a constant behind it.
struct BiasedMatMul<'a> {
    add: &'a Node,
    bias: ValueId,
}

impl<'a> Rewrite<'a> {
    fn run(&mut self) -> Result<(), QuantError> {
        for input in self.source.inputs() {
            let value = self.source.value(*input);
            let fact = value
                .fact
                .clone()
                .ok_or_else(|| GraphError::new(format!("input `{}`", value.name), "has no known type"))?;
            let id = self.target.add_input(&value.name, fact)?;
            self.values.insert(*input, id);
        }
        let mut merged: BTreeSet<*const Node> = BTreeSet::new();
        for node in self.source.nodes() {
            if merged.contains(&std::ptr::from_ref(node)) {
                continue;
            }
            match Product::of(self.source, node) {
                Some(product) => {
                    if let Some(add) = self.product(&product)? {
                        merged.insert(std::ptr::from_ref(add));
                    }
                }
                None if self.options.embeddings && is_lookup(self.source, node) => self.lookup(node)?,
                None => self.copy(node)?,
            }
        }
        for output in self.source.outputs() {
            let id = self.value(*output)?;
            self.target.add_output(id)?;
        }
        Ok(())
    }

    /// The target's value for a source's; constants are copied when they are first read.
    fn value(&mut self, id: ValueId) -> Result<ValueId, QuantError> {
        if let Some(found) = self.values.get(&id) {
            return Ok(*found);
        }
        let value = self.source.value(id);
        let Some(tensor) = self.source.initializer(id) else {
            return Err(GraphError::new(format!("value `{}`", value.name), "is read before it is defined").into());
        };
        let copied = self.target.add_initializer(&value.name, tensor.clone())?;
        self.values.insert(id, copied);
        Ok(copied)
    }

    fn copy(&mut self, node: &Node) -> Result<(), QuantError> {
        let inputs = node.inputs.iter().map(|input| input.map(|id| self.value(id)).transpose());
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let mut outputs = Vec::new();
        for output in &node.outputs {
            outputs.push(match output {
                None => None,
                Some(id) => {
                    let value = self.source.value(*id);
                    let declared = self.target.declare(&value.name, value.fact.clone())?;
                    self.values.insert(*id, declared);
                    Some(declared)
                }
            });
        }
        self.target.push(Node { inputs, outputs, ..node.clone() });
        Ok(())
    }

    /// A constant of the target, the same one for the same name.
    fn constant(
        &mut self,
        name: &str,
        tensor: impl FnOnce() -> Result<Tensor, GraphError>,
    ) -> Result<ValueId, QuantError> {
        match self.target.find(name) {
            Some(id) => Ok(id),
            None => Ok(self.target.add_initializer(name, tensor()?)?),
        }
    }

    /// The activation behind `QuantizeLinear` and `DequantizeLinear`, shared by all products that read it.
    fn activation(&mut self, input: ValueId) -> Result<(ValueId, QuantParams), QuantError> {
        let name = self.source.value(input).name.clone();
        let (min, max) = self.ranges.get(&name).copied().ok_or_else(|| QuantError::Unseen(name.clone()))?;
        let params = QuantParams::asymmetric_u8(min, max);
        let quantized = format!("{name}/QuantizeLinear");
        let dequantized = format!("{name}/DequantizeLinear");
        if let Some(id) = self.target.find(&dequantized) {
            return Ok((id, params));
        }
        let value = self.value(input)?;
        let scale = self.constant(&format!("{name}/scale"), || Tensor::from_f32(&[], &[params.scale]))?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Within 0..=255.
        let zero_byte = params.zero_point as u8;
        let zero =
            self.constant(&format!("{name}/zero_point"), || Tensor::new(ElementType::Uint8, &[], vec![zero_byte]))?;
        let q = self.target.add(NodeDraft::new("QuantizeLinear", quantized).inputs([value, scale, zero]))?;
        let dq = self.target.add(NodeDraft::new("DequantizeLinear", dequantized).inputs([q, scale, zero]))?;
        Ok((dq, params))
    }

    /// Constant integers behind `DequantizeLinear`, with one scale for each index of `axis`.
    fn dequantized(&mut self, name: &str, integers: Tensor, scales: &[f32], axis: i64) -> Result<ValueId, QuantError> {
        let output = format!("{name}/DequantizeLinear");
        if let Some(id) = self.target.find(&output) {
            return Ok(id);
        }
        let channels = scales.len() as u64;
        let element_type = integers.element_type();
        let integers = self.constant(&format!("{name}_quantized"), || Ok(integers))?;
        let scale = self.constant(&format!("{name}_scale"), || Tensor::from_f32(&[channels], scales))?;
        let zeros = vec![0_u8; scales.len() * element_type.size()];
        let zero = self.constant(&format!("{name}_zero_point"), || Tensor::new(element_type, &[channels], zeros))?;
        let draft = NodeDraft::new("DequantizeLinear", output).inputs([integers, scale, zero]);
        Ok(self.target.add(draft.attribute("axis", axis))?)
    }

    /// The weights of a product behind `DequantizeLinear`, with their scales.
    fn weight(&mut self, product: &Product<'_>) -> Result<(ValueId, Vec<f32>), QuantError> {
        let name = &self.source.value(product.weight).name;
        let (tensor, values) = self.floats(product.weight)?;
        let columns = usize::try_from(tensor.dims()[1]).unwrap_or(0).max(1);
        let dims = tensor.dims().to_vec();
        let range = self.options.weight_range;
        let (integers, scales) = if product.transposed {
            quantize_channels(values.chunks(columns), range)
        } else {
            let turned = transpose(&values, columns);
            let (integers, scales) = quantize_channels(turned.chunks(values.len() / columns), range);
            (transpose(&integers, values.len() / columns), scales)
        };
        let axis = i64::from(!product.transposed);
        let id = self.dequantized(name, Tensor::from_i8(&dims, &integers)?, &scales, axis)?;
        Ok((id, scales))
    }

    fn floats(&self, id: ValueId) -> Result<(&'a Tensor, Vec<f32>), QuantError> {
        let tensor = self.source.initializer(id);
        let values = tensor.and_then(|t| Some((t, t.to_f32()?)));
        values.ok_or_else(|| {
            GraphError::new(format!("value `{}`", self.source.value(id).name), "is no constant of f32").into()
        })
    }

    /// Quantizes a product; returns the `Add` behind it where that has become its bias.
    fn product(&mut self, product: &Product<'a>) -> Result<Option<&'a Node>, QuantError> {
        let (input, params) = self.activation(product.input)?;
        let (weight, scales) = self.weight(product)?;
        self.report.products.push(product.node.name.clone());
        let merged = self.biased_matmul(product);
        let bias = merged
            .as_ref()
            .map(|m| m.bias)
            .or_else(|| product.node.input(2).filter(|_| product.node.op_type == "Gemm"));
        let mut inputs = vec![Some(input), Some(weight)];
        if let Some(bias) = bias {
            inputs.push(Some(self.bias(bias, product, params, &scales)?));
        }
        let last = merged.as_ref().map_or(product.node, |m| m.add);
        let output = last.output(0).ok_or_else(|| GraphError::new(last.label(), "has no output"))?;
        let value = self.source.value(output);
        let declared = self.target.declare(&value.name, value.fact.clone())?;
        self.values.insert(output, declared);
        let op_type = if merged.is_some() { "Gemm".to_owned() } else { product.node.op_type.clone() };
        self.target.push(Node {
            inputs,
            outputs: vec![Some(declared)],
            op_type,
            name: last.name.clone(),
            ..product.node.clone()
        });
        Ok(merged.map(|m| m.add))
    }

    fn bias(
        &mut self,
        bias: ValueId,
        product: &Product<'_>,
        params: QuantParams,
        scales: &[f32],
    ) -> Result<ValueId, QuantError> {
        let (_, values) = self.floats(bias)?;
        // A bias may be shared by products of different scales, so the product's name is part of its own.
        let name = format!("{}/{}", product.node.name, self.source.value(bias).name);
        let values = if values.len() == 1 { vec![values[0]; scales.len()] } else { values };
        let (integers, bias_scales) = quantize_bias(&values, params.scale, scales);
        let tensor = Tensor::from_i32(&[integers.len() as u64], &integers)?;
        self.dequantized(&name, tensor, &bias_scales, 0)
    }

    /// The constant vector added behind a rank-2 `MatMul` that nothing else reads.
    fn biased_matmul(&self, product: &Product<'a>) -> Option<BiasedMatMul<'a>> {
        let rank = self.source.value(product.input).fact.as_ref()?.rank()?;
        let output = product.node.output(0)?;
        if product.node.op_type != "MatMul" || rank != 2 || self.source.outputs().contains(&output) {
            return None;
        }
        let mut readers = self.source.consumers(output);
        let (add, None) = (readers.next()?, readers.next()) else { return None };
        let bias = add.inputs.iter().flatten().copied().find(|id| *id != output)?;
        let channels = self.source.initializer(product.weight)?.dims()[1];
        let tensor = self.source.initializer(bias)?;
        let is_vector = tensor.dims() == [channels] && tensor.element_type() == ElementType::Float32;
        (add.op_type == "Add" && is_vector).then_some(BiasedMatMul { add, bias })
    }

    /// int8 rows, dequantized with one scale for each column after they are looked up.
    fn lookup(&mut self, node: &'a Node) -> Result<(), QuantError> {
        let (Some(table), Some(ids), Some(output)) = (node.input(0), node.input(1), node.output(0)) else {
            return self.copy(node);
        };
        let name = &self.source.value(table).name;
        let (tensor, values) = self.floats(table)?;
        let columns = usize::try_from(tensor.dims()[1]).unwrap_or(0).max(1);
        let rows = values.len() / columns;
        let turned = transpose(&values, columns);
        let (integers, scales) = quantize_channels(turned.chunks(rows.max(1)), WeightRange::Full);
        let dims = tensor.dims().to_vec();
        let integers =
            self.constant(&format!("{name}_quantized"), || Tensor::from_i8(&dims, &transpose(&integers, rows)))?;
        let scale = self.constant(&format!("{name}_scale"), || Tensor::from_f32(&[columns as u64], &scales))?;
        let zero =
            self.constant(&format!("{name}_zero_point"), || Tensor::from_i8(&[columns as u64], &vec![0; columns]))?;
        let ids = self.value(ids)?;
        let gathered = NodeDraft::new("Gather", format!("{}/Gather", node.name)).inputs([integers, ids]);
        let gathered = self.target.add(gathered.attribute("axis", 0_i64))?;
        let value = self.source.value(output);
        let rank = value.fact.as_ref().and_then(rtune_graph::Fact::rank).unwrap_or(1);
        let axis = i64::try_from(rank).unwrap_or(1) - 1;
        let draft = NodeDraft::new("DequantizeLinear", node.name.clone()).inputs([gathered, scale, zero]);
        let id = self.target.add(draft.attribute("axis", axis).output(value.name.clone()))?;
        self.values.insert(output, id);
        self.report.lookups.push(node.name.clone());
        Ok(())
    }
}

/// Rows become columns.
fn transpose<T: Copy>(values: &[T], columns: usize) -> Vec<T> {
    let rows = values.len() / columns.max(1);
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}
