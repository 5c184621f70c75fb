//! The pass from a float graph to a QDQ graph.

use crate::target::is_lookup;
use crate::{
    Product, QuantError, QuantParams, Ranges, WeightRange, quantize_bias, quantize_channels,
    targets,
};
use rtune_graph::passes::initializers_from_inputs;
use rtune_graph::{
    ElementType, Graph, GraphError, Model, Node, NodeDraft, NodeId, Place, Rewrite, Tensor, ValueId,
};
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
        Self {
            weight_range: WeightRange::default(),
            embeddings: true,
        }
    }
}

/// What the pass did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct QuantizeReport {
    /// The outputs of the products that were quantized.
    pub products: Vec<String>,
    /// The outputs of the lookups that were quantized.
    pub lookups: Vec<String>,
}

/// Rewrites the products with constant weights, and the embedding lookups, to integers.
///
/// The activation of each product goes through `QuantizeLinear` (uint8) and `DequantizeLinear`;
/// what else reads it still reads the float tensor. Weights become int8 per channel. A `Gemm`'s
/// bias becomes int32; a rank-2 `MatMul` with a constant added behind it becomes such a `Gemm`,
/// because the runtime would make one of it that stays float. Constants that a file also lists as
/// inputs can no longer be given at run time.
///
/// # Errors
/// Where there is nothing to quantize, the operator set is older than 13, or a product's input has
/// no range.
pub fn quantize(
    model: &Model,
    ranges: &Ranges,
    options: QuantizeOptions,
) -> Result<(Model, QuantizeReport), QuantError> {
    check_quantizable(model)?;
    // In old files constants are listed as inputs too; they are constants all the same.
    let (model, _) = initializers_from_inputs(model)?;
    let mut pass = Pass {
        source: &model.graph,
        rewrite: Rewrite::new(&model)?,
        activations: BTreeMap::new(),
        ranges,
        options,
        report: QuantizeReport::default(),
    };
    pass.run()?;
    let (quantized, report) = (pass.rewrite.finish()?, pass.report);
    // Before version 4, constants had to be inputs too.
    let ir_version = quantized.ir_version.max(4);
    let quantized = Model {
        ir_version,
        ..quantized
    };
    Ok((quantized, report))
}

/// Whether there is something to quantize, in an operator set that has the means.
///
/// # Errors
/// Where there is not.
pub fn check_quantizable(model: &Model) -> Result<(), QuantError> {
    if targets(&model.graph).products.is_empty() {
        return Err(QuantError::NothingToQuantize);
    }
    match model.opset().filter(|opset| *opset < 13) {
        Some(opset) => Err(QuantError::Opset(opset)),
        None => Ok(()),
    }
}

struct Pass<'a> {
    source: &'a Graph,
    rewrite: Rewrite<'a>,
    /// Activations that are quantized already.
    activations: BTreeMap<ValueId, (ValueId, QuantParams)>,
    ranges: &'a Ranges,
    options: QuantizeOptions,
    report: QuantizeReport,
}

/// A rank-2 `MatMul` and the `Add` of a constant behind it.
struct BiasedMatMul<'a> {
    id: NodeId,
    add: &'a Node,
    bias: ValueId,
}

impl<'a> Pass<'a> {
    fn run(&mut self) -> Result<(), QuantError> {
        for input in self.source.inputs() {
            if self.source.fact(*input).is_none() {
                let place = Place::Input(self.source.name_of(*input).to_owned());
                return Err(GraphError::new(place, "has no known type").into());
            }
        }
        let mut merged: BTreeSet<NodeId> = BTreeSet::new();
        for (id, node) in self.source.nodes() {
            if merged.contains(&id) {
                continue;
            }
            match Product::of(self.source, node) {
                Some(product) => merged.extend(self.product(&product)?),
                None if self.options.embeddings && is_lookup(self.source, node) => {
                    self.lookup(id, node)?
                }
                None => self.rewrite.keep(id)?,
            }
        }
        Ok(())
    }

    fn constant(&mut self, name: String, tensor: Tensor) -> Result<ValueId, QuantError> {
        Ok(self.rewrite.constant(name, tensor)?)
    }

    fn node(
        &mut self,
        op_type: &str,
        name: String,
        inputs: [ValueId; 3],
        axis: Option<i64>,
    ) -> Result<ValueId, QuantError> {
        let mut draft = NodeDraft::new(op_type, name).inputs(inputs);
        if let Some(axis) = axis {
            draft = draft.attribute("axis", axis);
        }
        Ok(self.rewrite.add(draft)?)
    }

    /// The activation behind `QuantizeLinear` and `DequantizeLinear`, shared by all products that
    /// read it.
    fn activation(&mut self, input: ValueId) -> Result<(ValueId, QuantParams), QuantError> {
        if let Some(known) = self.activations.get(&input) {
            return Ok(*known);
        }
        let name = self.source.value(input).name.clone();
        let (min, max) = self
            .ranges
            .get(&name)
            .copied()
            .ok_or_else(|| QuantError::Unseen(name.clone()))?;
        let params = QuantParams::asymmetric_u8(min, max);
        let value = self.rewrite.value(input)?;
        let scale = self.constant(
            format!("{name}/scale"),
            Tensor::from_f32(&[], &[params.scale])?,
        )?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Within 0..=255.
        let zero_point = Tensor::new(ElementType::Uint8, &[], vec![params.zero_point as u8])?;
        let zero = self.constant(format!("{name}/zero_point"), zero_point)?;
        let q = self.node(
            "QuantizeLinear",
            format!("{name}/QuantizeLinear"),
            [value, scale, zero],
            None,
        )?;
        let dq = self.node(
            "DequantizeLinear",
            format!("{name}/DequantizeLinear"),
            [q, scale, zero],
            None,
        )?;
        self.activations.insert(input, (dq, params));
        Ok((dq, params))
    }

    /// Scales and zero points of symmetric integers.
    fn channel_params(
        &mut self,
        name: &str,
        element_type: ElementType,
        scales: &[f32],
    ) -> Result<[ValueId; 2], QuantError> {
        let channels = [scales.len() as u64];
        let zeros = Tensor::new(
            element_type,
            &channels,
            vec![0_u8; scales.len() * element_type.size()],
        )?;
        let scale = self.constant(
            format!("{name}_scale"),
            Tensor::from_f32(&channels, scales)?,
        )?;
        Ok([scale, self.constant(format!("{name}_zero_point"), zeros)?])
    }

    /// Constant integers behind `DequantizeLinear`, with one scale for each index of `axis`.
    fn dequantized(
        &mut self,
        name: &str,
        integers: Tensor,
        scales: &[f32],
        axis: i64,
    ) -> Result<ValueId, QuantError> {
        let [scale, zero] = self.channel_params(name, integers.element_type(), scales)?;
        let integers = self.constant(format!("{name}_quantized"), integers)?;
        self.node(
            "DequantizeLinear",
            format!("{name}/DequantizeLinear"),
            [integers, scale, zero],
            Some(axis),
        )
    }

    /// The weights of a product behind `DequantizeLinear`, with their scales.
    fn weight(
        &mut self,
        product: &Product<'_>,
        bias: Option<&[f32]>,
        input_scale: f32,
    ) -> Result<(ValueId, Vec<f32>), QuantError> {
        let name = &self.source.value(product.weight).name;
        let (tensor, values) = self.floats(product.weight)?;
        let columns = usize::try_from(tensor.dims()[1]).unwrap_or(0).max(1);
        let rows = values.len() / columns;
        let dims = tensor.dims().to_vec();
        let range = self.options.weight_range;
        // A channel of tiny weights beside a large bias would leave the bias no room in 32 bits.
        let least_scale = |channel: usize| {
            let bias = bias
                .and_then(|bias| bias.get(channel))
                .copied()
                .unwrap_or(0.0);
            (bias.abs() / input_scale / 2.0_f32.powi(30))
                .max(f32::MIN_POSITIVE / input_scale.min(1.0))
        };
        let (integers, scales) = if product.transposed {
            quantize_channels(values.chunks(columns), range, least_scale)
        } else {
            let turned = transpose(&values, columns);
            let (integers, scales) =
                quantize_channels(turned.chunks(rows.max(1)), range, least_scale);
            (transpose(&integers, rows), scales)
        };
        let axis = i64::from(!product.transposed);
        let id = self.dequantized(name, Tensor::from_i8(&dims, &integers)?, &scales, axis)?;
        Ok((id, scales))
    }

    fn floats(&self, id: ValueId) -> Result<(&'a Tensor, Vec<f32>), QuantError> {
        let tensor = self.source.initializer(id);
        let name = &self.source.value(id).name;
        let (tensor, values) = tensor
            .and_then(|t| Some((t, t.to_f32()?)))
            .ok_or_else(|| GraphError::value(name, "is no constant of f32"))?;
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok((tensor, values)),
            Some(element) => Err(QuantError::Weight {
                tensor: name.clone(),
                value: values[element],
                element,
            }),
        }
    }

    /// Quantizes a product; returns the `Add` behind it where that has become its bias.
    fn product(&mut self, product: &Product<'a>) -> Result<Option<NodeId>, QuantError> {
        let (input, params) = self.activation(product.input)?;
        let merged = self.biased_matmul(product);
        let bias = merged.as_ref().map(|m| m.bias).or_else(|| {
            product
                .node
                .input(2)
                .filter(|_| product.node.op_type == "Gemm")
        });
        let bias_values = bias
            .map(|bias| self.bias_values(bias, product))
            .transpose()?;
        let (weight, scales) = self.weight(product, bias_values.as_deref(), params.scale)?;
        let mut inputs = vec![Some(input), Some(weight)];
        if let (Some(bias), Some(values)) = (bias, bias_values) {
            let (integers, scales) = quantize_bias(&values, params.scale, &scales);
            let tensor = Tensor::from_i32(&[integers.len() as u64], &integers)?;
            let name = self.source.value(bias).name.clone();
            inputs.push(Some(self.dequantized(&name, tensor, &scales, 0)?));
        }
        let last = merged.as_ref().map_or(product.node, |m| m.add);
        let output = last
            .output(0)
            .ok_or_else(|| GraphError::node(last, "has no output"))?;
        let name = self.source.name_of(output).to_owned();
        let mut draft = match merged.is_some() {
            true => NodeDraft::new("Gemm", &last.name),
            false => NodeDraft::like(product.node),
        };
        draft = draft.inputs(inputs);
        self.rewrite.define(output, draft)?;
        self.report.products.push(name);
        Ok(merged.map(|m| m.id))
    }

    /// A bias with one number for each channel.
    fn bias_values(&self, bias: ValueId, product: &Product<'_>) -> Result<Vec<f32>, QuantError> {
        let (_, values) = self.floats(bias)?;
        let dims = self
            .source
            .initializer(product.weight)
            .map(|weight| weight.dims().to_vec())
            .unwrap_or_default();
        let channels = dims
            .get(usize::from(!product.transposed))
            .and_then(|d| usize::try_from(*d).ok())
            .unwrap_or(0);
        Ok(if values.len() == 1 {
            vec![values[0]; channels]
        } else {
            values
        })
    }

    /// The constant vector added behind a rank-2 `MatMul` that nothing else reads.
    fn biased_matmul(&self, product: &Product<'a>) -> Option<BiasedMatMul<'a>> {
        let rank = self.source.fact(product.input)?.rank()?;
        let output = product.node.output(0)?;
        if product.node.op_type != "MatMul" || rank != 2 || self.source.outputs().contains(&output)
        {
            return None;
        }
        let [id] = self.source.users(output) else {
            return None;
        };
        let (id, add) = (*id, self.source.node(*id));
        let bias = add
            .inputs
            .iter()
            .flatten()
            .copied()
            .find(|id| *id != output)?;
        let channels = self.source.initializer(product.weight)?.dims()[1];
        let tensor = self.source.initializer(bias)?;
        let is_vector =
            tensor.dims() == [channels] && tensor.element_type() == ElementType::Float32;
        (add.op_type == "Add" && is_vector).then_some(BiasedMatMul { id, add, bias })
    }

    /// int8 rows, dequantized with one scale for each column after they are looked up.
    fn lookup(&mut self, id: NodeId, node: &'a Node) -> Result<(), QuantError> {
        let (Some(table), Some(ids), Some(output)) = (node.input(0), node.input(1), node.output(0))
        else {
            return Ok(self.rewrite.keep(id)?);
        };
        let name = &self.source.value(table).name;
        let (tensor, values) = self.floats(table)?;
        let columns = usize::try_from(tensor.dims()[1]).unwrap_or(0).max(1);
        let rows = values.len() / columns;
        let turned = transpose(&values, columns);
        let (integers, scales) =
            quantize_channels(turned.chunks(rows.max(1)), WeightRange::Full, |_| 0.0);
        let integers = Tensor::from_i8(tensor.dims(), &transpose(&integers, rows))?;
        let [scale, zero] = self.channel_params(name, ElementType::Int8, &scales)?;
        let integers = self.constant(format!("{name}_quantized"), integers)?;
        let ids = self.rewrite.value(ids)?;
        let name = self.source.name_of(output);
        let gathered = NodeDraft::new("Gather", format!("{name}/Gather")).inputs([integers, ids]);
        let gathered = self.rewrite.add(gathered.attribute("axis", 0_i64))?;
        let rank = self.source.fact(output).and_then(rtune_graph::Fact::rank);
        let rank = rank.and_then(|rank| i64::try_from(rank).ok());
        let axis = rank.ok_or_else(|| GraphError::value(name, "has no known rank"))? - 1;
        let draft =
            NodeDraft::new("DequantizeLinear", node.name.clone()).inputs([gathered, scale, zero]);
        self.rewrite.define(output, draft.attribute("axis", axis))?;
        self.report.lookups.push(name.to_owned());
        Ok(())
    }
}

/// Rows become columns.
fn transpose<T: Copy>(values: &[T], columns: usize) -> Vec<T> {
    let rows = values.len() / columns.max(1);
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
        .collect()
}
