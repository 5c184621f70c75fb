//! The inspection of a model: inputs, outputs, operators, products that become or run as integers.

use rtune_graph::{Graph, Model, ValueId, check};
use rtune_quant::{Census, LeftFloat, Plan, Quantizable, Settings};
use serde::Serialize;
use std::collections::BTreeMap;

/// The summary of a model. `--json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct InspectReport {
    version: u32,
    opsets: BTreeMap<String, i64>,
    producer: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    operators: BTreeMap<String, usize>,
    weights_bytes: usize,
    metadata: BTreeMap<String, String>,
    /// The first contradiction in the graph; the runtime may accept it.
    fault: Option<String>,
    /// The products that the runtime's own rewritten graph has; none without a runtime.
    runtime: Option<Census>,
    /// Products and lookups that a quantization would leave in float; empty for a model that is
    /// quantized already.
    left_float: Vec<LeftFloat>,
}

impl InspectReport {
    /// Summarizes a model.
    pub(crate) fn new(model: Model, runtime: Option<Census>) -> Self {
        let graph = &model.graph;
        let mut operators = BTreeMap::new();
        for (_, node) in graph.nodes() {
            *operators.entry(node.op_type.clone()).or_default() += 1;
        }
        let weights = graph.initializers().map(|(_, tensor)| tensor.bytes().len());
        let opsets = model.opsets.iter().map(|(domain, version)| {
            let domain = if domain.is_empty() { "ai.onnx" } else { domain };
            (domain.to_owned(), version)
        });
        Self {
            version: 2,
            opsets: opsets.collect(),
            producer: format!("{} {}", model.producer_name, model.producer_version),
            inputs: outlets(graph, graph.inputs()),
            outputs: outlets(graph, graph.outputs()),
            weights_bytes: weights.sum(),
            fault: check(&model).err().map(|fault| fault.to_string()),
            left_float: left_float(&model),
            operators,
            metadata: model.metadata,
            runtime,
        }
    }

    /// Returns the lines for people. `problem` is the reason why there is no runtime.
    pub(crate) fn to_text(&self, problem: Option<&str>) -> String {
        let opsets = self
            .opsets
            .iter()
            .map(|(domain, v)| format!("{domain} {v}"));
        let mut lines = vec![
            format!("producer   {}", self.producer),
            format!("opsets     {}", opsets.collect::<Vec<_>>().join(", ")),
            format!("inputs     {}", self.inputs.join(", ")),
            format!("outputs    {}", self.outputs.join(", ")),
            format!("operators  {}", counts(&self.operators)),
            format!("weights    {} bytes", self.weights_bytes),
        ];
        let metadata = self.metadata.iter();
        lines.extend(metadata.map(|(key, value)| format!("metadata   {key} = {value}")));
        let fault = self.fault.iter();
        lines.extend(fault.map(|fault| format!("fault      {fault}")));
        match &self.runtime {
            None => lines.push(format!(
                "runtime    not asked: {}",
                problem.unwrap_or("no library")
            )),
            Some(census) => {
                lines.push(format!("runtime    {}", counts(&census.operators)));
                let total = census.integer.len() + census.float.len();
                lines.push(format!(
                    "int8       {} of {total} products with constant weights run as integers",
                    census.integer.len()
                ));
                let float = census.float.iter();
                lines.extend(float.map(|weight| format!("float      {weight}")));
            }
        }
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        for left in &self.left_float {
            let reason = format!("{}: {}", left.operator, left.reason);
            *reasons.entry(reason).or_default() += 1;
        }
        let reasons = reasons.iter();
        lines.extend(reasons.map(|(reason, n)| format!("quantize   leaves {n} {reason}")));
        lines.join("\n")
    }
}

/// Returns a line for each input or output: its name, type and shape.
fn outlets(graph: &Graph, ids: &[ValueId]) -> Vec<String> {
    let line = |id: &ValueId| {
        let fact = graph.fact(*id).map_or("?".to_owned(), ToString::to_string);
        format!("{}: {fact}", graph.name_of(*id))
    };
    ids.iter().map(line).collect()
}

/// Returns the operations that the default quantization leaves in float. None if the model is
/// quantized already or has nothing to quantize.
fn left_float(model: &Model) -> Vec<LeftFloat> {
    let mut nodes = model.graph.nodes();
    if nodes.any(|(_, node)| node.is("QuantizeLinear")) {
        return Vec::new();
    }
    let Ok(source) = Quantizable::new(model) else {
        return Vec::new();
    };
    Plan::new(&source, Settings::default())
        .map(|plan| plan.quantized().left_float.clone())
        .unwrap_or_default()
}

fn counts(map: &BTreeMap<String, usize>) -> String {
    let counts = map.iter().map(|(name, n)| format!("{name} {n}"));
    counts.collect::<Vec<_>>().join(", ")
}
