//! One update from a group of batches.

use crate::{
    AdamW, Arena, BatchTensors, Gradients, LearningRates, LossSpec, Tape, TapeValue, TrainConfig,
    TrainError, TrainInputs, check_coverage, clip_global_norm, cutpoints,
};
use rtune_kernels::cpu;
use rtune_nn::{Inputs, Param};
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
    /// The mean loss over the batches.
    pub(crate) loss: f64,
    /// The norm of the mean gradient, before clipping.
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
        cpu::in_pool(|| self.step_in_pool(step, group, rates, optimizer))
    }

    fn step_in_pool(
        &self,
        step: usize,
        group: &[Vec<usize>],
        rates: LearningRates,
        optimizer: &mut AdamW,
    ) -> Result<Step, TrainError> {
        let share = 1.0 / group.len() as f64;
        let mut sum = Gradients::new();
        let mut loss = 0.0;
        for (index, batch) in group.iter().enumerate() {
            let steps = self.config.gradient_accumulation_steps.get();
            // A number that differs from batch to batch, so wrapping does no harm.
            let dropout_step = step.wrapping_mul(steps).wrapping_add(index) as u64;
            let (batch_loss, gradients) = self.gradients(batch, dropout_step)?;
            if !batch_loss.is_finite() {
                let loss = batch_loss;
                return Err(TrainError::Diverged { step, loss });
            }
            loss += batch_loss / group.len() as f64;
            self.accumulate(&mut sum, gradients)?;
        }
        if step == 1 {
            check_coverage(self.params, &sum, step)?;
            // The first batch is the longest, and the optimizer is about to allocate its moments.
            self.arena.clear();
        }
        // The sum is clipped as if it were the mean.
        let (norm, clip) = clip_global_norm(&sum, self.config.max_grad_norm / share)?;
        if !norm.is_finite() {
            return Err(TrainError::Diverged { step, loss });
        }
        optimizer.step(self.params, &sum, rates, clip * share)?;
        cutpoints::clip(self.inputs.model)?;
        Ok(Step {
            loss,
            norm: norm * share,
        })
    }

    /// The loss of one batch and its gradients.
    fn gradients(
        &self,
        batch: &[usize],
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
        let (loss, value) = self.loss.on_tape(&tape, model, &logits, &targets)?;
        Ok((value, tape.backward(&loss)?))
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
