//! `rtune export`: flags, export, printing.

use crate::console::{note, result};
use crate::data::{tokenizer_of, write_tokenizer};
use crate::exit::usage;
use crate::flags::Common;
use crate::source::Source;
use anyhow::Result;
use candle_core::Device;
use clap::{Args, builder::PossibleValuesParser};
use rtune_export::{SUPPORTED_OPSET, export};
use rtune_nn::{ModelConfig, TextModel};
use rtune_package::{Kind, Metadata, Staging, layout, sha256_file};
use rtune_task::{Decision, OutputForm, Task};
use rtune_train::check_tokenizer;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Write a fine-tuned model as ONNX with dynamic batch and sequence
#[derive(Debug, Args)]
#[command(after_help = "Example:
  rtune export --model run/final --output onnx")]
pub(crate) struct Export {
    /// Folder of a fine-tuned model
    #[arg(long, visible_alias = "model-name-or-path", value_name = "DIR")]
    model: PathBuf,
    /// Columns of the output `logits`: what the head computes, which is one score for an ordinal
    /// model, or a column for each label, whose softmax are the probabilities
    #[arg(long, default_value = "logits", value_name = "FORM")]
    #[arg(value_parser = PossibleValuesParser::new(OutputForm::ALL.map(OutputForm::name)))]
    outputs: String,
    /// Operator set of the graph
    #[arg(long, default_value_t = SUPPORTED_OPSET, value_name = "N")]
    opset: i64,
    /// Folder to write: model.onnx, metadata.json, config.json and the tokenizer
    #[arg(long, visible_alias = "output-dir", value_name = "DIR")]
    output: PathBuf,
    /// Replace the output folder
    #[arg(long, visible_alias = "overwrite-output-dir")]
    force: bool,
    #[command(flatten)]
    common: Common,
}

/// The result that `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    model: PathBuf,
    outputs: OutputForm,
    bytes: u64,
    sha256: String,
    nodes: usize,
    seconds: f64,
}

impl Export {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        self.common.threads();
        let source = Source::checkpoint(&self.model)?;
        if self.opset != SUPPORTED_OPSET {
            return Err(usage(format!(
                "--opset {}: is not supported; supported is {SUPPORTED_OPSET}",
                self.opset
            )));
        }
        let staging = Staging::new(&self.output, self.force, &[&source])?;
        let start = Instant::now();
        let model = TextModel::load_finetuned(&source, &Device::Cpu)?;
        let tokenizer = tokenizer_of(&source, model.spec())?;
        check_tokenizer(&source, &model, &tokenizer)?;
        write_tokenizer(&tokenizer, &source, staging.path())?;
        let cutpoints = model
            .scale()?
            .map(|scale| scale.cutpoints().to_vec())
            .unwrap_or_default();
        let form = self.form(&model)?;
        let tokenizer = sha256_file(&staging.path().join(layout::TOKENIZER))?;
        let metadata = Metadata {
            outputs: form,
            ..Metadata::new(model.spec(), cutpoints, model.signature(), tokenizer)
        };
        let onnx = export(&model, self.opset, form, metadata.to_properties()?)?;
        let path = staging.path().join(layout::ONNX);
        let bytes = rtune_onnx::write(&onnx, &path)?;
        let sha256 = sha256_file(&path)?;
        metadata.write(staging.path())?;
        let config = ModelConfig::read(&source)?;
        config
            .with_task(model.spec(), form)?
            .write(staging.path())?;
        staging.commit(Kind::Onnx)?;
        let report = Report {
            version: 1,
            model: self.output.join(layout::ONNX),
            outputs: form,
            bytes,
            seconds: start.elapsed().as_secs_f64(),
            sha256,
            nodes: onnx.graph.nodes().len(),
        };
        result(self.common.json, &report, || self.describe(&report))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Returns the lines for people.
    fn describe(&self, report: &Report) -> String {
        let Report {
            model,
            bytes,
            sha256,
            nodes,
            seconds,
            ..
        } = report;
        format!(
            "{}: {bytes} bytes, {nodes} nodes, opset {}, {seconds:.2} s\nsha256 {sha256}",
            model.display(),
            self.opset
        )
    }

    /// Returns the form of the outputs, and notes what other tools then answer.
    fn form(&self, model: &TextModel) -> Result<OutputForm> {
        let spec = model.spec();
        let mut forms = OutputForm::ALL.into_iter();
        let form = forms
            .find(|form| form.name() == self.outputs)
            .unwrap_or_default();
        if form == OutputForm::Probabilities && spec.task == Task::Regression {
            return Err(usage(format!(
                "--outputs {}: {} is a regression, which has no classes; remove it",
                self.outputs,
                self.model.display()
            )));
        }
        if form == OutputForm::Probabilities && spec.decision != Decision::Mode {
            note(format!(
                "note: rtune's label is the {} class of the probabilities; other tools that read \
                 `logits` answer the most probable class, which may be another",
                spec.decision
            ));
        }
        Ok(form)
    }
}
