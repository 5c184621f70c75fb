//! The export of a checkpoint, or of an encoder without a head, to a folder with an ONNX model.

use crate::console::note;
use crate::data::{tokenizer_of, write_tokenizer};
use crate::exit::usage;
use crate::flags::Names;
use anyhow::Result;
use candle_core::Device;
use rtune_export::export_owned;
use rtune_nn::{ModelConfig, SentenceModules, TextModel};
use rtune_package::{Kind, Metadata, Staging, layout, sha256_file};
use rtune_task::{Cutpoints, Decision, Link, Output, OutputForm, Outputs, Pooling, Task, TaskSpec};
use rtune_train::check_tokenizer;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// An export to do.
#[derive(Debug)]
pub(crate) struct ExportRequest<'a> {
    /// The folder of a checkpoint.
    pub(crate) source: &'a Path,
    pub(crate) outputs: &'a Names,
    /// The pooling of an encoder without a head, if a flag states it.
    pub(crate) pooling: Option<Pooling>,
    /// True if the output `embedding` is scaled to length 1.
    pub(crate) normalize: bool,
    pub(crate) opset: i64,
    pub(crate) output: &'a Path,
    /// True if an existing output folder is replaced.
    pub(crate) force: bool,
}

/// The result that `--json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct ExportReport {
    version: u32,
    pub(crate) model: PathBuf,
    outputs: Outputs,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) nodes: usize,
    pub(crate) seconds: f64,
}

/// Exports a checkpoint.
pub(crate) fn run(request: &ExportRequest<'_>) -> Result<ExportReport> {
    let source = request.source;
    let list = list(request.outputs)?;
    let staging = Staging::new(request.output, request.force, &[source])?;
    let start = Instant::now();
    let mut model = load(source, &list, request.pooling)?;
    if request.normalize && !list.contains(&Output::Embedding) {
        return Err(usage(
            "--normalize has no effect without the output `embedding`; add it to --outputs, or \
             remove this",
        ));
    }
    if request.normalize {
        model.set_normalize(true);
    }
    let outputs = outputs(source, &model, list)?;
    let tokenizer = tokenizer_of(source, model.spec())?;
    check_tokenizer(source, &model, &tokenizer)?;
    write_tokenizer(&tokenizer, source, staging.path())?;
    let cutpoints = model
        .scale()?
        .map(|scale| scale.cutpoints().to_vec())
        .unwrap_or_default();
    let tokenizer = sha256_file(&staging.path().join(layout::TOKENIZER))?;
    let metadata = Metadata {
        normalize: model.is_normalized() && outputs.has(Output::Embedding),
        outputs: outputs.clone(),
        ..Metadata::new(model.spec(), cutpoints, model.signature(), tokenizer)
    };
    let spec = model.spec().clone();
    let onnx = export_owned(model, request.opset, &outputs, metadata.to_properties()?)?;
    let path = staging.path().join(layout::ONNX);
    let bytes = rtune_onnx::write(&onnx, &path)?;
    let sha256 = sha256_file(&path)?;
    metadata.write(staging.path())?;
    let config = ModelConfig::read(source)?;
    match spec.task {
        Task::Embedding => config.write(staging.path())?,
        _ => config
            .with_task(&spec, outputs.form())?
            .write(staging.path())?,
    }
    staging.commit(Kind::Onnx)?;
    Ok(ExportReport {
        version: 2,
        model: request.output.join(layout::ONNX),
        outputs,
        bytes,
        seconds: start.elapsed().as_secs_f64(),
        sha256,
        nodes: onnx.graph.nodes().len(),
    })
}

/// Returns the outputs that names stand for.
fn list(names: &Names) -> Result<Vec<Output>> {
    let of = |name: &String| {
        Output::named(name).ok_or_else(|| {
            let known = Output::ALL.map(Output::name).join(", ");
            usage(format!(
                "--outputs: there is no output `{name}`; known are {known}"
            ))
        })
    };
    names.0.iter().map(of).collect()
}

/// Returns the outputs of a model, and notes what other tools then answer.
fn outputs(source: &Path, model: &TextModel, list: Vec<Output>) -> Result<Outputs> {
    let spec = model.spec();
    let outputs = Outputs::new(spec.task, list).map_err(|error| {
        usage(format!(
            "--outputs: {}: {}; remove it",
            source.display(),
            error.problem
        ))
    })?;
    if outputs.form() == OutputForm::Probabilities && spec.decision != Decision::Mode {
        note(format!(
            "note: rtune's label is the {} class of the probabilities; other tools that read \
             `logits` answer the most probable class, which may be another",
            spec.decision
        ));
    }
    Ok(outputs)
}

/// Loads a fine-tuned model, or an encoder if the folder has no head and no output needs one.
fn load(source: &Path, list: &[Output], pooling: Option<Pooling>) -> Result<TextModel> {
    let needs_head = list.iter().any(|output| output.is_of_head());
    if !needs_head && ModelConfig::read(source)?.task()?.is_none() {
        let needs_pooling = list.contains(&Output::Embedding);
        return load_encoder(source, pooling, needs_pooling);
    }
    if pooling.is_some() {
        return Err(usage(format!(
            "--pooling has no effect on {}, whose head states it; remove it",
            source.display()
        )));
    }
    Ok(TextModel::load_finetuned(source, &Device::Cpu)?)
}

/// Loads an encoder without a head. The folder says how token vectors become one if it is of
/// sentence-transformers.
pub(crate) fn load_encoder(
    source: &Path,
    pooling: Option<Pooling>,
    needs_pooling: bool,
) -> Result<TextModel> {
    let modules = SentenceModules::read(source)?;
    let stated = modules.map(|modules| modules.pooling);
    if stated.is_none() && pooling.is_none() && needs_pooling {
        return Err(usage(format!(
            "{}: has no modules.json that says how the vectors of tokens become one; give \
             --pooling",
            source.display()
        )));
    }
    let pooling = pooling.or(stated).unwrap_or_default();
    let spec = |max_length| TaskSpec {
        task: Task::Embedding,
        labels: Vec::new(),
        pooling,
        link: Link::default(),
        cutpoints: Cutpoints::default(),
        decision: Decision::default(),
        targets: None,
        text_pairs: false,
        max_length,
    };
    let limit = modules.and_then(|modules| modules.max_length);
    let limit = match limit {
        Some(limit) => limit,
        None => TextModel::positions(source)?,
    };
    let (mut model, report) = TextModel::load(source, &spec(limit), 0, &Device::Cpu)?;
    if !report.initialized.is_empty() {
        return Err(usage(format!(
            "{}: the weights lack the pooler ({}); give --pooling mean or first",
            source.display(),
            report.initialized.join(", ")
        )));
    }
    model.set_normalize(modules.is_some_and(|modules| modules.normalize));
    Ok(model)
}
