//! `rtune export`: flags, export, printing.

use crate::console::result;
use crate::data::copy_tokenizer;
use crate::exit::usage;
use crate::flags::Common;
use crate::source::Source;
use anyhow::Result;
use candle_core::Device;
use clap::Args;
use rtune_export::{SUPPORTED_OPSET, export};
use rtune_nn::{ModelConfig, TextModel};
use rtune_package::{Kind, Metadata, Staging, layout, sha256_file};
use rtune_text::Tokenizer;
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
        let tokenizer = Tokenizer::read(&source, model.spec().max_length)?;
        check_tokenizer(&source, &model, &tokenizer)?;
        copy_tokenizer(&source, staging.path())?;
        tokenizer.write_built(staging.path())?;
        let cutpoints = model
            .scale()?
            .map(|scale| scale.cutpoints().to_vec())
            .unwrap_or_default();
        let metadata = Metadata::new(
            model.spec(),
            cutpoints,
            model.signature(),
            sha256_file(&staging.path().join(layout::TOKENIZER))?,
        );
        let onnx = export(&model, self.opset, metadata.to_properties()?)?;
        let path = staging.path().join(layout::ONNX);
        let bytes = rtune_onnx::write(&onnx, &path)?;
        let sha256 = sha256_file(&path)?;
        metadata.write(staging.path())?;
        ModelConfig::read(&source)?.write(staging.path())?;
        staging.commit(Kind::Onnx)?;
        let report = Report {
            version: 1,
            model: self.output.join(layout::ONNX),
            bytes,
            seconds: start.elapsed().as_secs_f64(),
            sha256,
            nodes: onnx.graph.nodes().len(),
        };
        result(self.common.json, &report, || {
            let Report {
                model,
                bytes,
                sha256,
                nodes,
                seconds,
                ..
            } = &report;
            format!(
                "{}: {bytes} bytes, {nodes} nodes, opset {}, {seconds:.2} s\nsha256 {sha256}",
                model.display(),
                self.opset
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
