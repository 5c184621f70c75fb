//! `rtune quantize`: flags, request, printing.

use crate::console::{note, result};
use crate::exit::{GATE, usage};
use crate::flags::{ColumnFlags, Common, number, tolerance, whole};
use crate::quantization::{EvaluationRequest, QuantizationRequest, quantize};
use anyhow::Result;
use clap::{Args, builder::PossibleValuesParser};
use rtune_quant::{Percentile, RangeMethod, Scheme, Settings, WeightRange};
use std::path::PathBuf;
use std::process::ExitCode;

/// Quantize an ONNX model to static int8 and compare it with the float model
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rtune quantize --model onnx --calib train.csv --output int8
  rtune quantize --model onnx --calib texts/ --eval-data test.csv --max-metric-drop 0.01 \
--output int8
  rtune quantize --model foreign.onnx --calib tensors/ --output int8")]
pub(crate) struct Quantize {
    /// Folder of an exported model, or any .onnx file
    #[arg(long, visible_alias = "model-name-or-path", value_name = "DIR")]
    model: PathBuf,
    /// Texts to calibrate with: a .txt, .csv, .tsv, .json, .jsonl or .parquet file, or a folder of
    /// them; for any
    /// other model than a text model of rtune's, a .safetensors file for each run with a tensor for
    /// each input, or a folder of them
    #[arg(long, value_name = "PATH")]
    calib: PathBuf,
    /// Maximum number of texts or files
    #[arg(long, value_parser = whole::<usize>, default_value_t = 512, value_name = "N")]
    calib_samples: usize,
    /// Range method of the activations
    #[arg(long, default_value = "percentile", value_name = "METHOD")]
    #[arg(value_parser = PossibleValuesParser::new(RangeMethod::ALL.map(RangeMethod::name)))]
    method: String,
    /// Percentage of the values that a percentile range covers
    #[arg(long, value_parser = number, default_value_t = 99.999, value_name = "X")]
    percentile: f64,
    /// Use the full int8 range for weights; processors without VNNI may then saturate
    #[arg(long)]
    full_range_weights: bool,
    /// Leave embedding tables in float
    #[arg(long)]
    float_embeddings: bool,
    /// Labelled rows to compare the int8 model with the float one on
    #[arg(long, value_name = "FILE")]
    eval_data: Option<PathBuf>,
    /// Largest accepted drop of --metric on --eval-data, for mae, macro_mae and loss as a share of
    /// the float model's; if the drop is larger, nothing is written and the exit code is 3
    #[arg(long, value_parser = tolerance, default_value_t = 0.01, value_name = "X")]
    max_metric_drop: f64,
    /// Metric of the gate; `rtune evaluate --help` explains them [default: qwk, accuracy or mae, by
    /// task]
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// Folder to write: model.onnx, quantization.json, metadata.json, config.json and the tokenizer
    #[arg(long, visible_alias = "output-dir", value_name = "DIR")]
    output: PathBuf,
    /// Replace the output folder
    #[arg(long, visible_alias = "overwrite-output-dir")]
    force: bool,
    #[command(flatten)]
    columns: ColumnFlags,
    #[command(flatten)]
    common: Common,
}

impl Quantize {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let (report, is_written) = quantize(&self.request()?)?;
        if let Some(e) = report.evaluation.as_ref().filter(|_| !is_written) {
            result(self.common.json, &report, || report.to_string())?;
            let end = match e.gate.drop {
                Some(_) => {
                    "The metric is less noisy on more rows; --method and --calib-samples lead to \
                     other models"
                }
                None => "Other rows, or another --metric, may tell the models apart",
            };
            note(format!(
                "gate failed: {} on {} rows, and --max-metric-drop accepts {}; nothing was \
                 written. {end}",
                e.gate,
                e.float.samples,
                e.gate.limit()
            ));
            return Ok(ExitCode::from(GATE));
        }
        if report.runtime.integer.is_empty() {
            note("no product runs as integers in this runtime: the file is smaller, but no faster");
        }
        result(self.common.json, &report, || report.to_string())?;
        Ok(ExitCode::SUCCESS)
    }

    fn request(&self) -> Result<QuantizationRequest<'_>> {
        let percentile = Percentile::new(self.percentile).map_err(|_| {
            let found = self.percentile;
            usage(format!(
                "--percentile must be above 50 and at most 100, found {found}"
            ))
        })?;
        if self.calib_samples == 0 {
            return Err(usage("--calib-samples must be at least 1"));
        }
        let weight_range = if self.full_range_weights {
            WeightRange::Full
        } else {
            WeightRange::SaturationFree
        };
        Ok(QuantizationRequest {
            model: &self.model,
            calib: &self.calib,
            calib_samples: self.calib_samples,
            columns: &self.columns,
            method: self
                .method
                .parse::<RangeMethod>()?
                .with_percentile(percentile),
            settings: Settings {
                scheme: Scheme {
                    weight_range,
                    ..Scheme::default()
                },
                embeddings: !self.float_embeddings,
            },
            evaluation: self.eval_data.as_deref().map(|data| EvaluationRequest {
                data,
                metric: self.metric.as_deref(),
                max_metric_drop: self.max_metric_drop,
            }),
            output: &self.output,
            force: self.force,
            threads: self.common.threads(),
        })
    }
}
