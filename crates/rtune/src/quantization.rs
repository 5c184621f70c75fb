//! Quantization of a model folder: reads, calibrates, rewrites, measures, and writes the folder.

use crate::calibration::{CalibrationData, TextModel};
use crate::census::optimized_census;
use crate::console::{Progress, peak_rss_mb};
use crate::data::{copy_tokenizer, read_dataset};
use crate::exit::usage;
use crate::flags::ColumnFlags;
use crate::interrupt::INTERRUPT;
use crate::predictor::{BATCH_SIZE, open_onnx};
use crate::runtime;
use crate::source::Source;
use anyhow::{Context as _, Result};
use rtune_data::{Dataset, text_files};
use rtune_graph::Model;
use rtune_infer::{OutputSpec, check_tokenizer, text_signature};
use rtune_package::{Kind, Metadata, QuantizationNote, Staging, layout};
use rtune_quant::{
    Calibrator, Drift, Evaluation, GateMetric, MetricGate, Plan, QuantError, Quantizable,
    QuantizationReport, RangeMethod, Ranges, Refusal, Settings, output_drift,
};
use rtune_runtime::{Runtime, SessionOptions};
use rtune_task::{Metric, Metrics, Task};
use rtune_text::Tokenizer;
use std::collections::BTreeMap;
use std::path::Path;

/// The content of `quantization.json`, and the result that `--json` prints.
pub(crate) type Report = QuantizationReport<Metrics>;

/// A quantization to do.
#[derive(Debug)]
pub(crate) struct QuantizationRequest<'a> {
    /// A model folder or an ONNX file.
    pub(crate) model: &'a Path,
    /// Texts or safetensors files to calibrate with.
    pub(crate) calib: &'a Path,
    /// Maximum number of them; at least 1.
    pub(crate) calib_samples: usize,
    pub(crate) columns: &'a ColumnFlags,
    pub(crate) method: RangeMethod,
    pub(crate) settings: Settings,
    pub(crate) evaluation: Option<EvaluationRequest<'a>>,
    pub(crate) output: &'a Path,
    /// True if an existing output folder is replaced.
    pub(crate) force: bool,
    pub(crate) threads: usize,
}

/// A comparison of both models on labelled rows.
#[derive(Debug)]
pub(crate) struct EvaluationRequest<'a> {
    /// File with labelled rows.
    pub(crate) data: &'a Path,
    /// Metric of the gate; the task's default if `None`.
    pub(crate) metric: Option<&'a str>,
    pub(crate) max_metric_drop: f64,
}

impl EvaluationRequest<'_> {
    fn metric(&self, task: Task) -> Result<Metric> {
        let Some(name) = self.metric else {
            return Ok(Metric::default_for(task));
        };
        Metric::parse_for(task, name).map_err(|_| {
            let known = Metric::list(Metric::of_task(task));
            usage(format!(
                "--metric {name}: the task has no such metric; known are {known}"
            ))
        })
    }
}

/// Quantizes a model folder. Returns the report, and whether the output folder was written: it is
/// not if the gate of the evaluation does not hold.
pub(crate) fn quantize(request: &QuantizationRequest<'_>) -> Result<(Report, bool)> {
    let (file, folder) = Source::onnx(request.model)?;
    let evaluation = request.evaluation.as_ref();
    let mut inputs = vec![file.as_path(), request.calib];
    inputs.extend(evaluation.map(|evaluation| evaluation.data));
    let staging = Staging::new(request.output, request.force, &inputs)?;
    let of_file = || file.display().to_string();
    let source = Quantizable::new(&rtune_onnx::read(&file)?).with_context(of_file)?;
    let plan = Plan::new(&source, request.settings).with_context(of_file)?;
    check_embeddings(request, &plan, &file)?;
    let (calibration, text_model) = calibration(request, &file, &folder)?;
    let evaluation = evaluation_data(request, text_model.as_ref())?;
    let run = Run {
        runtime: runtime::load()?,
        file: &file,
        source: &source,
        calibration: &calibration,
        tokenizer: text_model.as_ref().map(|model| &model.tokenizer),
        threads: request.threads,
    };
    let ranges = run.ranges(&plan, request.method)?;
    let (int8, quantized) = plan.apply(&ranges).with_context(of_file)?;
    let metadata = text_model.as_ref().map(|model| &model.metadata);
    let bytes = write_model(request, metadata, calibration.len(), int8, staging.path())?;
    let int8_file = staging.path().join(layout::ONNX);
    copy_tokenizer(&folder, staging.path())?;
    layout::copy_files(&folder, staging.path(), &[layout::CONFIG])?;
    let report = Report {
        version: Report::VERSION,
        model: request.output.join(layout::ONNX),
        bytes,
        source_bytes: std::fs::metadata(&file).with_context(of_file)?.len(),
        method: request.method,
        saturation_free: request.settings.scheme.weight_range.is_saturation_free(),
        samples: calibration.len(),
        calibrated_with: calibration.noun(),
        ranges,
        quantized,
        runtime: optimized_census(&run.runtime, &int8_file, Some(staging.path()))?,
        output_drift: run.output_drift(&int8_file)?,
        evaluation: match evaluation {
            None => None,
            Some((evaluation, data)) => {
                let models = [(&*file, &*folder), (&*int8_file, staging.path())];
                Some(run.evaluate(evaluation, models, &data)?)
            }
        },
        peak_rss_mb: peak_rss_mb(),
    };
    if report.evaluation.as_ref().is_some_and(|e| !e.gate.holds) {
        return Ok((report, false));
    }
    let path = staging.path().join(layout::QUANTIZATION);
    std::fs::write(&path, serde_json::to_string_pretty(&report)? + "\n")
        .with_context(|| path.display().to_string())?;
    staging.commit(Kind::Onnx)?;
    Ok((report, true))
}

/// Refuses to leave embeddings in float if there are none.
fn check_embeddings(request: &QuantizationRequest<'_>, plan: &Plan<'_>, file: &Path) -> Result<()> {
    let mut left = plan.quantized().left_float.iter();
    if request.settings.embeddings || left.any(|left| left.reason == Refusal::Settings) {
        return Ok(());
    }
    Err(usage(format!(
        "--float-embeddings has no effect on {}, which has no embedding table; remove it",
        file.display()
    )))
}

/// The calibration data, and the files beside the model if they are needed or readable.
fn calibration(
    request: &QuantizationRequest<'_>,
    file: &Path,
    folder: &Path,
) -> Result<(CalibrationData, Option<TextModel>)> {
    if let Some(files) = CalibrationData::files(request.calib, request.calib_samples)? {
        // Files of tensors suffice for any model; only labelled rows need a text model. Other
        // tools' files may lie beside a foreign model, so errors in them are ignored.
        let text_model = TextModel::read(file, folder);
        let text_model = match request.evaluation {
            Some(_) => Some(text_model?),
            None => text_model.ok(),
        };
        return Ok((files, text_model));
    }
    text_files(request.calib)?;
    let text_model = TextModel::read(file, folder)?;
    let texts = CalibrationData::texts(
        request.calib,
        &request.columns.columns(),
        request.calib_samples,
        &text_model.tokenizer,
    )?;
    Ok((texts, Some(text_model)))
}

/// The labelled rows of the evaluation, if one is requested.
fn evaluation_data<'a>(
    request: &'a QuantizationRequest<'_>,
    text_model: Option<&TextModel>,
) -> Result<Option<(&'a EvaluationRequest<'a>, Dataset)>> {
    let (Some(evaluation), Some(text_model)) = (&request.evaluation, text_model) else {
        return Ok(None);
    };
    let outputs = OutputSpec::of_metadata(&text_model.metadata)?;
    evaluation.metric(outputs.task)?;
    let data = read_dataset(
        evaluation.data,
        request.columns,
        outputs.task,
        &outputs.labels,
        &text_model.tokenizer,
    )?;
    Ok(Some((evaluation, data)))
}

/// Writes the int8 model, and for a text model its metadata. Returns the size of the model's file.
fn write_model(
    request: &QuantizationRequest<'_>,
    metadata: Option<&Metadata>,
    samples: usize,
    mut int8: Model,
    folder: &Path,
) -> Result<u64> {
    if let Some(mut metadata) = metadata.cloned() {
        metadata.quantization = Some(QuantizationNote {
            method: request.method.to_string(),
            samples,
        });
        int8.metadata.extend(metadata.to_properties()?);
        metadata.write(folder)?;
    }
    Ok(rtune_onnx::write(&int8, &folder.join(layout::ONNX))?)
}

/// Runs of the float and the int8 model.
struct Run<'a> {
    runtime: Runtime,
    file: &'a Path,
    source: &'a Quantizable,
    calibration: &'a CalibrationData,
    /// The tokenizer of a text model.
    tokenizer: Option<&'a Tokenizer>,
    threads: usize,
}

impl Run<'_> {
    fn options(&self) -> SessionOptions {
        SessionOptions {
            threads: self.threads,
            ..SessionOptions::default()
        }
    }

    /// Calibrates the float model.
    fn ranges(&self, plan: &Plan<'_>, method: RangeMethod) -> Result<Ranges> {
        let tapped = rtune_onnx::encode(&plan.tapped()?)?;
        let mut session = self
            .runtime
            .open_bytes_of(self.file, &tapped, &self.options())?;
        drop(tapped);
        if let (CalibrationData::Texts { .. }, Some(tokenizer)) = (self.calibration, self.tokenizer)
        {
            let signature = text_signature(&session, self.file)?;
            check_tokenizer(&mut session, &signature, tokenizer, self.file)?;
        }
        let mut calibrator = Calibrator::new(plan);
        let mut progress = Progress::new("calibrating", self.calibration.len());
        let batches = self.calibration.batches(self.source);
        let progress = |done| progress.set(done);
        let run = calibrator.run(&mut session, batches, &INTERRUPT, progress);
        run.map_err(|error| self.of_model(error))?;
        let ranges = calibrator.ranges(method);
        ranges.map_err(|error| self.of_model(error))
    }

    /// Names the file of the model in an error about one of its tensors.
    fn of_model(&self, error: QuantError) -> anyhow::Error {
        let is_of_tensor = matches!(
            error,
            QuantError::Graph(_)
                | QuantError::Range { .. }
                | QuantError::Shape { .. }
                | QuantError::Unseen(_)
        );
        let error = anyhow::Error::new(error);
        match is_of_tensor {
            true => error.context(self.file.display().to_string()),
            false => error,
        }
    }

    /// Drift of each float output on the files of tensors; none with texts.
    fn output_drift(&self, int8: &Path) -> Result<BTreeMap<String, Drift>> {
        if let CalibrationData::Texts { .. } = self.calibration {
            return Ok(BTreeMap::new());
        }
        let mut float = self.runtime.open(self.file, &self.options())?;
        let mut int8 = self.runtime.open(int8, &self.options())?;
        let batches = self.calibration.batches(self.source);
        let outputs = self.source.float_outputs();
        Ok(output_drift(
            &mut float, &mut int8, &outputs, batches, &INTERRUPT,
        )?)
    }

    /// Compares the float and the int8 model, each a file and its folder.
    fn evaluate(
        &self,
        request: &EvaluationRequest<'_>,
        [float, int8]: [(&Path, &Path); 2],
        data: &Dataset,
    ) -> Result<Evaluation<Metrics>> {
        let logits = |(file, folder): (&Path, &Path), label| -> Result<_> {
            let predictor = open_onnx(&self.runtime, file, folder, self.threads)?;
            let mut bar = Progress::new(label, data.len());
            let rows = predictor.logits(
                &data.texts,
                BATCH_SIZE,
                &mut |done| bar.set(done),
                &INTERRUPT,
            )?;
            Ok((rows, predictor.outputs().clone()))
        };
        let (float_rows, outputs) = logits(float, "float")?;
        let (int8_rows, _) = logits(int8, "int8")?;
        let drift = Drift::of(&float_rows.concat(), &int8_rows.concat());
        let metrics = |rows: &[Vec<f32>]| outputs.metrics(rows, &data.targets);
        let (float, int8) = (metrics(&float_rows)?, metrics(&int8_rows)?);
        let metric = request.metric(outputs.task)?;
        Ok(Evaluation {
            gate: MetricGate::new(
                GateMetric {
                    name: metric.name(),
                    higher_is_better: metric.higher_is_better(),
                    is_relative: metric.is_relative(),
                },
                float.get(metric),
                int8.get(metric),
                request.max_metric_drop,
            ),
            mean_score_drift: drift.mean_abs,
            max_score_drift: drift.max_abs,
            float,
            int8,
        })
    }
}
