use crate::checkpoints::Place;
use crate::identity::identity;
use crate::{
    AdamW, AdamWConfig, Arena, BatchTensors, Checkpoints, Gradients, LossSpec, Schedule,
    SchedulerType, Tape, TapeValue, TrainError, check_coverage, clip_global_norm, evaluate,
};
use candle_core::{Device, Tensor};
use rtune_data::Dataset;
use rtune_interrupt::Interrupt;
use rtune_kernels::cpu;
use rtune_nn::{Inputs, NnError, Param, TensorRef, TextModel, ordered_parameters};
use rtune_task::{Cutpoints, Metric, MetricError, Metrics, Task};
use rtune_text::{PaddedBatch, length_grouped};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where checkpoints go, and what the run is by.
type Saving<'a> = Option<(&'a Checkpoints, &'a Map<String, Value>)>;

/// The settings of a run, by their Hugging Face names.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)] // Hugging Face's names and meanings.
pub struct TrainConfig {
    pub num_train_epochs: f64,
    pub max_steps: Option<usize>,
    pub train_batch_size: usize,
    pub eval_batch_size: usize,
    pub gradient_accumulation_steps: usize,
    pub learning_rate: f64,
    pub head_learning_rate: f64,
    pub weight_decay: f64,
    pub warmup_ratio: f64,
    pub warmup_steps: Option<usize>,
    pub lr_scheduler_type: SchedulerType,
    pub max_grad_norm: f64,
    /// Evaluate every so many steps; at the end of each epoch where it is not given.
    pub eval_steps: Option<usize>,
    pub logging_steps: usize,
    pub metric_for_best_model: Metric,
    /// Stop after so many evaluations without a better one.
    pub early_stopping_patience: Option<usize>,
    pub class_weights: Option<Vec<f64>>,
    /// Start the cutpoints from the class frequencies; else they go on from where the checkpoint
    /// has them.
    pub initialize_cutpoints: bool,
    pub seed: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            num_train_epochs: 3.0,
            max_steps: None,
            train_batch_size: 32,
            eval_batch_size: 64,
            gradient_accumulation_steps: 1,
            learning_rate: 1e-4,
            head_learning_rate: 1e-3,
            weight_decay: 0.01,
            warmup_ratio: 0.1,
            warmup_steps: None,
            lr_scheduler_type: SchedulerType::Linear,
            max_grad_norm: 1.0,
            eval_steps: None,
            logging_steps: 50,
            metric_for_best_model: Metric::Loss,
            early_stopping_patience: None,
            class_weights: None,
            initialize_cutpoints: true,
            seed: 42,
        }
    }
}

/// The mean over the steps since the last log.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)] // The names say it all.
pub struct StepLog {
    pub step: usize,
    pub total_steps: usize,
    pub epoch: f64,
    pub loss: f64,
    pub gradient_norm: f64,
    pub learning_rate: f64,
}

/// One evaluation on the validation data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it all.
pub struct Evaluation {
    pub step: usize,
    pub epoch: f64,
    pub best: bool,
    pub metrics: Metrics,
}

/// Where a run starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Start<'a> {
    /// The checkpoint that it goes on from.
    pub checkpoint: Option<&'a Path>,
    /// Steps done.
    pub step: usize,
    /// Whether the evaluation of that step is done as well, where there is one.
    pub evaluated: bool,
    /// How often the observer has been told of a log or an evaluation up to there.
    pub logged: usize,
}

/// Is told how the run goes.
pub trait Observer {
    /// The run starts, or goes on from a checkpoint.
    fn on_start(&mut self, _start: &Start<'_>) {}
    /// A checkpoint was passed over.
    fn on_unusable_checkpoint(&mut self, _checkpoint: &Path, _problem: &str) {}
    /// One step is done.
    fn on_step(&mut self, _step: usize, _total: usize) {}
    /// Every few steps.
    fn on_log(&mut self, _log: &StepLog) {}
    /// After each evaluation.
    fn on_evaluation(&mut self, _evaluation: &Evaluation) {}
    /// A checkpoint is about to be written: what was logged so far must outlast what it outlasts.
    fn before_checkpoint(&mut self) {}
    /// A checkpoint was written.
    fn on_checkpoint(&mut self, _checkpoint: &Path) {}
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // The names say it all.
pub struct Outcome {
    pub steps: usize,
    /// Examples trained on since the start or the resumption.
    pub samples: usize,
    /// Their tokens without padding.
    pub tokens: usize,
    pub best: Evaluation,
    /// Parameters that received a finite gradient on step 1: all of them.
    pub covered_parameters: usize,
    /// The last checkpoint.
    pub checkpoint: Option<PathBuf>,
}

/// What a run works on.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)] // The names say it all.
pub struct TrainInputs<'a> {
    pub model: &'a TextModel,
    pub training: &'a Dataset,
    pub validation: &'a Dataset,
    /// The id that fills batches.
    pub padding: u32,
    pub device: &'a Device,
}

/// A run whose settings have been checked.
#[derive(Debug)]
pub struct Trainer<'a> {
    inputs: TrainInputs<'a>,
    params: Vec<&'a Param>,
    config: &'a TrainConfig,
    loss: LossSpec,
    schedule: Schedule,
    steps_per_epoch: usize,
    total_steps: usize,
    /// Memory of the steps.
    arena: Arena,
}

/// How far a run is: with the parameters and the optimizer's moments, all that its future depends
/// on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    step: usize,
    /// The step's evaluation is still to come.
    evaluation_due: bool,
    /// Evaluations since the best one.
    stale: usize,
    /// How often the observer was told of a log or an evaluation.
    logged: usize,
    window: Window,
    best: Option<Evaluation>,
}

impl State {
    fn place(&self) -> Place {
        Place {
            step: self.step,
            evaluated: !self.evaluation_due,
        }
    }
}

/// Sums since the last log.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Window {
    loss: f64,
    norm: f64,
    steps: usize,
}

/// A run under way.
struct Run {
    state: State,
    optimizer: AdamW,
    /// The parameters of the best evaluation.
    best_params: Vec<Tensor>,
    samples: usize,
    tokens: usize,
    /// The last checkpoint.
    checkpoint: Option<(Place, PathBuf)>,
}

const PARAMETERS_FILE: &str = "model.safetensors";
const MOMENTS_FILE: &str = "optimizer.safetensors";
/// Left out where the best parameters are the checkpoint's own.
const BEST_FILE: &str = "best_model.safetensors";

impl<'a> Trainer<'a> {
    /// Checks the settings.
    ///
    /// # Errors
    /// Where one does not fit.
    pub fn new(inputs: TrainInputs<'a>, config: &'a TrainConfig) -> Result<Self, TrainError> {
        let TrainInputs {
            model,
            training,
            validation,
            ..
        } = inputs;
        if training.is_empty() || validation.is_empty() {
            return Err(TrainError::Config(
                "training and validation need at least one example each".to_owned(),
            ));
        }
        Metric::parse_for(model.spec().task, config.metric_for_best_model.name())?;
        let per_step = config.train_batch_size.max(1) * config.gradient_accumulation_steps.max(1);
        let steps_per_epoch = training.len().div_ceil(per_step);
        let total_steps = config
            .max_steps
            .unwrap_or_else(|| whole(config.num_train_epochs * count(steps_per_epoch)))
            .max(1);
        let warmup = config
            .warmup_steps
            .unwrap_or_else(|| whole(config.warmup_ratio * count(total_steps)));
        Ok(Self {
            inputs,
            params: model.params(),
            config,
            loss: LossSpec::new(model.spec(), config.class_weights.clone())?,
            schedule: Schedule::new(config.lr_scheduler_type, warmup, total_steps),
            steps_per_epoch,
            total_steps,
            arena: Arena::new(),
        })
    }

    /// Whether there is a checkpoint that this run would go on from.
    ///
    /// # Errors
    /// Where there are checkpoints, but of another run, or none that is whole.
    pub fn goes_on(&self, checkpoints: &Checkpoints) -> Result<bool, TrainError> {
        let identity = identity(self.config, &self.inputs)?;
        Ok(checkpoints
            .newest::<State>(&identity, &mut |_, _| {})?
            .is_some())
    }

    /// Fine-tunes the model in place. At the end it holds the parameters of the best evaluation.
    ///
    /// With `checkpoints`, the run first goes on from the newest one that is whole, to the same
    /// end, bit by bit on a CPU, as if it had never stopped; and it leaves one at its end. The
    /// model must be as it was loaded: that is part of what a run is known by.
    ///
    /// # Errors
    /// Where a parameter receives no gradient, the loss is not finite, a checkpoint belongs to
    /// another run or cannot be written, or the observer interrupts.
    pub fn run(
        &self,
        checkpoints: Option<&Checkpoints>,
        observer: &mut dyn Observer,
        interrupt: &Interrupt,
    ) -> Result<Outcome, TrainError> {
        let identity = if checkpoints.is_some() {
            identity(self.config, &self.inputs)?
        } else {
            Map::new()
        };
        let saving = checkpoints.map(|checkpoints| (checkpoints, &identity));
        let mut run = self.begin(saving, observer)?;
        let lengths = self.inputs.training.lengths();
        loop {
            let mut result = self.epoch(&mut run, &lengths, saving, (observer, interrupt));
            if let (Err(TrainError::Interrupted { checkpoint }), true) =
                (&mut result, run.state.step > 0)
            {
                *checkpoint = self.save(&mut run, saving, observer)?;
            }
            result?;
            if self.is_over(&run.state) {
                break;
            }
        }
        let checkpoint = self.save(&mut run, saving, observer)?;
        let State { step, best, .. } = run.state;
        let Some(best) = best else {
            return Err(TrainError::Config(
                "the run ended without an evaluation".to_owned(),
            ));
        };
        for (param, value) in self.params.iter().zip(&run.best_params) {
            param.value().slice_set(value, 0, 0)?;
        }
        let (samples, tokens) = (run.samples, run.tokens);
        Ok(Outcome {
            steps: step,
            samples,
            tokens,
            best,
            covered_parameters: self.params.len(),
            checkpoint,
        })
    }

    /// A run at its start, or where its newest checkpoint has it.
    fn begin(&self, saving: Saving<'_>, observer: &mut dyn Observer) -> Result<Run, TrainError> {
        let config = AdamWConfig {
            weight_decay: self.config.weight_decay,
            ..AdamWConfig::default()
        };
        let mut run = Run {
            state: State::default(),
            optimizer: AdamW::new(config),
            best_params: Vec::new(),
            samples: 0,
            tokens: 0,
            checkpoint: None,
        };
        let saved = match saving {
            Some((checkpoints, identity)) => {
                checkpoints.newest::<State>(identity, &mut |folder, problem| {
                    observer.on_unusable_checkpoint(folder, problem);
                })?
            }
            None => None,
        };
        let Some(saved) = saved else {
            self.start_cutpoints()?;
            observer.on_start(&Start {
                checkpoint: None,
                step: 0,
                evaluated: true,
                logged: 0,
            });
            return Ok(run);
        };
        self.restore(&saved.tensors(PARAMETERS_FILE)?.unwrap_or_default())?;
        let moments = saved.tensors(MOMENTS_FILE)?.unwrap_or_default();
        run.optimizer
            .restore(saved.state.step, &self.params, moments)?;
        run.best_params = match (saved.tensors(BEST_FILE)?, &saved.state.best) {
            (Some(best), _) => self
                .params
                .iter()
                .map(|param| self.fitting(&best, param))
                .collect::<Result<_, _>>()?,
            (None, Some(_)) => self.snapshot()?,
            (None, None) => Vec::new(),
        };
        let Place { step, evaluated } = saved.state.place();
        let logged = saved.state.logged;
        observer.on_start(&Start {
            checkpoint: Some(&saved.folder),
            step,
            evaluated,
            logged,
        });
        if let Some((checkpoints, _)) = saving {
            checkpoints.prune(saved.state.place());
        }
        run.checkpoint = Some((saved.state.place(), saved.folder));
        run.state = saved.state;
        Ok(run)
    }

    fn restore(&self, tensors: &BTreeMap<String, Tensor>) -> Result<(), TrainError> {
        for param in &self.params {
            param
                .value()
                .slice_set(&self.fitting(tensors, param)?, 0, 0)?;
        }
        Ok(())
    }

    fn fitting(
        &self,
        tensors: &BTreeMap<String, Tensor>,
        param: &Param,
    ) -> Result<Tensor, TrainError> {
        match tensors
            .get(param.name())
            .filter(|tensor| tensor.shape() == param.value().shape())
        {
            Some(tensor) => Ok(tensor.to_device(self.inputs.device)?),
            None => Err(NnError::config(
                param.name(),
                "is missing from the checkpoint, or has another shape",
            )
            .into()),
        }
    }

    /// Writes a checkpoint, unless this place of the run has one already.
    fn save(
        &self,
        run: &mut Run,
        saving: Saving<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Option<PathBuf>, TrainError> {
        let Some((checkpoints, identity)) = saving else {
            return Ok(None);
        };
        let place = run.state.place();
        if let Some((_, path)) = run.checkpoint.as_ref().filter(|(saved, _)| *saved == place) {
            return Ok(Some(path.clone()));
        }
        observer.before_checkpoint();
        let parameters = self
            .params
            .iter()
            .map(|p| (p.name().to_owned(), TensorRef::Tensor(p.value())))
            .collect();
        let mut files = vec![
            (PARAMETERS_FILE, parameters),
            (MOMENTS_FILE, run.optimizer.moments()),
        ];
        if run
            .state
            .best
            .as_ref()
            .is_some_and(|best| best.step != place.step)
        {
            let best = self.params.iter().zip(&run.best_params);
            files.push((
                BEST_FILE,
                best.map(|(p, value)| (p.name().to_owned(), TensorRef::Tensor(value)))
                    .collect(),
            ));
        }
        let path = checkpoints.save(place, identity, &run.state, &files)?;
        observer.on_checkpoint(&path);
        run.checkpoint = Some((place, path.clone()));
        Ok(Some(path))
    }

    /// Trains to the end of the epoch that the run is in.
    fn epoch(
        &self,
        run: &mut Run,
        lengths: &[usize],
        saving: Saving<'_>,
        (observer, interrupt): (&mut dyn Observer, &Interrupt),
    ) -> Result<(), TrainError> {
        let (epoch, done) = (
            run.state.step / self.steps_per_epoch,
            run.state.step % self.steps_per_epoch,
        );
        let batches = length_grouped(
            lengths,
            self.config.train_batch_size,
            self.config.seed,
            epoch as u64,
        );
        // A checkpoint may have been written between a step and its evaluation.
        self.evaluate_if_due(run, observer, interrupt)?;
        for group in batches
            .chunks(self.config.gradient_accumulation_steps.max(1))
            .skip(done)
        {
            if self.is_over(&run.state) {
                break;
            }
            interrupt.check()?;
            self.advance(run, group, lengths, observer)?;
            self.evaluate_if_due(run, observer, interrupt)?;
            if saving.is_some_and(|(checkpoints, _)| {
                run.state.step.is_multiple_of(checkpoints.save_steps.max(1))
            }) {
                self.save(run, saving, observer)?;
            }
        }
        Ok(())
    }

    fn is_over(&self, state: &State) -> bool {
        let patience_is_over = self
            .config
            .early_stopping_patience
            .is_some_and(|patience| state.stale >= patience.max(1));
        state.step >= self.total_steps || patience_is_over
    }

    /// One step, and its line in the log.
    fn advance(
        &self,
        run: &mut Run,
        group: &[Vec<usize>],
        lengths: &[usize],
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let factor = self.schedule.factor(run.state.step);
        let step = run.state.step + 1;
        let optimizer = &mut run.optimizer;
        let (loss, norm) = cpu::in_pool(|| self.step(step, group, factor, optimizer))?;
        run.samples += group.iter().map(Vec::len).sum::<usize>();
        run.tokens += group.iter().flatten().map(|i| lengths[*i]).sum::<usize>();
        let state = &mut run.state;
        state.step = step;
        state.evaluation_due = self.evaluates_after(step);
        let Window {
            loss: losses,
            norm: norms,
            steps,
        } = state.window;
        state.window = Window {
            loss: losses + loss,
            norm: norms + norm,
            steps: steps + 1,
        };
        observer.on_step(step, self.total_steps);
        if step.is_multiple_of(self.config.logging_steps.max(1)) || step == self.total_steps {
            state.logged += 1;
            observer.on_log(&self.log(step, factor, &std::mem::take(&mut state.window)));
        }
        Ok(())
    }

    fn evaluate_if_due(
        &self,
        run: &mut Run,
        observer: &mut dyn Observer,
        interrupt: &Interrupt,
    ) -> Result<(), TrainError> {
        if !run.state.evaluation_due {
            return Ok(());
        }
        // The evaluation and the copy of the best parameters need memory of their own.
        self.arena.clear();
        let evaluation = self.evaluate(&run.state, interrupt)?;
        run.state.evaluation_due = false;
        run.state.logged += 1;
        observer.on_evaluation(&evaluation);
        run.state.stale = if evaluation.best {
            0
        } else {
            run.state.stale + 1
        };
        if evaluation.best {
            run.best_params = self.snapshot()?;
            run.state.best = Some(evaluation);
        }
        Ok(())
    }

    /// Cutpoints begin where a score of 0 gives each class its frequency in the training data.
    fn start_cutpoints(&self) -> Result<(), TrainError> {
        if !self.config.initialize_cutpoints {
            return Ok(());
        }
        let spec = self.inputs.model.spec();
        let (Task::Ordinal, Some(param)) = (spec.task, self.inputs.model.head().cutpoints()) else {
            return Ok(());
        };
        let classes = spec.labels.len();
        // One more of each class than there are, so that none has no room at all.
        let mut counts = vec![1.0; classes];
        self.inputs
            .training
            .targets
            .iter()
            .filter_map(|t| t.class())
            .for_each(|class| counts[class] += 1.0);
        let total: f64 = counts.iter().sum();
        let mut below = 0.0;
        let cutpoints: Vec<f64> = counts[..classes - 1]
            .iter()
            .map(|c| {
                below += c;
                spec.link.quantile(below / total)
            })
            .collect();
        let values = match spec.cutpoints {
            Cutpoints::Ordered => ordered_parameters(&cutpoints),
            Cutpoints::Clipped => cutpoints,
        };
        self.set_cutpoints(param, &values)
    }

    fn set_cutpoints(&self, param: &Param, values: &[f64]) -> Result<(), TrainError> {
        #[allow(clippy::cast_possible_truncation)] // Parameters are in single precision.
        let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
        Ok(param
            .value()
            .slice_set(&Tensor::new(values, self.inputs.device)?, 0, 0)?)
    }

    /// One update from a group of batches; returns the mean loss and the gradient norm.
    fn step(
        &self,
        step: usize,
        group: &[Vec<usize>],
        factor: f64,
        optimizer: &mut AdamW,
    ) -> Result<(f64, f64), TrainError> {
        let mut sum: Option<Gradients> = None;
        let mut loss = 0.0;
        for (index, indices) in group.iter().enumerate() {
            let dropout_step =
                (step * self.config.gradient_accumulation_steps.max(1) + index) as u64;
            let (batch_loss, gradients) = self.gradients(indices, dropout_step)?;
            if !batch_loss.is_finite() {
                return Err(TrainError::Diverged {
                    step,
                    loss: batch_loss,
                });
            }
            loss += batch_loss / count(group.len());
            sum = Some(match sum {
                None => gradients,
                Some(mut sum) => {
                    for (name, gradient) in gradients {
                        let total = match sum.remove(&name) {
                            Some(other) => other.plus(gradient, &self.arena)?,
                            None => gradient,
                        };
                        sum.insert(name, total);
                    }
                    sum
                }
            });
        }
        let gradients = sum.unwrap_or_default();
        if step == 1 {
            check_coverage(&self.params, &gradients, step)?;
            // The first batch is the longest, and the optimizer is about to allocate its moments.
            self.arena.clear();
        }
        // Accumulated gradients are sums; the mean takes its share here.
        let share = 1.0 / count(group.len());
        let (norm, clip) = clip_global_norm(&gradients, self.config.max_grad_norm / share)?;
        if !norm.is_finite() {
            return Err(TrainError::Diverged { step, loss });
        }
        let (rate, head_rate) = (
            self.config.learning_rate * factor,
            self.config.head_learning_rate * factor,
        );
        optimizer.step(&self.params, &gradients, rate, head_rate, clip * share)?;
        self.clip_cutpoints()?;
        Ok((loss, norm * share))
    }

    fn gradients(
        &self,
        indices: &[usize],
        dropout_step: u64,
    ) -> Result<(f64, Gradients), TrainError> {
        let batch = PaddedBatch::new(
            indices.iter().map(|i| &self.inputs.training.texts[*i]),
            self.inputs.padding,
        );
        let tensors = BatchTensors::new(&batch, self.inputs.device)?;
        let tape = Tape::with_dropout(self.config.seed, dropout_step).in_arena(&self.arena);
        let ids = TapeValue::constant(tensors.input_ids);
        let types = TapeValue::constant(tensors.token_type_ids);
        let inputs = Inputs::new(&tape, ids, Some(types), &tensors.sequences);
        let logits = self.inputs.model.forward(&inputs)?.into_value();
        let targets: Vec<_> = indices
            .iter()
            .map(|i| self.inputs.training.targets[*i])
            .collect();
        let (loss, value) = self
            .loss
            .on_tape(&tape, self.inputs.model, &logits, &targets)?;
        Ok((value, tape.backward(&loss)?))
    }

    /// The clipping setting makes cutpoints ascending again after each update.
    fn clip_cutpoints(&self) -> Result<(), TrainError> {
        let (Cutpoints::Clipped, Some(param)) = (
            self.inputs.model.spec().cutpoints,
            self.inputs.model.head().cutpoints(),
        ) else {
            return Ok(());
        };
        let mut values: Vec<f64> = param
            .value()
            .to_vec1::<f32>()?
            .into_iter()
            .map(f64::from)
            .collect();
        for index in 1..values.len() {
            values[index] = values[index].max(values[index - 1] + 1e-3);
        }
        self.set_cutpoints(param, &values)
    }

    fn log(&self, step: usize, factor: f64, window: &Window) -> StepLog {
        StepLog {
            step,
            total_steps: self.total_steps,
            epoch: count(step) / count(self.steps_per_epoch),
            loss: window.loss / count(window.steps.max(1)),
            gradient_norm: window.norm / count(window.steps.max(1)),
            learning_rate: self.config.learning_rate * factor,
        }
    }

    fn evaluates_after(&self, step: usize) -> bool {
        step.is_multiple_of(
            self.config
                .eval_steps
                .unwrap_or(self.steps_per_epoch)
                .max(1),
        ) || step == self.total_steps
    }

    fn evaluate(&self, state: &State, interrupt: &Interrupt) -> Result<Evaluation, TrainError> {
        let TrainInputs {
            model,
            validation,
            padding,
            device,
            ..
        } = self.inputs;
        let step = state.step;
        let metrics = evaluate(
            model,
            validation,
            self.config.eval_batch_size,
            padding,
            device,
            interrupt,
        )?;
        if !metrics.loss.is_finite() {
            return Err(TrainError::Diverged {
                step,
                loss: metrics.loss,
            });
        }
        let metric = self.config.metric_for_best_model;
        let task = model.spec().task;
        let value = metrics.get(metric).ok_or_else(|| MetricError::NotOfTask {
            name: metric.to_string(),
            task,
        })?;
        let best = state
            .best
            .as_ref()
            .and_then(|best| best.metrics.get(metric));
        let better = best.is_none_or(|best| metric.is_better(value, best));
        Ok(Evaluation {
            step,
            epoch: count(step) / count(self.steps_per_epoch),
            best: better,
            metrics,
        })
    }

    fn snapshot(&self) -> Result<Vec<Tensor>, TrainError> {
        self.params.iter().map(|p| Ok(p.value().copy()?)).collect()
    }
}

#[allow(clippy::cast_precision_loss)] // Counts are far below 2⁵³.
fn count(n: usize) -> f64 {
    n as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Step counts are small and positive.
fn whole(steps: f64) -> usize {
    steps.ceil().max(0.0) as usize
}
