//! `rtune evaluate`: flags, measurement, printing.

use crate::console::{Progress, note, peak_rss_mb, result};
use crate::data::read_dataset;
use crate::exit::usage;
use crate::flags::{ColumnFlags, Common, DeviceFlag};
use crate::predictor::AnyPredictor;
use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use rtune_infer::{EvaluationReport, OutputSpec};
use rtune_task::{Baseline, Decision, Metric, Task};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Measure a checkpoint or ONNX model on labelled text
#[derive(Debug, Args)]
#[command(after_help = help())]
pub(crate) struct Evaluate {
    /// Folder of a fine-tuned model, or of an exported one
    #[arg(long, visible_alias = "model-name-or-path", value_name = "DIR")]
    model: PathBuf,
    /// Labelled rows: .csv, .tsv, .json, .jsonl or .parquet
    #[arg(long, visible_alias = "test-file", value_name = "FILE")]
    data: PathBuf,
    #[command(flatten)]
    columns: ColumnFlags,
    #[arg(
        long,
        visible_alias = "per-device-eval-batch-size",
        default_value = "32",
        value_name = "N"
    )]
    #[arg(value_parser = clap::value_parser!(u16).range(1..).try_map(NonZeroU16::try_from))]
    eval_batch_size: NonZeroU16,
    /// Rule of an ordinal model's labels, in place of the model's own
    #[arg(long, value_name = "RULE")]
    #[arg(value_parser = PossibleValuesParser::new(Decision::ALL.map(Decision::name)))]
    decision: Option<String>,
    #[command(flatten)]
    device: DeviceFlag,
    #[command(flatten)]
    common: Common,
}

/// An example, and the metrics.
fn help() -> String {
    let mut text =
        "Example:\n  rtune evaluate --model onnx --data test.csv --json\n\nMetrics:\n".to_owned();
    for metric in Metric::all() {
        let tasks = [(Task::Ordinal, "classes"), (Task::Regression, "numbers")];
        let tasks = tasks.iter().filter(|(task, _)| metric.applies_to(*task));
        let tasks: Vec<&str> = tasks.map(|(_, name)| *name).collect();
        let better = match metric.higher_is_better() {
            true => "higher",
            false => "lower",
        };
        text += &format!(
            "  {metric:<11} {}\n{:14}{}; {better} is better; {}\n",
            metric.meaning(),
            "",
            metric.range(),
            tasks.join(", ")
        );
    }
    text + "Undefined ones, such as qwk if all rows are one class, are n/a, and null with --json."
}

impl Evaluate {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let report = self.measure()?;
        let warnings = report
            .baseline
            .iter()
            .filter_map(|b| b.warning("evaluated"));
        warnings.for_each(|warning| note(format!("warning: {warning}")));
        result(self.common.json, &report, || report.to_string())?;
        Ok(ExitCode::SUCCESS)
    }

    /// Returns the meaning of the outputs with the decision rule of the flag.
    fn with_rule(&self, outputs: &OutputSpec) -> Result<OutputSpec> {
        let mut outputs = outputs.clone();
        let Some(name) = &self.decision else {
            return Ok(outputs);
        };
        if outputs.task != Task::Ordinal {
            return Err(usage(format!(
                "--decision has no effect on {}, which is no ordinal model; remove it",
                self.model.display()
            )));
        }
        outputs.decision = name.parse()?;
        Ok(outputs)
    }

    fn measure(&self) -> Result<EvaluationReport> {
        let threads = self.common.threads();
        let predictor = AnyPredictor::open(&self.model, &self.device.open()?, threads)?;
        let outputs = self.with_rule(predictor.outputs())?;
        let data = read_dataset(
            &self.data,
            &self.columns,
            outputs.task,
            &outputs.labels,
            predictor.tokenizer(),
        )?;
        let start = Instant::now();
        let mut bar = Progress::new("evaluating", data.len());
        let mut progress = |done| bar.set(done);
        let rows = predictor.logits(&data.texts, self.eval_batch_size.into(), &mut progress)?;
        let seconds = start.elapsed().as_secs_f64();
        let metrics = outputs.metrics(&rows, &data.targets)?;
        Ok(EvaluationReport {
            version: EvaluationReport::VERSION,
            model: self.model.clone(),
            decision: (outputs.task == Task::Ordinal).then_some(outputs.decision),
            baseline: Baseline::all(
                outputs.task,
                &outputs.labels,
                &data.targets,
                &data.targets,
                &metrics,
            ),
            metrics,
            samples_per_second: data.len() as f64 / seconds,
            peak_rss_mb: peak_rss_mb(),
        })
    }
}
