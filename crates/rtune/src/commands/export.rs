//! `rtune export`: flags, request, printing.

use crate::console::result;
use crate::exit::usage;
use crate::exporting::{self, ExportReport, ExportRequest};
use crate::flags::{Common, Names, PoolingFlag, names};
use crate::source::Source;
use anyhow::Result;
use clap::Args;
use rtune_export::SUPPORTED_OPSET;
use rtune_task::Pooling;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write a fine-tuned model, or an encoder, as ONNX with dynamic batch and sequence
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rtune export --model run/final --output onnx
  rtune export --model run/final --outputs logits,probabilities,embedding --output onnx
  rtune export --model all-MiniLM-L6-v2 --outputs embedding --output onnx")]
pub(crate) struct Export {
    /// Folder of a fine-tuned model, or of an encoder such as one of sentence-transformers
    #[arg(long, visible_alias = "model-name-or-path", value_name = "DIR")]
    model: PathBuf,
    /// Outputs in order, separated by commas: logits, what the head computes, which is one score
    /// for an ordinal model; probabilities, a column for each label, with which logits of an
    /// ordinal model are a column for each label as well; embedding, the vector of the text;
    /// last_hidden_state, the vectors of its tokens. The last two need no fine-tuned head
    #[arg(long, value_parser = names, default_value = "logits", value_name = "A,B,..")]
    outputs: Names,
    /// Reduction of token vectors to `embedding`, for an encoder without a head [default: that of
    /// modules.json]
    #[arg(long)]
    pooling: Option<PoolingFlag>,
    /// Scale `embedding` to length 1, as modules.json of an encoder may ask for by itself
    #[arg(long)]
    normalize: bool,
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
        let request = ExportRequest {
            source: &source,
            outputs: &self.outputs,
            pooling: self.pooling.map(Pooling::from),
            normalize: self.normalize,
            opset: self.opset,
            output: &self.output,
            force: self.force,
        };
        let report = exporting::run(&request)?;
        result(self.common.json, &report, || self.describe(&report))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Returns the lines for people.
    fn describe(&self, report: &ExportReport) -> String {
        let ExportReport {
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
}
