use crate::cli::Common;
use crate::console::result;
use crate::runtime;
use crate::source::Source;
use anyhow::Result;
use clap::Args;
use rtune_graph::{Model, ValueId};
use rtune_quant::{Census, census};
use rtune_runtime::{Optimization, Runtime, SessionOptions};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Show a model's inputs, outputs and operators, and which layers run as int8
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rtune inspect int8/model.onnx
  rtune inspect --graph onnx")]
pub(crate) struct Inspect {
    /// An ONNX file, or a folder that holds model.onnx
    #[arg(value_name = "FILE")]
    model: PathBuf,
    /// Print the whole graph
    #[arg(long)]
    graph: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report {
    opsets: BTreeMap<String, i64>,
    producer: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    operators: BTreeMap<String, usize>,
    weights_bytes: usize,
    metadata: BTreeMap<String, String>,
    /// What the runtime makes of it; left out where there is no runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<Census>,
}

impl Inspect {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        self.common.threads();
        let (file, _) = Source::of(&self.model)?.onnx()?;
        let model = rtune_onnx::read(&file)?;
        if self.graph && !self.common.json {
            result(false, &(), || model.to_string())?;
            return Ok(ExitCode::SUCCESS);
        }
        let (runtime, problem) = match runtime::load() {
            Ok(runtime) => (Some(optimized_census(&runtime, &file)?), None),
            Err(error) => (
                None,
                Some(crate::advice::describe(std::iter::once(&error as _))),
            ),
        };
        let report = Report::new(model, runtime);
        result(self.common.json, &report, || {
            report.to_text(problem.as_deref())
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The census of a model as the runtime rewrites it on this machine.
pub(crate) fn optimized_census(runtime: &Runtime, file: &Path) -> Result<Census> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("optimized.onnx");
    let options = SessionOptions {
        threads: 1,
        optimization: Optimization::All,
        optimized_model: Some(path.clone()),
    };
    drop(runtime.open(file, &options)?);
    Ok(census(&rtune_onnx::read(&path)?.graph))
}

impl Report {
    fn new(model: Model, runtime: Option<Census>) -> Self {
        let graph = &model.graph;
        let describe = |ids: &[ValueId]| {
            let line = |id: &ValueId| {
                let value = graph.value(*id);
                format!(
                    "{}: {}",
                    value.name,
                    graph.fact(*id).map_or("?".to_owned(), ToString::to_string)
                )
            };
            ids.iter().map(line).collect()
        };
        let mut operators = BTreeMap::new();
        for (_, node) in graph.nodes() {
            *operators.entry(node.op_type.clone()).or_default() += 1;
        }
        Self {
            producer: format!("{} {}", model.producer_name, model.producer_version),
            inputs: describe(graph.inputs()),
            outputs: describe(graph.outputs()),
            operators,
            weights_bytes: graph
                .initializers()
                .map(|(_, tensor)| tensor.bytes().len())
                .sum(),
            opsets: model
                .opsets
                .iter()
                .map(|(domain, v)| {
                    (
                        if domain.is_empty() { "ai.onnx" } else { domain }.to_owned(),
                        v,
                    )
                })
                .collect(),
            metadata: model.metadata,
            runtime,
        }
    }

    fn to_text(&self, problem: Option<&str>) -> String {
        let counts = |map: &BTreeMap<String, usize>| {
            map.iter()
                .map(|(name, n)| format!("{name} {n}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut lines = vec![
            format!("producer   {}", self.producer),
            format!(
                "opsets     {}",
                self.opsets
                    .iter()
                    .map(|(d, v)| format!("{d} {v}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            format!("inputs     {}", self.inputs.join(", ")),
            format!("outputs    {}", self.outputs.join(", ")),
            format!("operators  {}", counts(&self.operators)),
            format!("weights    {} bytes", self.weights_bytes),
        ];
        lines.extend(
            self.metadata
                .iter()
                .map(|(key, value)| format!("metadata   {key} = {value}")),
        );
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
                lines.extend(
                    census
                        .float
                        .iter()
                        .map(|weight| format!("float      {weight}")),
                );
            }
        }
        lines.join("\n")
    }
}
