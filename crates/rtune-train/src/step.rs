//! One update from a group of batches.

use crate::{
    AdamW, Arena, BatchTensors, Gradients, LearningRates, LossSpec, Tape, TapeValue, TrainConfig,
    TrainError, TrainInputs, check_coverage, clip_global_norm, cuda, cutpoints,
};
use rtune_kernels::cpu;
use rtune_nn::{Inputs, NnError, Param};
use rtune_text::PaddedBatch;

/// The fixed parts of all steps of a run.
pub(crate) struct StepContext<'a> {
    pub(crate) inputs: &'a TrainInputs<'a>,
    pub(crate) params: &'a [&'a Param],
    pub(crate) config: &'a TrainConfig,
    pub(crate) loss: &'a LossSpec,
    /// Memory that steps reuse.
    pub(crate) arena: &'a Arena,
}

/// The result of one step.
pub(crate) struct Step {
    /// The weighted mean of the loss over the examples.
    pub(crate) loss: f64,
    /// The weight of the examples together.
    pub(crate) weight: f64,
    /// The norm of the gradient of the loss, before clipping.
    pub(crate) norm: f64,
}

impl StepContext<'_> {
    /// Updates the parameters from a group of batches. `step` counts from 1.
    ///
    /// # Errors
    /// If the loss or a gradient is not finite, or a parameter receives no gradient on step 1.
    pub(crate) fn step(
        &self,
        step: usize,
        group: &[Vec<usize>],
        rates: LearningRates,
        optimizer: &mut AdamW,
    ) -> Result<Step, TrainError> {
        let done = cpu::in_pool(|| self.step_in_pool(step, group, rates, optimizer));
        done.map_err(|error| self.explained(error, step, group))
    }

    /// Names the batch in an error that says that memory is exhausted.
    fn explained(&self, error: TrainError, step: usize, group: &[Vec<usize>]) -> TrainError {
        match error {
            TrainError::Model(NnError::Candle(error)) if cuda::is_out_of_memory(&error) => {
                let length = |index: &usize| self.inputs.training.texts[*index].len();
                let tokens = |batch: &Vec<usize>| batch.iter().map(length).max().unwrap_or(0);
                let largest = group.iter().max_by_key(|batch| batch.len() * tokens(batch));
                TrainError::Memory {
                    step,
                    texts: largest.map_or(0, Vec::len),
                    tokens: largest.map_or(0, tokens),
                }
            }
            other => other,
        }
    }

    fn step_in_pool(
        &self,
        step: usize,
        group: &[Vec<usize>],
        rates: LearningRates,
        optimizer: &mut AdamW,
    ) -> Result<Step, TrainError> {
        let targets = group.iter().flatten();
        let targets = targets.map(|index| &self.inputs.training.targets[*index]);
        let weight = self.loss.total_weight(targets);
        let (loss, sum) = self.sum(step, group, weight)?;
        if step == 1 {
            check_coverage(self.params, &sum, step)?;
            // The first batch is the longest, and the optimizer is about to allocate its moments.
            self.arena.clear();
        }
        let (norm, clip) = clip_global_norm(&sum, self.config.max_grad_norm)?;
        if !norm.is_finite() {
            return Err(TrainError::Diverged { step, loss });
        }
        optimizer.step(self.params, &sum, rates, clip)?;
        cutpoints::clip(self.inputs.model)?;
        Ok(Step { loss, weight, norm })
    }

    /// The loss of an update, whose examples weigh `weight` together, and its gradients. Without
    /// dropout they do not depend on the division into batches.
    ///
    /// Each batch has dropout masks of its own, so with dropout two divisions draw other masks for
    /// the same example.
    fn sum(
        &self,
        step: usize,
        group: &[Vec<usize>],
        weight: f64,
    ) -> Result<(f64, Gradients), TrainError> {
        let mut sum = Gradients::new();
        let mut total = 0.0;
        for (index, batch) in group.iter().enumerate() {
            let steps = self.config.gradient_accumulation_steps.get();
            // A number that differs from batch to batch, so wrapping does no harm.
            let dropout_step = step.wrapping_mul(steps).wrapping_add(index) as u64;
            let (loss, gradients) = self.gradients(batch, weight, dropout_step)?;
            if !loss.is_finite() {
                return Err(TrainError::Diverged { step, loss });
            }
            total += loss;
            self.accumulate(&mut sum, gradients)?;
        }
        Ok((total, sum))
    }

    /// The part of one batch in the loss of an update, and its gradients.
    fn gradients(
        &self,
        batch: &[usize],
        weight: f64,
        dropout_step: u64,
    ) -> Result<(f64, Gradients), TrainError> {
        let data = self.inputs.training;
        let texts = batch.iter().map(|index| &data.texts[*index]);
        let padded = PaddedBatch::new(texts, self.inputs.padding);
        let tensors = BatchTensors::new(&padded, self.inputs.device)?;
        let tape = Tape::with_dropout(self.config.seed, dropout_step).in_arena(self.arena);
        let ids = TapeValue::constant(tensors.input_ids);
        let types = TapeValue::constant(tensors.token_type_ids);
        let inputs = Inputs::new(&tape, ids, Some(types), &tensors.sequences);
        let model = self.inputs.model;
        let logits = model.forward(&inputs)?.into_value();
        let targets: Vec<_> = batch.iter().map(|index| data.targets[*index]).collect();
        let loss = self.loss.on_tape(&tape, model, &logits, &targets, weight)?;
        let gradients = tape.backward(&loss)?;
        // Last, since it waits for the device.
        Ok((loss.array().number()?, gradients))
    }

    /// Adds gradients to a sum, by name.
    fn accumulate(&self, sum: &mut Gradients, gradients: Gradients) -> Result<(), TrainError> {
        for (name, gradient) in gradients {
            let total = match sum.remove(&name) {
                Some(before) => before.plus(gradient, self.arena)?,
                None => gradient,
            };
            sum.insert(name, total);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrainSettings;
    use candle_core::Device;
    use rtune_data::{Columns, Dataset};
    use rtune_interrupt::Interrupt;
    use rtune_nn::TextModel;
    use rtune_task::{Cutpoints, Decision, Link, Pooling, Task, TaskSpec};
    use rtune_text::Tokenizer;
    use std::path::Path;

    /// The tiny model without dropout.
    fn model_without_dropout(folder: &Path) {
        rtune_testkit::tiny_model(folder);
        let path = folder.join("config.json");
        let text = std::fs::read(&path).unwrap();
        let mut config: serde_json::Value = serde_json::from_slice(&text).unwrap();
        for field in ["hidden_dropout_prob", "attention_probs_dropout_prob"] {
            config[field] = 0.0.into();
        }
        std::fs::write(path, config.to_string()).unwrap();
    }

    fn spec(task: Task) -> TaskSpec {
        let labels = ["0", "1", "2"].map(str::to_owned);
        TaskSpec {
            task,
            labels: match task {
                Task::Regression => Vec::new(),
                _ => labels.to_vec(),
            },
            pooling: Pooling::Mean,
            link: Link::Logit,
            cutpoints: Cutpoints::Ordered,
            decision: Decision::default(),
            targets: None,
            text_pairs: false,
            max_length: 24,
        }
    }

    /// Loss and gradients of an update over ten rows, by the division into batches.
    fn updates(folder: &Path, task: Task, weights: Option<Vec<f64>>) -> Vec<(f64, Gradients)> {
        let spec = spec(task);
        let tokenizer = Tokenizer::read(folder, 24).unwrap();
        let rows = folder.join("rows.csv");
        std::fs::write(&rows, rtune_testkit::tiny_rows(10)).unwrap();
        let columns = Columns::default();
        let read = Dataset::read;
        let data = read(
            &rows,
            &columns,
            task,
            &spec.labels,
            &tokenizer,
            &Interrupt::new(),
        );
        let data = data.unwrap();
        let (model, loaded) = TextModel::load(folder, &spec, 5, &Device::Cpu).unwrap();
        let inputs = TrainInputs {
            model: &model,
            loaded: &loaded,
            training: &data,
            validation: &data,
            padding: 0,
            device: &Device::Cpu,
        };
        let config = TrainConfig::new(&TrainSettings::default(), task).unwrap();
        let context = StepContext {
            inputs: &inputs,
            params: &model.params(),
            config: &config,
            loss: &LossSpec::new(&spec, weights).unwrap(),
            arena: &Arena::new(),
        };
        let weight = context.loss.total_weight(&data.targets);
        let divisions: [&[usize]; 4] = [&[10], &[9, 1], &[1, 4, 5], &[1; 10]];
        let update = |sizes: &&[usize]| {
            let mut rows = 0..data.len();
            let batches = sizes.iter().map(|size| rows.by_ref().take(*size).collect());
            let batches: Vec<Vec<usize>> = batches.collect();
            cpu::in_pool(|| context.sum(1, &batches, weight)).unwrap()
        };
        divisions.iter().map(update).collect()
    }

    /// The property that gradient accumulation is for, tails of epochs included.
    #[test]
    fn an_update_does_not_depend_on_the_division_into_batches() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model");
        model_without_dropout(&model);
        let weights = || Some(vec![0.5, 3.0, 7.0]);
        for (task, weights) in [
            (Task::Ordinal, None),
            (Task::Ordinal, weights()),
            (Task::Classification, None),
            (Task::Classification, weights()),
            (Task::Regression, None),
        ] {
            let updates = updates(&model, task, weights);
            let (loss, gradients) = &updates[0];
            for (other, found) in &updates[1..] {
                assert!((loss - other).abs() < 1e-6, "{task:?}: {other}, not {loss}");
                for (name, expected) in gradients {
                    let expected = expected.elements().unwrap();
                    let found = found[name].elements().unwrap();
                    for (expected, found) in expected.iter().zip(found.iter()) {
                        let error = (expected - found).abs();
                        assert!(error < 1e-6 * expected.abs().max(1.0), "{task:?} {name}");
                    }
                }
            }
        }
    }
}
