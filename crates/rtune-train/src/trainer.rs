use crate::best::{Rated, Snapshot, judge};
use crate::checkpoint::{self, Position, RunIdentity};
use crate::head_start::start_head;
use crate::inference::predictions;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::refit::{Refit, refit};
use crate::saving::{Saving, Store, Surroundings};
use crate::step::StepContext;
use crate::{
    AdamW, AdamWConfig, Arena, Callback, Checkpoints, Evaluation, Event, LearningRates, LossSpec,
    Start, TrainConfig, TrainError, cutpoints, units,
};
use candle_core::Device;
use rtune_data::Dataset;
use rtune_interrupt::Interrupt;
use rtune_nn::{LoadReport, Param, TextModel};
use rtune_text::length_grouped;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

/// The model and the data of a run.
#[derive(Debug, Clone, Copy)]
pub struct TrainInputs<'a> {
    /// The model, as it was loaded.
    pub model: &'a TextModel,
    /// The report of loading it. New cutpoints start from the class frequencies; cutpoints of the
    /// checkpoint are kept.
    pub loaded: &'a LoadReport,
    /// The examples to train on.
    pub training: &'a Dataset,
    /// The examples that choose the best model.
    pub validation: &'a Dataset,
    /// The token id that pads batches.
    pub padding: u32,
    /// The device of the model.
    pub device: &'a Device,
}

impl TrainInputs<'_> {
    /// Returns whether the checkpoint had no cutpoints for the model.
    pub(crate) fn has_new_cutpoints(&self) -> bool {
        let cutpoints = self.model.head().cutpoints();
        cutpoints.is_some_and(|param| {
            let mut new = self.loaded.initialized.iter();
            new.any(|name| name == param.name())
        })
    }
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The number of steps done.
    pub steps: usize,
    /// The number of examples trained on since the start or the last resumption.
    pub samples: usize,
    /// The number of their tokens without padding.
    pub tokens: usize,
    /// The time of these steps, without evaluations and checkpoints.
    pub seconds: f64,
    /// The best evaluation, measured again after the last fit.
    pub best: Evaluation,
    /// The last fit of an ordinal model's scale.
    pub refit: Option<Refit>,
    /// All evaluations since the start of the run, in order, without the confusion matrix, the
    /// recall of each class and the rows of the rules.
    pub history: Vec<Evaluation>,
    /// The number of parameters that received a finite gradient on step 1, which is all of them.
    pub covered_parameters: usize,
    /// The last checkpoint.
    pub checkpoint: Option<PathBuf>,
    /// The settings that determine the run, and digests of its model and data, by their names;
    /// empty without checkpoints, which are identified by them.
    pub identity: Vec<(String, String)>,
}

/// A run with checked settings and inputs.
#[derive(Debug)]
pub struct Trainer<'a> {
    inputs: TrainInputs<'a>,
    params: Vec<&'a Param>,
    config: &'a TrainConfig,
    loss: LossSpec,
    plan: Plan,
    /// Memory that steps reuse.
    arena: Arena,
}

/// A run in progress.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) progress: Progress,
    pub(crate) optimizer: AdamW,
    /// The parameters of the best evaluation.
    pub(crate) best: Snapshot,
    pub(crate) samples: usize,
    pub(crate) tokens: usize,
    pub(crate) seconds: f64,
    /// The last checkpoint.
    pub(crate) checkpoint: Option<(Position, PathBuf)>,
}

impl<'a> Trainer<'a> {
    /// Checks the settings against the model and the data.
    ///
    /// # Errors
    /// If a dataset is empty, or a setting does not fit the model.
    pub fn new(inputs: TrainInputs<'a>, config: &'a TrainConfig) -> Result<Self, TrainError> {
        let examples = NonZeroUsize::new(inputs.training.len()).ok_or(TrainError::NoExamples)?;
        if inputs.validation.is_empty() {
            return Err(TrainError::NoExamples);
        }
        Ok(Self {
            params: inputs.model.params(),
            loss: LossSpec::new(inputs.model.spec(), config.class_weights.clone())?,
            plan: Plan::new(config, examples)?,
            arena: Arena::new(),
            inputs,
            config,
        })
    }

    /// Returns whether there is a checkpoint that this run would resume from.
    ///
    /// # Errors
    /// If the newest complete checkpoint belongs to another run, or all checkpoints are damaged.
    pub fn can_resume(&self, checkpoints: &Checkpoints) -> Result<bool, TrainError> {
        let identity = RunIdentity::new(self.config, &self.inputs)?;
        Ok(checkpoints.newest(&identity, &mut |_, _| {})?.is_some())
    }

    /// Fine-tunes the model in place. At the end it holds the parameters of the best evaluation.
    ///
    /// If the task has statistics of its targets, as a regression should, the model is trained in
    /// standardized units; at the end its head gives numbers in the unit of the targets. If the run
    /// fails or is interrupted, the head is left in standardized units.
    ///
    /// With `saving`, the run first resumes from the newest complete checkpoint, to the same
    /// result, bit for bit on one device, as without the interruption; and it leaves one at its
    /// end. Do not change the parameters between [`TextModel::load`] and `run`: their digest
    /// identifies the run. The end of a run, whatever it is, waits for the hook.
    ///
    /// # Errors
    /// If a parameter receives no gradient, the loss is not finite, a checkpoint belongs to another
    /// run or cannot be written, or `interrupt` is requested.
    pub fn run(
        &self,
        saving: Option<Saving<'_>>,
        callback: &mut dyn Callback,
        interrupt: &Interrupt,
    ) -> Result<Outcome, TrainError> {
        std::thread::scope(|scope| {
            let store = match saving {
                None => None,
                Some(saving) => {
                    let identity = RunIdentity::new(self.config, &self.inputs)?;
                    let limit = self.config.save_total_limit;
                    Some(Store::new(saving, identity, limit, scope)?)
                }
            };
            let mut around = Surroundings {
                store,
                callback,
                interrupt,
            };
            let outcome = self.run_in(&mut around);
            if let Some(store) = around.store {
                store.finish(around.callback);
            }
            outcome
        })
    }

    fn run_in(&self, around: &mut Surroundings<'_, '_>) -> Result<Outcome, TrainError> {
        let mut run = self.begin(around)?;
        let lengths = self.inputs.training.lengths();
        loop {
            let mut result = self.epoch(&mut run, &lengths, around);
            if let Err(TrainError::Interrupted { checkpoint }) = &mut result
                && run.progress.step > 0
            {
                *checkpoint = self.save(&mut run, around)?;
            }
            result?;
            if self.is_over(&run) {
                break;
            }
        }
        let checkpoint = self.save(&mut run, around)?;
        run.best.restore(&self.params)?;
        units::restore(self.inputs.model)?;
        let best = run.progress.best().cloned();
        let mut best = best.ok_or(TrainError::NoEvaluation)?;
        let refit = match refit(&self.inputs, self.config, &mut best, around.interrupt) {
            Err(TrainError::Interrupted { .. }) => Err(TrainError::Interrupted {
                checkpoint: checkpoint.clone(),
            }),
            refit => refit,
        }?;
        let labels = &self.inputs.model.spec().labels;
        best.metrics.sort_classes(labels);
        let mut history = run.progress.evaluations;
        history.iter_mut().for_each(Evaluation::drop_details);
        Ok(Outcome {
            steps: run.progress.step,
            samples: run.samples,
            tokens: run.tokens,
            seconds: run.seconds,
            best,
            refit,
            history,
            covered_parameters: self.params.len(),
            checkpoint,
            identity: match &around.store {
                Some(store) => store.identity.entries(),
                None => Vec::new(),
            },
        })
    }

    fn is_over(&self, run: &Run) -> bool {
        let patience = self.config.early_stopping_patience;
        run.progress.is_over(&self.plan, patience)
    }

    /// Starts the run, or resumes it from its newest checkpoint.
    fn begin(&self, around: &mut Surroundings<'_, '_>) -> Result<Run, TrainError> {
        let optimizer = AdamW::new(AdamWConfig {
            weight_decay: self.config.weight_decay,
            ..AdamWConfig::default()
        });
        let saved = match &around.store {
            None => None,
            Some(store) => store.newest(around.callback)?,
        };
        let run = match saved {
            Some(saved) => checkpoint::restore(saved, optimizer, &self.inputs, &self.params)?,
            None => {
                if self.inputs.has_new_cutpoints() {
                    cutpoints::initialize(self.inputs.model, &self.inputs.training.targets)?;
                    if self.config.head_start_rows > 0 {
                        start_head(&self.inputs, self.config, around.interrupt)?;
                    }
                }
                units::standardize(self.inputs.model, &self.inputs.loaded.head)?;
                Run {
                    progress: Progress::default(),
                    optimizer,
                    best: Snapshot::default(),
                    samples: 0,
                    tokens: 0,
                    seconds: 0.0,
                    checkpoint: None,
                }
            }
        };
        let position = run.progress.position();
        around.callback.on_event(&Event::Start(Start {
            checkpoint: run.checkpoint.as_ref().map(|(_, path)| path.as_path()),
            step: position.step,
            evaluated: position.evaluated,
            logged: run.progress.logged,
        }));
        if let (Some(store), Some((position, path))) = (&mut around.store, &run.checkpoint) {
            store.resumed(*position, path, around.callback);
        }
        Ok(run)
    }

    /// Writes a checkpoint, unless there is one of this position already.
    fn save(
        &self,
        run: &mut Run,
        around: &mut Surroundings<'_, '_>,
    ) -> Result<Option<PathBuf>, TrainError> {
        let Some(store) = &mut around.store else {
            return Ok(None);
        };
        let position = run.progress.position();
        if let Some((saved, path)) = &run.checkpoint
            && *saved == position
        {
            return Ok(Some(path.clone()));
        }
        let path = store.save(run, &self.params, around.callback)?;
        run.checkpoint = Some((position, path.clone()));
        Ok(Some(path))
    }

    /// Trains to the end of the current epoch.
    fn epoch(
        &self,
        run: &mut Run,
        lengths: &[usize],
        around: &mut Surroundings<'_, '_>,
    ) -> Result<(), TrainError> {
        let (epoch, done) = self.plan.position(run.progress.step);
        let size = self.config.train_batch_size;
        let batches = length_grouped(lengths, size, self.config.seed, epoch as u64);
        // A checkpoint may have been written between a step and its evaluation.
        self.evaluate_if_due(run, around)?;
        let groups = batches.chunks(self.config.gradient_accumulation_steps.get());
        for group in groups.skip(done) {
            if self.is_over(run) {
                break;
            }
            around.interrupt.check()?;
            self.advance(run, group, lengths, around.callback)?;
            self.evaluate_if_due(run, around)?;
            let is_due = self.plan.saves_after(run.progress.step);
            if around.interrupt.take_save_request() || is_due {
                self.save(run, around)?;
            }
        }
        Ok(())
    }

    /// Does one step and reports it.
    fn advance(
        &self,
        run: &mut Run,
        group: &[Vec<usize>],
        lengths: &[usize],
        callback: &mut dyn Callback,
    ) -> Result<(), TrainError> {
        let factor = self.plan.learning_rate_factor(run.progress.step);
        let rates = LearningRates {
            encoder: self.config.learning_rate,
            head: self.config.head_learning_rate,
            cutpoints: self.config.cutpoint_learning_rate,
        };
        let context = StepContext {
            inputs: &self.inputs,
            params: &self.params,
            config: self.config,
            loss: &self.loss,
            arena: &self.arena,
        };
        let step = run.progress.step + 1;
        let start = Instant::now();
        let mut done = context.step(step, group, rates.scaled(factor), &mut run.optimizer)?;
        run.seconds += start.elapsed().as_secs_f64();
        done.loss *= units::loss_factor(self.inputs.model);
        let indices = || group.iter().flatten();
        run.samples += indices().count();
        run.tokens += indices().map(|index| lengths[*index]).sum::<usize>();
        let rate = rates.encoder * factor;
        let log = run.progress.record_step(&self.plan, &done, rate);
        let total = self.plan.total_steps;
        callback.on_event(&Event::Step { step, total });
        if let Some(log) = log {
            callback.on_event(&Event::Log(&log));
        }
        Ok(())
    }

    fn evaluate_if_due(
        &self,
        run: &mut Run,
        around: &mut Surroundings<'_, '_>,
    ) -> Result<(), TrainError> {
        if !run.progress.evaluation_due {
            return Ok(());
        }
        let TrainInputs {
            model,
            validation,
            padding,
            device,
            ..
        } = self.inputs;
        let size = self.config.eval_batch_size;
        // The evaluation and the copy of the best parameters need memory of their own.
        self.arena.clear();
        let interrupt = around.interrupt;
        let mut predictions = predictions(model, validation, size, padding, device, interrupt)?;
        units::restore_predictions(model, &mut predictions);
        let rated = Rated::measure(self.config, model.spec(), &predictions, &validation.targets)?;
        let metric = (self.config.metric_for_best_model, model.spec().task);
        let (step, best) = (run.progress.step, run.progress.best());
        let mut evaluation = judge(metric, &self.plan, step, rated, best)?;
        let scale = model.scale()?;
        evaluation.cutpoints = scale.map_or(Vec::new(), |scale| scale.cutpoints().to_vec());
        around.callback.on_event(&Event::Evaluation(&evaluation));
        if evaluation.best {
            run.best = Snapshot::of(&self.params)?;
        }
        run.progress.record_evaluation(evaluation);
        Ok(())
    }
}
