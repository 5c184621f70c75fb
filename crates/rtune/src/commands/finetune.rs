//! `rtune finetune`: flags, request, printing.

mod flags;
mod progress;
mod reports;

use crate::console::{note, peak_rss_mb, result};
use crate::exit::{Interrupted, Resumable, usage};
use crate::flags::{ColumnFlags, Common, DeviceFlag};
use crate::interrupt::INTERRUPT;
use crate::save_hook::Program;
use crate::source::Source;
use crate::spot::SpotFlags;
use anyhow::Result;
use candle_core::Device;
use clap::Args;
use flags::{ModelFlags, TrainingFlags};
use progress::Progress;
use reports::{ReportTo, Reports};
use rtune_train::{RunReport, RunRequest, SaveHook, TrainError, run};
use std::path::PathBuf;
use std::process::ExitCode;

/// Fine-tune a pretrained encoder on labelled text
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rtune finetune --model all-MiniLM-L6-v2 --train train.csv --validation validation.csv \
--output run
  rtune finetune --model M --train t.jsonl --validation v.jsonl --labels bad,fair,good --output run
  rtune finetune --model M --train nli.csv --text-column premise --text-pair-column hypothesis \
--task classification --output run
  rtune finetune --config run.toml --seed 7 --output run7")]
pub(crate) struct Finetune {
    /// Folder with config.json, model.safetensors and tokenizer.json
    #[arg(long, visible_alias = "model-name-or-path", value_name = "DIR")]
    model: PathBuf,
    /// Rows to train on: .csv, .tsv, .json, .jsonl or .parquet
    #[arg(long, visible_alias = "train-file", value_name = "FILE")]
    train: PathBuf,
    /// Rows that choose the best model [default: a tenth of the training rows]
    #[arg(long, visible_alias = "validation-file", value_name = "FILE")]
    validation: Option<PathBuf>,
    /// Rows to test the best model on
    #[arg(long, visible_alias = "test-file", value_name = "FILE")]
    test: Option<PathBuf>,
    /// Folder to write: final/, checkpoints/, metrics.jsonl and reports; an interrupted run in it
    /// is resumed
    #[arg(long, visible_alias = "output-dir", value_name = "DIR")]
    output: PathBuf,
    /// Replace a finished or another interrupted run; the same run, interrupted, is still resumed
    #[arg(long, visible_alias = "overwrite-output-dir")]
    force: bool,
    #[command(flatten)]
    columns: ColumnFlags,
    #[command(flatten)]
    task: ModelFlags,
    #[command(flatten)]
    training: TrainingFlags,
    /// Program that is run with the folder of each complete checkpoint, beside training, for
    /// example to copy it elsewhere; the end of the run waits for it
    #[arg(long, value_name = "FILE")]
    save_hook: Option<PathBuf>,
    /// Reports beside the model: html, a page with plots; tensorboard, event files; all or none
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "all",
        value_name = "KIND,.."
    )]
    report_to: Vec<ReportTo>,
    #[command(flatten)]
    spot: SpotFlags,
    #[command(flatten)]
    device: DeviceFlag,
    #[command(flatten)]
    common: Common,
}

impl Finetune {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        if self.report_to.len() > 1 && self.report_to.contains(&ReportTo::None) {
            return Err(usage("--report-to none stands alone"));
        }
        let mut request = self.request()?;
        request.check()?;
        self.common.threads();
        let device = self.device.open_for(self.training.products())?;
        request.model = Source::checkpoint(&self.model)?;
        let outcome = self.train(&request, &device)?;
        let report = RunReport {
            peak_rss_mb: peak_rss_mb(),
            ..outcome
        };
        let warnings = report
            .baseline
            .iter()
            .filter_map(|b| b.warning("validation"));
        warnings.for_each(|warning| note(format!("warning: {warning}")));
        result(self.common.json, &report, || report.to_string())?;
        Ok(ExitCode::SUCCESS)
    }

    fn train(&self, request: &RunRequest, device: &Device) -> Result<RunReport> {
        let program = self.save_hook.as_deref().map(Program::find);
        let mut program = program.transpose()?;
        let hook = program.as_mut().map(|hook| hook as &mut dyn SaveHook);
        let reports = Reports::new(&self.output, &self.report_to);
        let mut progress = Progress::new(self.spot.watch()?, reports);
        let outcome = run(request, device, hook, &mut progress, &INTERRUPT);
        progress.finish();
        outcome.map_err(interruption)
    }

    fn request(&self) -> Result<RunRequest, TrainError> {
        Ok(RunRequest {
            validation: self.validation.clone(),
            test: self.test.clone(),
            force: self.force,
            text_column: self.columns.text.text_column.clone(),
            text_pair_column: self.columns.text.text_pair_column.clone(),
            label_column: self.columns.label_column.clone(),
            delimiter: self.columns.text.delimiter,
            quotes: !self.columns.text.no_quotes,
            labels: self.task.labels.clone().map_or(Vec::new(), |names| names.0),
            init_head: self.task.init_head,
            task: self.task.task.into(),
            pooling: self.task.pooling.map(Into::into),
            link: self.task.link.into(),
            cutpoints: self.task.cutpoints.into(),
            max_length: self.task.max_length,
            settings: self.training.settings(&self.task)?,
            ..RunRequest::new(&self.model, &self.train, &self.output)
        })
    }
}

/// An interruption with its exit code, which depends on the checkpoint.
fn interruption(error: TrainError) -> anyhow::Error {
    match error {
        TrainError::Interrupted {
            checkpoint: Some(checkpoint),
        } => Resumable { checkpoint }.into(),
        TrainError::Interrupted { checkpoint: None } => Interrupted.into(),
        other => other.into(),
    }
}
