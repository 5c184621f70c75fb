use crate::cli::Common;
use crate::console::{Progress, note, result};
use crate::data::read_encoded;
use crate::exit::{GATE, usage};
use crate::predictor::{Engine, OnnxBatch, open_session};
use crate::source::Source;
use crate::{interrupt, runtime};
use anyhow::{Context as _, Result};
use candle_core::Device;
use clap::Args;
use rtune_graph::{Graph, Model as OnnxModel, passes::tap_outputs};
use rtune_nn::{Eager, TextModel};
use rtune_package::Metadata;
use rtune_runtime::{
    Comparison, Optimization, Runtime, SessionOptions, Tolerance, first_divergence,
};
use rtune_task::TextSignature;
use rtune_text::{Encoded, PaddedBatch, Tokenizer, sorted_by_length};
use rtune_train::BatchTensors;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Compare two models on real text; exit 3 where they differ, naming the first node that does
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rtune verify --reference run/final --candidate onnx --data test.csv
  rtune verify --reference onnx --candidate int8 --data test.csv --atol 0.5")]
pub(crate) struct Verify {
    /// Folder of a fine-tuned model, or of an exported one
    #[arg(long, value_name = "DIR")]
    reference: PathBuf,
    /// Folder of an exported model, or an .onnx file
    #[arg(long, value_name = "DIR")]
    candidate: PathBuf,
    /// Texts: a .txt, .csv, .tsv or .jsonl file, or a folder of them
    #[arg(long, value_name = "PATH")]
    data: PathBuf,
    /// Use so many of the texts
    #[arg(long, default_value_t = 1000, value_name = "N")]
    samples: usize,
    /// Numbers may differ by atol + rtol · |reference|
    #[arg(long, default_value_t = 1e-5, value_name = "X")]
    atol: f64,
    #[arg(long, default_value_t = 1e-5, value_name = "X")]
    rtol: f64,
    /// Column or field that holds the text
    #[arg(long, default_value = "text", value_name = "NAME")]
    text_column: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report {
    holds: bool,
    atol: f64,
    rtol: f64,
    checks: Vec<Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_diverging_node: Option<String>,
}

/// One optimization level over all batches.
#[derive(Debug, Serialize)]
struct Check {
    optimization: &'static str,
    texts: usize,
    /// Batch and sequence of each kind of batch, smallest first; the many between are not listed.
    shapes: Vec<(usize, usize)>,
    max_abs: f64,
    /// Above 1 is beyond the tolerance.
    max_ratio: f64,
    mismatches: usize,
}

impl Verify {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let threads = self.common.threads();
        if self.samples == 0 {
            return Err(usage("--samples must be at least 1"));
        }
        let tolerance = Tolerance {
            atol: self.atol,
            rtol: self.rtol,
        };
        let reference_source = Source::of(&self.reference)?;
        let (candidate_file, candidate_folder) = Source::of(&self.candidate)?.onnx()?;
        let runtime = runtime::load()?;
        let tokenizer = tokenizer(&reference_source, &candidate_folder)?;
        let texts = read_encoded(&self.data, &self.text_column, self.samples, &tokenizer)?;
        let batches = batches(&texts, &tokenizer);
        let mut reference = Reference::open(&reference_source, &runtime, threads)?;
        let expected = self.reference_outputs(&mut reference, &batches)?;

        let mut report = Report {
            holds: true,
            atol: self.atol,
            rtol: self.rtol,
            checks: Vec::new(),
            first_diverging_node: None,
        };
        for optimization in [Optimization::All, Optimization::Disabled] {
            let (session, signature) =
                open_session(&runtime, &candidate_file, threads, optimization)?;
            let mut session = Engine::Onnx { session, signature };
            let mut total = Comparison::default();
            let mut failing = None;
            let mut progress = Progress::new("verifying", batches.len());
            for (index, (batch, expected)) in batches.iter().zip(&expected).enumerate() {
                interrupt::check()?;
                let found = session.logits(batch)?.concat();
                let comparison = Comparison::of(expected, &found, tolerance);
                if !comparison.holds() && failing.is_none() {
                    failing = Some(batch);
                }
                total = total.and(comparison);
                progress.set(index + 1);
            }
            drop(progress);
            report.checks.push(Check {
                optimization: optimization.name(),
                texts: texts.len(),
                shapes: shapes(&batches),
                max_abs: total.max_abs,
                max_ratio: total.max_ratio,
                mismatches: total.mismatches,
            });
            report.holds &= total.holds();
            if let (Some(batch), None) = (failing, &report.first_diverging_node) {
                note(format!(
                    "{}: outputs differ; looking for the first node that does",
                    optimization.name()
                ));
                let values = reference.trace(batch, &runtime, &candidate_file)?;
                report.first_diverging_node = first_node(
                    &values,
                    batch,
                    &runtime,
                    &candidate_file,
                    optimization,
                    tolerance,
                    threads,
                )?;
            }
        }
        result(self.common.json, &report, || report.to_text())?;
        Ok(if report.holds {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(GATE)
        })
    }

    fn reference_outputs(
        &self,
        reference: &mut Reference,
        batches: &[PaddedBatch],
    ) -> Result<Vec<Vec<f32>>> {
        let mut progress = Progress::new("reference", batches.len());
        let mut outputs = Vec::with_capacity(batches.len());
        for (index, batch) in batches.iter().enumerate() {
            interrupt::check()?;
            outputs.push(reference.engine.logits(batch)?.concat());
            progress.set(index + 1);
        }
        Ok(outputs)
    }
}

/// The tokenizer of the reference, with the text limit of the task.
fn tokenizer(reference: &Source, candidate_folder: &Path) -> Result<Tokenizer> {
    match reference {
        Source::Checkpoint(folder) => {
            let Some(spec) = rtune_nn::ModelConfig::read(folder)?.task()? else {
                return Err(usage(format!(
                    "{}: config.json has no section `rtune`: run `rtune finetune` first",
                    folder.display()
                )));
            };
            Ok(Tokenizer::read(folder, spec.max_length)?)
        }
        Source::Onnx { folder, .. } => {
            let folder = if folder.join("tokenizer.json").is_file() {
                folder
            } else {
                candidate_folder
            };
            let metadata = Metadata::read(folder).with_context(|| {
                format!(
                    "{}: texts are needed to compare models, and so a tokenizer and metadata.json",
                    folder.display()
                )
            })?;
            Ok(Tokenizer::read(folder, metadata.spec.max_length)?)
        }
    }
}

/// One token alone, two texts at the length limit, one text alone, and all texts in batches of 32.
fn batches(texts: &[Encoded], tokenizer: &Tokenizer) -> Vec<PaddedBatch> {
    let all: Vec<u32> = texts
        .iter()
        .flat_map(|t| t.input_ids.iter().copied())
        .collect();
    let long: Vec<u32> = all
        .iter()
        .copied()
        .cycle()
        .take(tokenizer.max_length())
        .collect();
    let long = Encoded::new(long);
    let single = Encoded::new(all[..1].to_vec());
    let of = |texts: &[&Encoded]| PaddedBatch::new(texts.iter().copied(), tokenizer.padding());
    let mut batches = vec![of(&[&single]), of(&[&texts[0]]), of(&[&long, &texts[0]])];
    let lengths: Vec<usize> = texts.iter().map(Encoded::len).collect();
    let sorted = sorted_by_length(&lengths, 32);
    batches.extend(
        sorted
            .iter()
            .map(|indices| of(&indices.iter().map(|i| &texts[*i]).collect::<Vec<_>>())),
    );
    batches
}

fn shapes(batches: &[PaddedBatch]) -> Vec<(usize, usize)> {
    let mut shapes: Vec<_> = batches
        .iter()
        .map(|batch| (batch.batch, batch.sequence))
        .collect();
    shapes.sort_unstable();
    shapes.dedup();
    shapes
}

/// The model that is believed.
struct Reference {
    engine: Engine,
    onnx: Option<PathBuf>,
}

/// Values by name, in the order in which they came about.
type Trace = Vec<(String, Vec<f32>)>;

impl Reference {
    fn open(source: &Source, runtime: &Runtime, threads: usize) -> Result<Self> {
        Ok(match source {
            Source::Checkpoint(folder) => {
                let model = Box::new(TextModel::load_finetuned(folder, &Device::Cpu)?);
                Self {
                    engine: Engine::Candle {
                        model,
                        device: Device::Cpu,
                    },
                    onnx: None,
                }
            }
            Source::Onnx { file, .. } => {
                let (session, signature) =
                    open_session(runtime, file, threads, Optimization::Disabled)?;
                Self {
                    engine: Engine::Onnx { session, signature },
                    onnx: Some(file.clone()),
                }
            }
        })
    }

    /// All values that the candidate's graph knows by the same name.
    fn trace(&self, batch: &PaddedBatch, runtime: &Runtime, candidate: &Path) -> Result<Trace> {
        let graph = rtune_onnx::read(candidate)?.graph;
        match (&self.engine, &self.onnx) {
            (Engine::Candle { model, device }, _) => {
                let ops = Eager::traced();
                BatchTensors::new(batch, device)?.logits(model, &ops)?;
                let known = ops
                    .into_trace()
                    .into_iter()
                    .filter(|(name, _)| graph.find(name).is_some());
                known
                    .map(|(name, tensor)| Ok((name, tensor.flatten_all()?.to_vec1()?)))
                    .collect()
            }
            (Engine::Onnx { .. }, Some(file)) => {
                let model = rtune_onnx::read(file)?;
                let is_float = |name: &str| {
                    let known =
                        |g: &rtune_graph::Graph| g.fact(g.find(name)?).map(|f| f.element_type);
                    known(&graph) == Some(rtune_graph::ElementType::Float32)
                        && known(&model.graph) == known(&graph)
                };
                let outputs = model.graph.nodes().filter_map(|(_, node)| node.output(0));
                let names: Vec<&str> = outputs
                    .map(|id| model.graph.value(id).name.as_str())
                    .filter(|n| is_float(n))
                    .collect();
                let mut values =
                    tapped_values(&model, &names, batch, runtime, Optimization::Disabled, 1)?;
                Ok(names
                    .iter()
                    .filter_map(|name| Some(((*name).to_owned(), values.remove(*name)?)))
                    .collect())
            }
            (Engine::Onnx { .. }, None) => Ok(Vec::new()),
        }
    }
}

/// Runs a model with some of its values as outputs.
fn tapped_values(
    model: &OnnxModel,
    names: &[&str],
    batch: &PaddedBatch,
    runtime: &Runtime,
    optimization: Optimization,
    threads: usize,
) -> Result<BTreeMap<String, Vec<f32>>> {
    let bytes = rtune_onnx::encode(&tap_outputs(model, names.iter().copied())?.0)?;
    let mut session = runtime.open_bytes(
        &bytes,
        &SessionOptions {
            threads,
            optimization,
            optimized_model: None,
        },
    )?;
    let inputs = session.inputs();
    let signature = TextSignature::of_names(inputs.iter().map(|input| input.name.as_str()))?;
    let feeds = OnnxBatch::new(batch);
    let outputs = session.run(&feeds.feeds(&signature))?;
    names
        .iter()
        .map(|name| Ok(((*name).to_owned(), outputs.f32(name)?.1.to_vec())))
        .collect()
}

/// The first value that differs from the reference's, in the candidate's graph.
///
/// Bisection over the order of execution, one output at a time, so that the runtime's fusions stay
/// as they are elsewhere. Branches of a graph run side by side, so what is found may still read
/// from a value that differs: the search then goes on there, until nothing that a value reads
/// differs.
fn first_node(
    expected: &Trace,
    batch: &PaddedBatch,
    runtime: &Runtime,
    candidate: &Path,
    optimization: Optimization,
    tolerance: Tolerance,
    threads: usize,
) -> Result<Option<String>> {
    let model = rtune_onnx::read(candidate)?;
    let places: BTreeMap<&str, usize> = expected
        .iter()
        .enumerate()
        .map(|(index, (name, _))| (name.as_str(), index))
        .collect();
    let mut seen: BTreeMap<usize, bool> = BTreeMap::new();
    let mut diverges = |index: usize| -> Result<bool> {
        if let Some(known) = seen.get(&index) {
            return Ok(*known);
        }
        interrupt::check()?;
        let (name, expected) = &expected[index];
        let values = tapped_values(&model, &[name], batch, runtime, optimization, threads)?;
        // Inner values can be much larger than outputs, so the absolute part grows with them.
        let largest = expected
            .iter()
            .fold(1.0_f64, |largest, v| largest.max(f64::from(v.abs())));
        let scaled = Tolerance {
            atol: tolerance.atol * largest,
            ..tolerance
        };
        let differs = !Comparison::of(expected, &values[name], scaled).holds();
        seen.insert(index, differs);
        Ok(differs)
    };
    let Some(mut place) = first_divergence(expected.len(), &mut diverges)? else {
        return Ok(None);
    };
    'search: loop {
        for parent in traced_parents(&model.graph, &expected[place].0, &places) {
            if diverges(parent)? {
                place = parent;
                continue 'search;
            }
        }
        return Ok(Some(expected[place].0.clone()));
    }
}

/// The nearest values before a value that have a reference.
fn traced_parents(graph: &Graph, name: &str, places: &BTreeMap<&str, usize>) -> Vec<usize> {
    let mut parents = Vec::new();
    let mut open: Vec<_> = graph.find(name).into_iter().collect();
    while let Some(id) = open.pop() {
        for input in graph
            .producer(id)
            .into_iter()
            .flat_map(|id| graph.node(id).inputs.iter().flatten())
        {
            match places.get(graph.value(*input).name.as_str()) {
                Some(place) => parents.push(*place),
                None => open.push(*input),
            }
        }
    }
    parents.sort_unstable();
    parents.dedup();
    parents
}

impl Report {
    fn to_text(&self) -> String {
        let mut text = String::new();
        for check in &self.checks {
            let shapes = [check.shapes.first(), check.shapes.last()]
                .map(|s| s.map_or(String::new(), |(b, s)| format!("{b}×{s}")));
            let verdict = if check.mismatches == 0 {
                "holds".to_owned()
            } else {
                format!("fails for {} numbers", check.mismatches)
            };
            text += &format!(
                "{}: {verdict}; {} texts, {} shapes from {} to {}, largest difference {:.2e}, {:.2} of the tolerance\n",
                check.optimization,
                check.texts,
                check.shapes.len(),
                shapes[0],
                shapes[1],
                check.max_abs,
                check.max_ratio,
            );
        }
        if !self.holds {
            text += &match &self.first_diverging_node {
                Some(node) => format!("first diverging node: {node}\n"),
                None => {
                    "no single node differs beyond the tolerance; only their sum does\n".to_owned()
                }
            };
        }
        text
    }
}
