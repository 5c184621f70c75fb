use crate::{Schedule, SettingError, TrainConfig};
use std::num::NonZeroUsize;

/// Largest number of steps: above it, `f64` cannot count them.
const MAX_STEPS: f64 = 9_007_199_254_740_992.0;

/// The course of a run, fixed before its first step: the number of steps, the learning rate of
/// each, and the steps that are followed by a log or an evaluation.
///
/// Steps are counted from 1 once they are done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) steps_per_epoch: usize,
    pub(crate) total_steps: usize,
    schedule: Schedule,
    eval_steps: usize,
    logging_steps: NonZeroUsize,
    save_steps: NonZeroUsize,
}

impl Plan {
    /// Plans a run over `examples` training examples.
    ///
    /// # Errors
    /// If the epochs are more than 2⁵³ steps.
    pub(crate) fn new(config: &TrainConfig, examples: NonZeroUsize) -> Result<Self, SettingError> {
        let batch = config.train_batch_size.get();
        // Saturating is exact here: more than all examples in one step is one step.
        let per_step = batch.saturating_mul(config.gradient_accumulation_steps.get());
        let steps_per_epoch = examples.get().div_ceil(per_step);
        let total_steps = match config.max_steps {
            Some(steps) => steps.get(),
            None => steps_of_epochs(config.num_train_epochs, steps_per_epoch)?,
        };
        let warmup = config
            .warmup_steps
            .unwrap_or_else(|| (config.warmup_ratio * total_steps as f64).ceil() as usize);
        Ok(Self {
            steps_per_epoch,
            total_steps,
            schedule: Schedule::new(config.lr_scheduler_type, warmup, total_steps),
            eval_steps: config.eval_steps.map_or(steps_per_epoch, NonZeroUsize::get),
            logging_steps: config.logging_steps,
            save_steps: config.save_steps,
        })
    }

    /// The factor of the learning rates for the step after `done` steps.
    pub(crate) fn learning_rate_factor(&self, done: usize) -> f64 {
        self.schedule.factor(done)
    }

    /// The position of `step` in epochs, from 0.
    pub(crate) fn epoch(&self, step: usize) -> f64 {
        step as f64 / self.steps_per_epoch as f64
    }

    /// The epoch that the step after `done` steps belongs to, and its index in that epoch.
    pub(crate) fn position(&self, done: usize) -> (usize, usize) {
        (done / self.steps_per_epoch, done % self.steps_per_epoch)
    }

    /// Returns whether an evaluation follows `step`.
    pub(crate) fn evaluates_after(&self, step: usize) -> bool {
        step.is_multiple_of(self.eval_steps) || step == self.total_steps
    }

    /// Returns whether a log follows `step`.
    pub(crate) fn logs_after(&self, step: usize) -> bool {
        step.is_multiple_of(self.logging_steps.get()) || step == self.total_steps
    }

    /// Returns whether a checkpoint follows `step`, besides those at the end and on interruption.
    pub(crate) fn saves_after(&self, step: usize) -> bool {
        step.is_multiple_of(self.save_steps.get())
    }
}

fn steps_of_epochs(epochs: f64, steps_per_epoch: usize) -> Result<usize, SettingError> {
    let steps = (epochs * steps_per_epoch as f64).ceil();
    if steps > MAX_STEPS {
        return Err(SettingError::Number {
            setting: "num_train_epochs",
            expected: "at most 2^53 steps",
            found: epochs,
        });
    }
    Ok(steps as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrainSettings;
    use rtune_task::Task;

    fn plan(examples: usize, change: impl FnOnce(&mut TrainSettings)) -> Plan {
        let mut settings = TrainSettings {
            train_batch_size: 10,
            ..TrainSettings::default()
        };
        change(&mut settings);
        let config = TrainConfig::new(&settings, Task::Ordinal).unwrap();
        Plan::new(&config, NonZeroUsize::new(examples).unwrap()).unwrap()
    }

    #[test]
    fn the_number_of_steps_follows_from_examples_batches_and_epochs() {
        type Change = fn(&mut TrainSettings);
        let cases: [(usize, Change, usize, usize); 8] = [
            (100, |_| {}, 10, 30),
            (101, |_| {}, 11, 33),
            (1, |_| {}, 1, 3),
            (100, |s| s.num_train_epochs = 0.25, 10, 3),
            (100, |s| s.num_train_epochs = 1e-9, 10, 1),
            (100, |s| s.max_steps = Some(7), 10, 7),
            (100, |s| s.gradient_accumulation_steps = 3, 4, 12),
            (100, |s| s.gradient_accumulation_steps = usize::MAX, 1, 3),
        ];
        for (examples, change, per_epoch, total) in cases {
            let found = plan(examples, change);
            assert_eq!(
                (found.steps_per_epoch, found.total_steps),
                (per_epoch, total)
            );
        }
    }

    #[test]
    fn too_many_epochs_are_refused() {
        let settings = TrainSettings {
            num_train_epochs: 1e300,
            ..TrainSettings::default()
        };
        let config = TrainConfig::new(&settings, Task::Ordinal).unwrap();
        let error = Plan::new(&config, NonZeroUsize::MIN).unwrap_err();
        assert!(error.to_string().contains("at most 2^53 steps"), "{error}");
    }

    #[test]
    fn warmup_is_a_share_or_a_number_of_steps() {
        let rising = |plan: &Plan| {
            let factor = |step| plan.learning_rate_factor(step);
            (0..plan.total_steps)
                .take_while(|s| factor(*s) < factor(s + 1))
                .count()
        };
        assert_eq!(rising(&plan(100, |s| s.warmup_ratio = 0.1)), 3);
        assert_eq!(rising(&plan(100, |s| s.warmup_ratio = 0.11)), 4);
        assert_eq!(rising(&plan(100, |s| s.warmup_steps = Some(5))), 5);
        assert_eq!(rising(&plan(100, |s| s.warmup_steps = Some(0))), 0);
    }

    #[test]
    fn events_follow_their_periods_and_the_last_step() {
        let plan = plan(100, |s| {
            (s.max_steps, s.eval_steps) = (Some(7), Some(3));
            (s.logging_steps, s.save_steps) = (5, 2);
        });
        let steps = |holds: &dyn Fn(usize) -> bool| (1..=7).filter(|s| holds(*s)).collect();
        let evaluations: Vec<usize> = steps(&|s| plan.evaluates_after(s));
        let logs: Vec<usize> = steps(&|s| plan.logs_after(s));
        let saves: Vec<usize> = steps(&|s| plan.saves_after(s));
        assert_eq!(evaluations, [3, 6, 7]);
        assert_eq!(logs, [5, 7]);
        assert_eq!(saves, [2, 4, 6]);
        assert_eq!((plan.position(0), plan.position(23)), ((0, 0), (2, 3)));
        assert_eq!(plan.epoch(5), 0.5);
    }

    #[test]
    fn evaluation_is_once_an_epoch_by_default() {
        let plan = plan(45, |s| s.num_train_epochs = 1.5);
        let evaluations: Vec<usize> = (1..=8).filter(|s| plan.evaluates_after(*s)).collect();
        assert_eq!((plan.total_steps, evaluations), (8, vec![5, 8]));
    }
}
