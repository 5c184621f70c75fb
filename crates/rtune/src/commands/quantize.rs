use super::finetune::describe;
use super::inspect::optimized_census;
use crate::calibration::CalibrationData;
use crate::cli::Common;
use crate::console::{note, peak_rss_mb, result};
use crate::data::{ColumnFlags, copy_tokenizer, read_dataset};
use crate::exit::{GATE, usage};
use crate::predictor::{Meaning, Predictor};
use crate::runtime;
use crate::source::Source;
use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use rtune_data::{Dataset, text_files};
use rtune_package::{Kind, Metadata, QuantizationNote, Staging};
use rtune_quant::{
    Census, Drift, QuantizeOptions, QuantizeReport, RangeMethod, Ranges, WeightRange,
    check_quantizable, prepare, quantize,
};
use rtune_runtime::Runtime;
use rtune_task::Task;
use rtune_task::{Metric, Metrics};
use rtune_text::Tokenizer;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Quantize an ONNX model to static int8, and check what became of it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rtune quantize --model onnx --calib train.csv --output int8
  rtune quantize --model onnx --calib texts/ --eval-data test.csv --max-metric-drop 0.01 --output int8
  rtune quantize --model foreign.onnx --calib tensors/ --output int8")]
pub(crate) struct Quantize {
    /// Folder of an exported model, or any .onnx file
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Texts to calibrate with: a .txt, .csv, .tsv or .jsonl file, or a folder of them; for a model
    /// that is not of rtune, a .safetensors file for each run with a tensor for each input, or a
    /// folder of them
    #[arg(long, value_name = "PATH")]
    calib: PathBuf,
    /// Use so many of the texts or files
    #[arg(long, default_value_t = 512, value_name = "N")]
    calib_samples: usize,
    /// How ranges follow from what calibration saw
    #[arg(long, default_value = "percentile")]
    method: MethodFlag,
    /// Share of the values, in percent, that a percentile range holds
    #[arg(long, default_value_t = 99.999, value_name = "X")]
    percentile: f64,
    /// Use the full int8 range for weights; faster processors without VNNI may then saturate
    #[arg(long)]
    full_range_weights: bool,
    /// Leave embedding tables in float
    #[arg(long)]
    float_embeddings: bool,
    /// Labelled rows on which the int8 model is compared with the float one
    #[arg(long, value_name = "FILE")]
    eval_data: Option<PathBuf>,
    /// The most that --metric may get worse on --eval-data; beyond it nothing is written and the
    /// exit code is 3
    #[arg(long, default_value_t = 0.01, value_name = "X")]
    max_metric_drop: f64,
    /// The metric that the gate looks at; qwk, accuracy or mae by task where it is not given
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// Folder to write: model.onnx, quantization.json, metadata.json, config.json and the tokenizer
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Replace the output folder
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    columns: ColumnFlags,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MethodFlag {
    MinMax,
    Percentile,
}

/// What stands beside a text model of rtune's.
struct TextModel {
    metadata: Metadata,
    tokenizer: Tokenizer,
}

impl TextModel {
    fn read(file: &Path, folder: &Path) -> Result<Self> {
        let metadata = Metadata::read(folder).with_context(|| {
            format!(
                "{}: texts and labels need metadata.json beside the model; without it, give --calib .safetensors files with a tensor for each of the model's inputs",
                file.display()
            )
        })?;
        let tokenizer = Tokenizer::read(folder, metadata.spec.max_length)?;
        metadata.check_tokenizer(folder)?;
        Ok(Self {
            metadata,
            tokenizer,
        })
    }
}

/// `quantization.json`, and the result that `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    model: PathBuf,
    bytes: usize,
    source_bytes: u64,
    method: RangeMethod,
    saturation_free: bool,
    samples: usize,
    calibrated_with: &'static str,
    ranges: Ranges,
    quantized: QuantizeReport,
    /// What the runtime makes of it on the machine that quantized.
    runtime: Census,
    /// By output, on the files of tensors.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    output_drift: BTreeMap<String, Drift>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation: Option<Comparison>,
    peak_rss_mb: Option<f64>,
}

/// The int8 model against the float one on labelled text.
#[derive(Debug, Serialize)]
struct Comparison {
    metric: Metric,
    drop: f64,
    max_drop: f64,
    /// Mean and largest difference of the first output.
    mean_score_drift: f64,
    max_score_drift: f64,
    float: Metrics,
    int8: Metrics,
}

impl Quantize {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let threads = self.common.threads();
        if !(self.percentile > 50.0 && self.percentile <= 100.0) {
            return Err(usage(format!(
                "--percentile must be above 50 and at most 100, found {}",
                self.percentile
            )));
        }
        if !self.max_metric_drop.is_finite() {
            return Err(usage(format!(
                "--max-metric-drop must be a number, found {}",
                self.max_metric_drop
            )));
        }
        if self.calib_samples == 0 {
            return Err(usage("--calib-samples must be at least 1"));
        }
        let (file, folder) = Source::of(&self.model)?.onnx()?;
        let mut inputs = vec![file.as_path(), &self.calib];
        inputs.extend(self.eval_data.as_deref());
        let staging = Staging::new(&self.output, self.force, &inputs)?;
        let mut model = rtune_onnx::read(&file)?;
        prepare(&mut model)?;
        check_quantizable(&model).with_context(|| file.display().to_string())?;
        let samples = CalibrationData::samples(&self.calib, self.calib_samples)?;
        if samples.is_none() {
            text_files(&self.calib)?;
        }
        // Tensors say all that a model reads; only texts and labels need to know more of it.
        let text_model = match samples {
            // What lies beside a model that is not ours may be another tool's.
            Some(_) if self.eval_data.is_none() => TextModel::read(&file, &folder).ok(),
            _ => Some(TextModel::read(&file, &folder)?),
        };
        let calibration = match (samples, &text_model) {
            (Some(samples), _) => samples,
            (None, Some(TextModel { tokenizer, .. })) => CalibrationData::texts(
                &self.calib,
                &self.columns.text_column,
                self.calib_samples,
                tokenizer,
            )?,
            (None, None) => {
                return Err(usage(format!(
                    "{}: holds nothing to calibrate with",
                    self.calib.display()
                )));
            }
        };
        let data = match (&self.eval_data, &text_model) {
            (
                Some(path),
                Some(TextModel {
                    metadata,
                    tokenizer,
                }),
            ) => {
                let meaning = Meaning::of_metadata(metadata);
                self.metric(meaning.task)?;
                Some(read_dataset(
                    path,
                    &self.columns,
                    meaning.task,
                    &meaning.labels,
                    tokenizer,
                )?)
            }
            _ => None,
        };

        let runtime = runtime::load()?;
        let ranges = calibration.ranges(&runtime, &model, &file, self.method(), threads)?;
        let (mut int8, quantized) = quantize(&model, &ranges, self.options())
            .with_context(|| file.display().to_string())?;
        if let Some(TextModel { mut metadata, .. }) = text_model {
            let method = match self.method() {
                RangeMethod::MinMax => "min-max".to_owned(),
                RangeMethod::Percentile(percent) => format!("percentile {percent}"),
            };
            metadata.quantization = Some(QuantizationNote {
                method,
                samples: calibration.len(),
            });
            int8.metadata.extend(metadata.to_properties()?);
            metadata.write(staging.path())?;
        }
        let bytes = rtune_onnx::encode(&int8)?;
        drop(int8);
        let path = staging.path().join("model.onnx");
        std::fs::write(&path, &bytes).with_context(|| path.display().to_string())?;
        copy_tokenizer(&folder, staging.path())?;
        copy_if_there(&folder, staging.path(), "config.json")?;

        let census = optimized_census(&runtime, &path)?;
        let output_drift = calibration.drift(&runtime, &model, &file, &path, threads)?;
        drop(model);
        let evaluation = data
            .map(|data| {
                self.compare(
                    &runtime,
                    (&file, &folder),
                    &path,
                    staging.path(),
                    &data,
                    threads,
                )
            })
            .transpose()?;
        let report = Report {
            model: self.output.join("model.onnx"),
            bytes: bytes.len(),
            source_bytes: std::fs::metadata(&file).map_or(0, |m| m.len()),
            method: self.method(),
            saturation_free: !self.full_range_weights,
            samples: calibration.len(),
            calibrated_with: calibration.noun(),
            ranges,
            quantized,
            runtime: census,
            output_drift,
            evaluation,
            peak_rss_mb: peak_rss_mb(),
        };
        self.finish(staging, &report)
    }

    /// Writes the folder where the gate holds.
    fn finish(&self, staging: Staging, report: &Report) -> Result<ExitCode> {
        // Written so that a drop that is no number fails.
        let holds = |e: &Comparison| e.drop <= e.max_drop;
        if let Some(Comparison {
            metric,
            drop,
            float: Metrics { samples, .. },
            ..
        }) = report.evaluation.as_ref().filter(|e| !holds(e))
        {
            result(self.common.json, report, || report.to_text())?;
            let limit = self.max_metric_drop;
            note(format!(
                "gate failed: {metric} gets worse by {drop:.4} on {samples} rows, more than {limit}; nothing was written (more rows make the metric less noisy; --max-metric-drop, --method and --calib-samples are the levers)"
            ));
            return Ok(ExitCode::from(GATE));
        }
        let path = staging.path().join("quantization.json");
        std::fs::write(&path, serde_json::to_string_pretty(report)? + "\n")
            .with_context(|| path.display().to_string())?;
        staging.commit(Kind::Onnx)?;
        if report.runtime.integer.is_empty() {
            note("no product runs as integers in this runtime: the file is smaller, but no faster");
        }
        result(self.common.json, report, || report.to_text())?;
        Ok(ExitCode::SUCCESS)
    }

    fn method(&self) -> RangeMethod {
        match self.method {
            MethodFlag::MinMax => RangeMethod::MinMax,
            MethodFlag::Percentile => RangeMethod::Percentile(self.percentile),
        }
    }

    fn options(&self) -> QuantizeOptions {
        let weight_range = if self.full_range_weights {
            WeightRange::Full
        } else {
            WeightRange::SaturationFree
        };
        QuantizeOptions {
            weight_range,
            embeddings: !self.float_embeddings,
        }
    }

    /// The metric that the gate looks at.
    fn metric(&self, task: Task) -> Result<Metric> {
        let Some(name) = self.metric.as_deref() else {
            return Ok(Metric::default_for(task));
        };
        Metric::parse_for(task, name).map_err(|_| {
            let known = Metric::list(Metric::of_task(task));
            usage(format!(
                "--metric {name}: the task has no such metric; known are {known}"
            ))
        })
    }

    fn compare(
        &self,
        runtime: &Runtime,
        float: (&Path, &Path),
        int8: &Path,
        int8_folder: &Path,
        data: &Dataset,
        threads: usize,
    ) -> Result<Comparison> {
        let run = |file: &Path, folder: &Path, what| -> Result<(Vec<Vec<f32>>, Meaning)> {
            let mut predictor = Predictor::open_onnx(runtime, file, folder, threads)?;
            let rows = predictor.logits(&data.texts, 32, what)?;
            Ok((rows, predictor.meaning))
        };
        let (float_rows, meaning) = run(float.0, float.1, "float")?;
        let (int8_rows, _) = run(int8, int8_folder, "int8")?;
        let drifts = || {
            float_rows
                .iter()
                .zip(&int8_rows)
                .map(|(a, b)| f64::from((a[0] - b[0]).abs()))
        };
        let metrics =
            |rows: &[Vec<f32>]| Metrics::compute(&meaning.predictions(rows), &data.targets);
        let (float, int8) = (metrics(&float_rows)?, metrics(&int8_rows)?);
        let metric = self.metric(meaning.task)?;
        // Every metric of the task has a value; what is none fails the gate.
        let value = |metrics: &Metrics| metrics.get(metric).unwrap_or(f64::NAN);
        let (before, after) = (value(&float), value(&int8));
        let drop = if metric.higher_is_better() {
            before - after
        } else {
            after - before
        };
        #[allow(clippy::cast_precision_loss)] // Counts are far below 2⁵³.
        let mean = drifts().sum::<f64>() / data.len() as f64;
        Ok(Comparison {
            metric,
            drop,
            max_drop: self.max_metric_drop,
            mean_score_drift: mean,
            max_score_drift: drifts().fold(0.0, f64::max),
            float,
            int8,
        })
    }
}

fn copy_if_there(from: &Path, to: &Path, name: &str) -> Result<()> {
    let source = from.join(name);
    if source.is_file() {
        std::fs::copy(&source, to.join(name)).with_context(|| source.display().to_string())?;
    }
    Ok(())
}

impl Report {
    fn to_text(&self) -> String {
        #[allow(clippy::cast_precision_loss)]
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let total = self.runtime.integer.len() + self.runtime.float.len();
        let mut text = format!(
            "{}: {:.1} MB, was {:.1} MB\ncalibrated with {} {}\n{} of {total} products with constant weights run as integers\n",
            self.model.display(),
            megabytes(self.bytes as u64),
            megabytes(self.source_bytes),
            self.samples,
            self.calibrated_with,
            self.runtime.integer.len(),
        );
        for weight in &self.runtime.float {
            text += &format!("stays float: {weight}\n");
        }
        for (name, drift) in &self.output_drift {
            let sqnr = drift.sqnr_db.map_or_else(String::new, |sqnr| {
                format!(", signal to noise {sqnr:.1} dB")
            });
            text += &format!(
                "output {name}: mean drift {:.4}, largest {:.4}{sqnr}\n",
                drift.mean_abs, drift.max_abs
            );
            if drift.not_finite > 0 {
                text += &format!(
                    "output {name}: {} elements are finite in one model only\n",
                    drift.not_finite
                );
            }
        }
        if let Some(e) = &self.evaluation {
            text += &format!(
                "float  {}\nint8   {}\n",
                describe(&e.float),
                describe(&e.int8)
            );
            text += &format!(
                "score drift: mean {:.4}, largest {:.4}; {} worse by {:.4}\n",
                e.mean_score_drift, e.max_score_drift, e.metric, e.drop
            );
        }
        text
    }
}
