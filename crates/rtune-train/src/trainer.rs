use crate::{
    AdamW, AdamWConfig, BatchTensors, Gradients, LossSpec, Metrics, Schedule, SchedulerType, Tape, TapeValue,
    TrainError, check_coverage, clip_global_norm, predict,
};
use candle_core::{Device, Tensor};
use rtune_data::Dataset;
use rtune_nn::{Inputs, Model, Param, ordered_parameters};
use rtune_package::{Cutpoints, Prediction, Task};
use rtune_text::{PaddedBatch, length_grouped};
use serde::Serialize;

/// The settings of a run, by their Hugging Face names.
#[derive(Debug, Clone, PartialEq)]
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
    pub metric_for_best_model: String,
    /// Stop after so many evaluations without a better one.
    pub early_stopping_patience: Option<usize>,
    pub class_weights: Option<Vec<f64>>,
    /// Start the cutpoints from the class frequencies; else they go on from where the checkpoint has them.
    pub initialize_cutpoints: bool,
    pub seed: u64,
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
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)] // The names say it all.
pub struct Evaluation {
    pub step: usize,
    pub epoch: f64,
    pub best: bool,
    pub metrics: Metrics,
}

/// Is told how the run goes.
pub trait Observer {
    /// One step is done.
    fn on_step(&mut self, _step: usize, _total: usize) {}
    /// Every few steps.
    fn on_log(&mut self, _log: &StepLog) {}
    /// After each evaluation.
    fn on_evaluation(&mut self, _evaluation: &Evaluation) {}
    /// Whether to stop before the next step.
    fn interrupted(&self) -> bool {
        false
    }
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // The names say it all.
pub struct Outcome {
    pub steps: usize,
    pub samples: usize,
    pub tokens: usize,
    pub best: Evaluation,
    /// Parameters that received a finite gradient on step 1: all of them.
    pub covered_parameters: usize,
}

/// Fine-tunes `model` in place. At the end it holds the parameters of the best evaluation.
///
/// # Errors
/// Where a setting does not fit, a parameter receives no gradient, the loss is not finite, or the observer interrupts.
pub fn train(
    model: &Model,
    training: &Dataset,
    validation: &Dataset,
    padding: u32,
    config: &TrainConfig,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    Run::new(model, training, validation, padding, config, device)?.train(observer)
}

struct Run<'a> {
    model: &'a Model,
    params: Vec<&'a Param>,
    training: &'a Dataset,
    validation: &'a Dataset,
    padding: u32,
    config: &'a TrainConfig,
    device: &'a Device,
    loss: LossSpec,
    schedule: Schedule,
    steps_per_epoch: usize,
    total_steps: usize,
}

/// Sums since the last log.
#[derive(Default)]
struct Window {
    loss: f64,
    norm: f64,
    steps: usize,
}

struct Best {
    evaluation: Evaluation,
    params: Vec<Tensor>,
}

impl<'a> Run<'a> {
    fn new(
        model: &'a Model,
        training: &'a Dataset,
        validation: &'a Dataset,
        padding: u32,
        config: &'a TrainConfig,
        device: &'a Device,
    ) -> Result<Self, TrainError> {
        if training.is_empty() || validation.is_empty() {
            return Err(TrainError::Config("training and validation need at least one example each".to_owned()));
        }
        if !Metrics::NAMES.contains(&config.metric_for_best_model.as_str()) {
            let problem =
                format!("unknown metric `{}`; known are {}", config.metric_for_best_model, Metrics::NAMES.join(", "));
            return Err(TrainError::Config(problem));
        }
        let per_step = config.train_batch_size.max(1) * config.gradient_accumulation_steps.max(1);
        let steps_per_epoch = training.len().div_ceil(per_step);
        let total_steps =
            config.max_steps.unwrap_or_else(|| whole(config.num_train_epochs * count(steps_per_epoch))).max(1);
        let warmup = config.warmup_steps.unwrap_or_else(|| whole(config.warmup_ratio * count(total_steps)));
        Ok(Self {
            model,
            params: model.params(),
            training,
            validation,
            padding,
            config,
            device,
            loss: LossSpec::new(model.spec(), config.class_weights.clone())?,
            schedule: Schedule::new(config.lr_scheduler_type, warmup, total_steps),
            steps_per_epoch,
            total_steps,
        })
    }

    fn train(&self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        self.start_cutpoints()?;
        let lengths = self.training.lengths();
        let mut optimizer =
            AdamW::new(AdamWConfig { weight_decay: self.config.weight_decay, ..AdamWConfig::default() });
        let (mut step, mut samples, mut tokens, mut stale) = (0, 0, 0, 0);
        let mut window = Window::default();
        let mut best: Option<Best> = None;
        'run: for epoch in 0.. {
            let batches = length_grouped(&lengths, self.config.train_batch_size, self.config.seed, epoch);
            for group in batches.chunks(self.config.gradient_accumulation_steps.max(1)) {
                if observer.interrupted() {
                    return Err(TrainError::Interrupted(step));
                }
                let factor = self.schedule.factor(step);
                step += 1;
                let (loss, norm) = self.step(step, group, factor, &mut optimizer)?;
                samples += group.iter().map(Vec::len).sum::<usize>();
                tokens += group.iter().flatten().map(|i| lengths[*i]).sum::<usize>();
                window = Window { loss: window.loss + loss, norm: window.norm + norm, steps: window.steps + 1 };
                observer.on_step(step, self.total_steps);
                if step.is_multiple_of(self.config.logging_steps.max(1)) || step == self.total_steps {
                    observer.on_log(&self.log(step, factor, &std::mem::take(&mut window)));
                }
                if self.evaluates_after(step) {
                    let evaluation = self.evaluate(step, best.as_ref().map(|b| &b.evaluation))?;
                    observer.on_evaluation(&evaluation);
                    stale = if evaluation.best { 0 } else { stale + 1 };
                    if evaluation.best {
                        best = Some(Best { evaluation, params: self.snapshot()? });
                    }
                }
                let patience_is_over =
                    self.config.early_stopping_patience.is_some_and(|patience| stale >= patience.max(1));
                if step >= self.total_steps || patience_is_over {
                    break 'run;
                }
            }
        }
        let Some(best) = best else { return Err(TrainError::Config("the run ended without an evaluation".to_owned())) };
        for (param, value) in self.params.iter().zip(&best.params) {
            param.value().slice_set(value, 0, 0)?;
        }
        Ok(Outcome { steps: step, samples, tokens, best: best.evaluation, covered_parameters: self.params.len() })
    }

    /// Cutpoints begin where a score of 0 gives each class its frequency in the training data.
    fn start_cutpoints(&self) -> Result<(), TrainError> {
        if !self.config.initialize_cutpoints {
            return Ok(());
        }
        let spec = self.model.spec();
        let (Task::Ordinal, Some(param)) = (spec.task, self.model.head().cutpoints()) else { return Ok(()) };
        let classes = spec.labels.len();
        // One more of each class than there are, so that none has no room at all.
        let mut counts = vec![1.0; classes];
        self.training.targets.iter().filter_map(|t| t.class()).for_each(|class| counts[class] += 1.0);
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
        Ok(param.value().slice_set(&Tensor::new(values, self.device)?, 0, 0)?)
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
            let dropout_step = (step * self.config.gradient_accumulation_steps.max(1) + index) as u64;
            let (batch_loss, gradients) = self.gradients(indices, dropout_step)?;
            if !batch_loss.is_finite() {
                return Err(TrainError::Diverged { step, loss: batch_loss });
            }
            loss += batch_loss / count(group.len());
            sum = Some(match sum {
                None => gradients,
                Some(mut sum) => {
                    for (name, gradient) in gradients {
                        let total = match sum.remove(&name) {
                            Some(other) => (other + gradient)?,
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
        }
        // Accumulated gradients are sums; the mean takes its share here.
        let share = 1.0 / count(group.len());
        let (norm, clip) = clip_global_norm(&gradients, self.config.max_grad_norm / share)?;
        if !norm.is_finite() {
            return Err(TrainError::Diverged { step, loss });
        }
        let (rate, head_rate) = (self.config.learning_rate * factor, self.config.head_learning_rate * factor);
        optimizer.step(&self.params, &gradients, rate, head_rate, clip * share)?;
        self.clip_cutpoints()?;
        Ok((loss, norm * share))
    }

    fn gradients(&self, indices: &[usize], dropout_step: u64) -> Result<(f64, Gradients), TrainError> {
        let batch = PaddedBatch::new(indices.iter().map(|i| &self.training.texts[*i]), self.padding);
        let tensors = BatchTensors::new(&batch, self.device)?;
        let tape = Tape::with_dropout(self.config.seed, dropout_step);
        let inputs = Inputs {
            input_ids: &TapeValue::constant(tensors.input_ids),
            token_type_ids: &TapeValue::constant(tensors.token_type_ids),
            sequences: &tensors.sequences,
        };
        let logits = self.model.forward(&tape, &inputs)?;
        let targets: Vec<_> = indices.iter().map(|i| self.training.targets[*i]).collect();
        let (loss, value) = self.loss.on_tape(&tape, self.model, &logits, &targets)?;
        Ok((value, tape.backward(&loss)?))
    }

    /// The clipping setting makes cutpoints ascending again after each update.
    fn clip_cutpoints(&self) -> Result<(), TrainError> {
        let (Cutpoints::Clipped, Some(param)) = (self.model.spec().cutpoints, self.model.head().cutpoints()) else {
            return Ok(());
        };
        let mut values: Vec<f64> = param.value().to_vec1::<f32>()?.into_iter().map(f64::from).collect();
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
        step.is_multiple_of(self.config.eval_steps.unwrap_or(self.steps_per_epoch).max(1)) || step == self.total_steps
    }

    fn evaluate(&self, step: usize, best: Option<&Evaluation>) -> Result<Evaluation, TrainError> {
        let rows = predict(self.model, &self.validation.texts, self.config.eval_batch_size, self.padding, self.device)?;
        let predictions = self.predictions(&rows)?;
        let metrics = Metrics::compute(&predictions, &self.validation.targets);
        let name = &self.config.metric_for_best_model;
        let Some(value) = metrics.get(name) else {
            return Err(TrainError::Config(format!(
                "the task has no metric `{name}`; name another with --metric-for-best-model"
            )));
        };
        let better = best.and_then(|b| b.metrics.get(name)).is_none_or(|best| match Metrics::higher_is_better(name) {
            true => value > best,
            false => value < best,
        });
        Ok(Evaluation { step, epoch: count(step) / count(self.steps_per_epoch), best: better, metrics })
    }

    fn predictions(&self, rows: &[Vec<f32>]) -> Result<Vec<Prediction>, TrainError> {
        let scale = self.model.scale()?;
        Ok(rows.iter().map(|row| Prediction::from_logits(self.model.spec().task, scale.as_ref(), row)).collect())
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
