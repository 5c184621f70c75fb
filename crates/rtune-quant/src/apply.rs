//! Writes the quantized graph: quantized activations, weights and biases, each once.

use crate::arithmetic::{least_weight_scale, quantize_bias};
use crate::matrix::{Channels, Matrix, floats};
use crate::names::quantized_name;
use crate::recipe::Site;
use crate::saturation::{channel_params, quantize_channels};
use crate::{QuantError, QuantParams, Quantizable, Ranges, Scheme, WeightRange};
use rtune_graph::{ElementType, GraphError, Model, NodeDraft, NodeId, Rewrite, Tensor, ValueId};
use std::collections::{BTreeMap, BTreeSet};

/// The quantized graph while recipes write it.
pub(crate) struct Apply<'a> {
    source: &'a Quantizable,
    scheme: Scheme,
    ranges: &'a Ranges,
    target: Rewrite<'a>,
    /// The source's values that products read as integers.
    inputs: BTreeSet<ValueId>,
    /// Quantized activations by the source's value.
    activations: BTreeMap<ValueId, (ValueId, QuantParams)>,
    /// Quantized constants by the source's value, the type of the integers, the channel axis, and
    /// the bits of the scales: nodes that share a constant share its integers.
    constants: BTreeMap<(ValueId, ElementType, usize, Vec<u32>), Integers>,
    /// Outputs of `DequantizeLinear` by the integers that it reads.
    dequantized: BTreeMap<ValueId, ValueId>,
}

/// A constant of integers with one scale per channel and zero points of 0.
#[derive(Debug, Clone, Copy)]
struct Integers {
    integers: ValueId,
    scale: ValueId,
    zero_point: ValueId,
}

impl<'a> Apply<'a> {
    /// A copy of the model's inputs, without nodes. Products will read the values `inputs`.
    ///
    /// # Errors
    /// If two inputs have one name.
    pub(crate) fn new(
        source: &'a Quantizable,
        scheme: Scheme,
        ranges: &'a Ranges,
        inputs: impl IntoIterator<Item = ValueId>,
    ) -> Result<Self, QuantError> {
        Ok(Self {
            source,
            scheme,
            ranges,
            target: Rewrite::new(source.model())?,
            inputs: inputs.into_iter().collect(),
            activations: BTreeMap::new(),
            constants: BTreeMap::new(),
            dequantized: BTreeMap::new(),
        })
    }

    /// The activation behind `QuantizeLinear` and `DequantizeLinear`, which all products that read
    /// it share, with its parameters.
    ///
    /// # Errors
    /// If it has no range.
    pub(crate) fn activation(&mut self, id: ValueId) -> Result<(ValueId, QuantParams), QuantError> {
        if let Some(known) = self.activations.get(&id) {
            return Ok(*known);
        }
        let name = self.source.model().graph.name_of(id);
        let unseen = || QuantError::Unseen(name.to_owned());
        let (min, max) = self.ranges.get(name).copied().ok_or_else(unseen)?;
        let int = self.scheme.activation;
        let params = int.params(min, max);
        let value = self.target.value(id)?;
        let scale = Tensor::from_f32(&[], &[params.scale])?;
        let scale = self.target.constant(format!("{name}/scale"), scale)?;
        // Two's complement: the lowest byte is the integer in both types.
        let zero_point = vec![params.zero_point as u8];
        let zero_point = Tensor::new(int.element_type(), &[], zero_point)?;
        let zero_point = self
            .target
            .constant(format!("{name}/zero_point"), zero_point)?;
        let node = |op_type| NodeDraft::new(op_type, format!("{name}/{op_type}"));
        let q = node("QuantizeLinear").inputs([value, scale, zero_point]);
        let q = self.target.add(q)?;
        let dq = node("DequantizeLinear").inputs([q, scale, zero_point]);
        let dq = self.target.add(dq)?;
        self.activations.insert(id, (dq, params));
        Ok((dq, params))
    }

    /// The weight of a site.
    ///
    /// # Errors
    /// If an element is NaN or infinite.
    pub(crate) fn matrix(&self, site: &Site) -> Result<Matrix, QuantError> {
        Matrix::read(self.source, site.weight)
    }

    /// The values of a bias, one per channel.
    ///
    /// # Errors
    /// If one is NaN or infinite.
    pub(crate) fn bias_values(
        &self,
        bias: ValueId,
        channels: usize,
    ) -> Result<Vec<f32>, QuantError> {
        let values = floats(self.source, bias)?;
        Ok(match values.as_slice() {
            [value] => vec![*value; channels],
            _ => values,
        })
    }

    /// int8 weights behind `DequantizeLinear`, with the scale of each channel.
    ///
    /// # Shapes
    /// bias `[channels]`
    ///
    /// # Errors
    /// If a name cannot be added to the graph.
    pub(crate) fn weight(
        &mut self,
        site: &Site,
        matrix: &Matrix,
        bias: &[f32],
        input_scale: f32,
    ) -> Result<(ValueId, Vec<f32>), QuantError> {
        let channels = matrix.by_channel(site.channel_axis);
        // A channel of tiny weights beside a large bias would leave the bias no room in 32 bits.
        let least_scale = |channel: usize| least_weight_scale(bias[channel], input_scale);
        let params = channel_params(channels.iter(), self.scheme.weight_range, least_scale);
        let weight = self.int8_weight(site, &channels, matrix, &params)?;
        let scales = params.iter().map(|params| params.scale).collect();
        Ok((
            self.dequantized(site.weight, weight, site.channel_axis)?,
            scales,
        ))
    }

    /// An int32 bias behind `DequantizeLinear`, at the scales of its product.
    ///
    /// # Shapes
    /// values and weight scales `[channels]`
    ///
    /// # Errors
    /// If a name cannot be added to the graph.
    pub(crate) fn bias(
        &mut self,
        id: ValueId,
        values: &[f32],
        input_scale: f32,
        weight_scales: &[f32],
    ) -> Result<ValueId, QuantError> {
        let (integers, scales) = quantize_bias(values, input_scale, weight_scales);
        let bias = self.integers(id, 0, ElementType::Int32, &scales, || {
            Tensor::from_i32(&[integers.len() as u64], &integers)
        })?;
        self.dequantized(id, bias, 0)
    }

    /// Replaces a product, and the `Add` of its bias if the site has one, by a node of `op_type`
    /// over `inputs`, with the attributes of the product and the name and output of the last node.
    ///
    /// # Errors
    /// If the last node has no output.
    pub(crate) fn product(
        &mut self,
        site: &Site,
        op_type: &str,
        inputs: Vec<ValueId>,
    ) -> Result<(), QuantError> {
        let graph = &self.source.model().graph;
        let last = graph.node(site.last);
        let output = last
            .output(0)
            .ok_or_else(|| GraphError::node(last, "has no output"))?;
        let mut draft = NodeDraft::new(op_type, &last.name).inputs(inputs);
        for (name, value) in &graph.node(site.node).attributes {
            draft = draft.attribute(name, value.clone());
        }
        self.target.define(output, draft)?;
        if self.inputs.contains(&output) && !graph.outputs().contains(&output) {
            // The runtime has no integer kernel for a product of which some readers read integers
            // and others, such as a residual connection, floats.
            let (dequantized, _) = self.activation(output)?;
            self.target.replace(output, dequantized);
        }
        Ok(())
    }

    /// Replaces a lookup by one in int8 rows with `DequantizeLinear` behind it.
    ///
    /// # Errors
    /// If an element of the table is NaN or infinite, or the rank of the output is unknown.
    pub(crate) fn lookup(&mut self, site: &Site) -> Result<(), QuantError> {
        let graph = &self.source.model().graph;
        let node = graph.node(site.node);
        let (Some(indices), Some(output)) = (node.input(1), node.output(0)) else {
            return Err(GraphError::node(node, "lacks its indices or its output").into());
        };
        let unknown = || GraphError::node(node, "has an output of unknown rank");
        let rank = self.source.facts().rank(output).ok_or_else(unknown)?;
        let last_axis = rank
            .checked_sub(1)
            .and_then(|axis| i64::try_from(axis).ok());
        let last_axis = last_axis.ok_or_else(unknown)?;
        let matrix = self.matrix(site)?;
        let channels = matrix.by_channel(site.channel_axis);
        let params = channel_params(channels.iter(), WeightRange::Full, |_| 0.0);
        let table = self.int8_weight(site, &channels, &matrix, &params)?;
        let indices = self.target.value(indices)?;
        let gather = NodeDraft::new("Gather", format!("{}/Gather", graph.name_of(output)))
            .inputs([table.integers, indices])
            .attribute("axis", 0_i64);
        let gathered = self.target.add(gather)?;
        let dequantize = NodeDraft::new("DequantizeLinear", &node.name)
            .inputs([gathered, table.scale, table.zero_point])
            .attribute("axis", last_axis);
        self.target.define(output, dequantize)?;
        Ok(())
    }

    /// Copies a node of the source.
    ///
    /// # Errors
    /// If one of its inputs is not defined.
    pub(crate) fn keep(&mut self, id: NodeId) -> Result<(), QuantError> {
        Ok(self.target.keep(id)?)
    }

    /// Ends the graph.
    ///
    /// # Errors
    /// If an output of the source is not defined.
    pub(crate) fn finish(self) -> Result<Model, QuantError> {
        Ok(self.target.finish()?)
    }

    /// The int8 form of a site's weight.
    fn int8_weight(
        &mut self,
        site: &Site,
        channels: &Channels,
        matrix: &Matrix,
        params: &[QuantParams],
    ) -> Result<Integers, QuantError> {
        let scales: Vec<f32> = params.iter().map(|params| params.scale).collect();
        let axis = site.channel_axis;
        self.integers(site.weight, axis, ElementType::Int8, &scales, || {
            let integers = quantize_channels(channels.iter(), params);
            Tensor::from_i8(&matrix.dims, &channels.restore(integers, axis))
        })
    }

    /// The integer form of the constant `id`: the one that is written already with these scales,
    /// or that of `integers`.
    fn integers(
        &mut self,
        id: ValueId,
        axis: usize,
        element_type: ElementType,
        scales: &[f32],
        integers: impl FnOnce() -> Result<Tensor, GraphError>,
    ) -> Result<Integers, QuantError> {
        let bits = scales.iter().map(|scale| scale.to_bits()).collect();
        let key = (id, element_type, axis, bits);
        if let Some(found) = self.constants.get(&key) {
            return Ok(*found);
        }
        let name = self.source.model().graph.name_of(id);
        let channels = [scales.len() as u64];
        let zeros = vec![0_u8; scales.len() * element_type.size()];
        let zeros = Tensor::new(element_type, &channels, zeros)?;
        let scales = Tensor::from_f32(&channels, scales)?;
        let scale = self.target.constant(format!("{name}_scale"), scales)?;
        let zero_point = self.target.constant(format!("{name}_zero_point"), zeros)?;
        let written = Integers {
            scale,
            zero_point,
            integers: self.target.constant(quantized_name(name), integers()?)?,
        };
        self.constants.insert(key, written);
        Ok(written)
    }

    /// `DequantizeLinear` over a quantized constant, with one scale for each index of `axis`.
    fn dequantized(
        &mut self,
        id: ValueId,
        constant: Integers,
        axis: usize,
    ) -> Result<ValueId, QuantError> {
        if let Some(found) = self.dequantized.get(&constant.integers) {
            return Ok(*found);
        }
        let name = self.source.model().graph.name_of(id);
        let axis = i64::from(axis == 1);
        let node = NodeDraft::new("DequantizeLinear", format!("{name}/DequantizeLinear"))
            .inputs([constant.integers, constant.scale, constant.zero_point])
            .attribute("axis", axis);
        let output = self.target.add(node)?;
        self.dequantized.insert(constant.integers, output);
        Ok(output)
    }
}
