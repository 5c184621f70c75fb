use crate::cli::{Common, DeviceFlag};
use crate::console::{peak_rss_mb, result};
use crate::data::{ColumnFlags, read_dataset};
use crate::predictor::Predictor;
use anyhow::Result;
use clap::Args;
use clap::builder::TypedValueParser as _;
use rtune_task::Metrics;
use serde::Serialize;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Measure a checkpoint or ONNX model on labelled text
#[derive(Debug, Args)]
#[command(after_help = "Example:
  rtune evaluate --model onnx --data test.csv --json")]
pub(crate) struct Evaluate {
    /// Folder of a fine-tuned model, or of an exported one
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Labelled rows: .csv, .tsv or .jsonl
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    #[command(flatten)]
    columns: ColumnFlags,
    #[arg(long, default_value = "32", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..).try_map(NonZeroU16::try_from))]
    eval_batch_size: NonZeroU16,
    #[command(flatten)]
    device: DeviceFlag,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Serialize)]
struct Report {
    model: PathBuf,
    #[serde(flatten)]
    metrics: Metrics,
    samples_per_second: f64,
    peak_rss_mb: Option<f64>,
}

impl Evaluate {
    #[allow(clippy::cast_precision_loss)] // Counts are far below 2⁵³.
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let threads = self.common.threads();
        let mut predictor = Predictor::open(&self.model, &self.device.open()?, threads)?;
        let meaning = predictor.meaning.clone();
        let data = read_dataset(
            &self.data,
            &self.columns,
            meaning.task,
            &meaning.labels,
            &predictor.tokenizer,
        )?;
        let start = Instant::now();
        let rows = predictor.logits(&data.texts, self.eval_batch_size.into(), "evaluating")?;
        let seconds = start.elapsed().as_secs_f64();
        let metrics = Metrics::compute(&meaning.predictions(&rows)?, &data.targets)?;
        let report = Report {
            model: self.model.clone(),
            metrics,
            samples_per_second: data.len() as f64 / seconds,
            peak_rss_mb: peak_rss_mb(),
        };
        result(self.common.json, &report, || {
            format!("{} texts  {}", report.metrics.samples, report.metrics)
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
