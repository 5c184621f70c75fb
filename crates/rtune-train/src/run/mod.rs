//! A run from files to a folder with the fine-tuned model.

mod archive;
mod data;
mod folder;
mod log;
mod report;
mod request;
mod result;

pub use report::RunReport;
pub use request::RunRequest;
pub use result::{RunResult, Split};

use crate::best::value;
use crate::inference::predictions;
use crate::{
    Callback, Evaluation, Event, Outcome, SaveHook, Saving, TrainConfig, TrainError, TrainInputs,
    Trainer, check_tokenizer, evaluate,
};
use candle_core::Device;
use data::Data;
use folder::RunFolder;
use log::{Line, LogWriter};
use rtune_interrupt::Interrupt;
use rtune_nn::{LoadReport, TextModel};
use rtune_package::{PackageError, layout};
use rtune_task::{Baseline, Metric, Metrics};
use std::path::{Path, PathBuf};

/// Fine-tunes a model and writes it to `final/` of the output folder, with checkpoints and the log
/// beside it.
///
/// An interrupted run is resumed by the same request. The output folder is locked meanwhile; a run
/// that fails before its first checkpoint leaves nothing in it. `hook` receives each complete
/// checkpoint.
///
/// # Errors
/// If the request, a file or the model cannot be used; if the output folder must not be written; if
/// training fails; or if `interrupt` is requested.
pub fn run(
    request: &RunRequest,
    device: &Device,
    hook: Option<&mut dyn SaveHook>,
    callback: &mut dyn Callback,
    interrupt: &Interrupt,
) -> Result<RunReport, TrainError> {
    let config = request.check()?;
    let mut folder = RunFolder::open(&request.output, request.force, &request.inputs())?;
    let work = Work {
        request,
        config: &config,
        device,
        interrupt,
    };
    let mut report = work.run(&mut folder, hook, callback);
    if let Err(TrainError::Interrupted { checkpoint }) = &mut report
        && checkpoint.is_none()
    {
        // Before training starts, that of an earlier start.
        *checkpoint = folder.newest_checkpoint();
    }
    if let Err(reason) = folder.close() {
        callback.on_event(&Event::NotRestored {
            output: &request.output,
            reason: &reason,
        });
    }
    report
}

/// The parts of a run that do not change.
struct Work<'a> {
    request: &'a RunRequest,
    config: &'a TrainConfig,
    device: &'a Device,
    interrupt: &'a Interrupt,
}

impl Work<'_> {
    fn run(
        &self,
        folder: &mut RunFolder,
        hook: Option<&mut dyn SaveHook>,
        callback: &mut dyn Callback,
    ) -> Result<RunReport, TrainError> {
        let source = self.request.model.as_path();
        let data = Data::read(self.request, callback, self.interrupt)?;
        let (mut model, loaded) = self.load(&data, callback)?;
        let inputs = TrainInputs {
            model: &model,
            loaded: &loaded,
            training: &data.training,
            validation: &data.validation,
            padding: data.tokenizer.padding(),
            device: self.device,
        };
        let trainer = Trainer::new(inputs, self.config)?;
        let mut outcome = self.train(&trainer, folder, hook, callback)?;
        model.set_decision(outcome.best.decision.unwrap_or_default());
        let checkpoint = outcome.checkpoint.take();
        let test = or_resumable(self.test(&model, &data), checkpoint.as_deref())?;
        if let Some(metrics) = &test {
            let step = outcome.steps;
            let written = folder.log().write(&Line::Test { step, metrics });
            written.map_err(PackageError::write(folder.log().path()))?;
        }
        let identity = std::mem::take(&mut outcome.identity);
        let report = self.report(folder.result_path(), &model, &data, outcome, test)?;
        callback.on_event(&Event::Result(&RunResult {
            folder: &self.request.output,
            report: &report,
            spec: model.spec(),
            steps: &folder.log().steps(),
            splits: &data.splits(self.request),
            tokenizer: &data.tokenizer,
            identity: &identity,
            predict: &|rows| {
                let (size, padding) = (self.config.eval_batch_size(), data.tokenizer.padding());
                predictions(&model, rows, size, padding, self.device, self.interrupt)
            },
        }));
        or_resumable(
            self.interrupt.check().map_err(Into::into),
            checkpoint.as_deref(),
        )?;
        let result = folder.result()?;
        model.save(result.path())?;
        layout::copy_files(source, result.path(), &layout::TOKENIZER_FILES)?;
        data.tokenizer.write_changed(result.path())?;
        folder.commit(result)?;
        Ok(report)
    }

    fn load(
        &self,
        data: &Data,
        callback: &mut dyn Callback,
    ) -> Result<(TextModel, LoadReport), TrainError> {
        let source = self.request.model.as_path();
        let spec = self.request.spec(data)?;
        let load = match self.request.init_head {
            true => TextModel::load_with_new_head,
            false => TextModel::load,
        };
        let (model, loaded) = load(source, &spec, self.request.settings.seed, self.device)?;
        check_tokenizer(source, &model, &data.tokenizer)?;
        callback.on_event(&Event::Loaded {
            folder: source,
            report: &loaded,
        });
        Ok((model, loaded))
    }

    fn report(
        &self,
        result: PathBuf,
        model: &TextModel,
        data: &Data,
        outcome: Outcome,
        test: Option<Metrics>,
    ) -> Result<RunReport, TrainError> {
        let metric = self.config.metric_for_best_model;
        let per_second = |count: usize| {
            let is_measured = outcome.seconds > 0.0;
            is_measured.then(|| count as f64 / outcome.seconds)
        };
        Ok(RunReport {
            version: RunReport::VERSION,
            model: result,
            steps: outcome.steps,
            best_step: outcome.best.step,
            best_metric: metric,
            best_value: best_value(metric, &outcome.history),
            parameters_with_gradient: outcome.covered_parameters,
            samples_per_second: per_second(outcome.samples),
            tokens_per_second: per_second(outcome.tokens),
            peak_rss_mb: None,
            cutpoints: match model.scale()? {
                Some(scale) => scale.cutpoints().to_vec(),
                None => Vec::new(),
            },
            targets: model.spec().targets,
            decision: outcome.best.decision,
            decisions: outcome.best.decisions,
            refit: outcome.refit,
            baseline: Baseline::all(
                model.spec().task,
                &data.labels,
                &data.training.targets,
                &data.validation.targets,
                &outcome.best.metrics,
            ),
            validation: outcome.best.metrics,
            test,
            history: outcome.history,
        })
    }

    /// Trains from the newest checkpoint, or from the start.
    fn train(
        &self,
        trainer: &Trainer<'_>,
        folder: &mut RunFolder,
        hook: Option<&mut dyn SaveHook>,
        callback: &mut dyn Callback,
    ) -> Result<Outcome, TrainError> {
        let checkpoints = folder.begin(&|checkpoints| trainer.can_resume(checkpoints), callback)?;
        let mut writer = LogWriter {
            log: folder.log(),
            callback,
        };
        let saving = Saving {
            checkpoints: &checkpoints,
            hook: hook.map(|hook| hook as &mut dyn SaveHook),
        };
        let outcome = trainer.run(Some(saving), &mut writer, self.interrupt);
        if let Err(TrainError::Diverged { .. } | TrainError::Coverage { .. }) = &outcome {
            folder.abandon()?;
        }
        outcome
    }

    /// Returns the metrics on the test rows.
    fn test(&self, model: &TextModel, data: &Data) -> Result<Option<Metrics>, TrainError> {
        let Some(test) = &data.test else {
            return Ok(None);
        };
        let (size, padding) = (self.config.eval_batch_size(), data.tokenizer.padding());
        evaluate(model, test, size, padding, self.device, self.interrupt).map(Some)
    }
}

/// Adds the last checkpoint of a run to an interruption after it.
fn or_resumable<T>(
    result: Result<T, TrainError>,
    checkpoint: Option<&Path>,
) -> Result<T, TrainError> {
    result.map_err(|error| match error {
        TrainError::Interrupted { .. } => TrainError::Interrupted {
            checkpoint: checkpoint.map(Path::to_owned),
        },
        other => other,
    })
}

/// The value that chose the best model, before the last fit.
fn best_value(metric: Metric, history: &[Evaluation]) -> Option<f64> {
    let best = history.iter().rfind(|evaluation| evaluation.best)?;
    value(metric, &best.metrics)
}
