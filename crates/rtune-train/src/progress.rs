use crate::step::Step;
use crate::{Evaluation, StepLog, checkpoint::Position, plan::Plan};
use serde::{Deserialize, Serialize};

/// The progress of a run. Together with the parameters and the optimizer state it determines the
/// rest of the run.
///
/// Field names are part of the checkpoint format.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The number of steps done.
    pub(crate) step: usize,
    /// The evaluation of the last step is not done yet.
    pub(crate) evaluation_due: bool,
    /// The number of logs and evaluations so far.
    pub(crate) logged: usize,
    window: Window,
    /// All evaluations in order; only the best one has all its details.
    pub(crate) evaluations: Vec<Evaluation>,
}

/// Sums over the steps since the last log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Window {
    /// The losses of the steps, each times its weight.
    loss: f64,
    weight: f64,
    norm: f64,
    steps: usize,
}

impl Progress {
    /// Progress after `step` steps without logs.
    #[cfg(test)]
    pub(crate) fn after(step: usize, evaluation_due: bool) -> Self {
        Self {
            step,
            evaluation_due,
            ..Self::default()
        }
    }

    /// The best evaluation.
    pub(crate) fn best(&self) -> Option<&Evaluation> {
        self.evaluations.iter().rfind(|evaluation| evaluation.best)
    }

    pub(crate) fn position(&self) -> Position {
        Position {
            step: self.step,
            evaluated: !self.evaluation_due,
        }
    }

    /// Records a step, and returns its log if one is due.
    pub(crate) fn record_step(
        &mut self,
        plan: &Plan,
        done: &Step,
        learning_rate: f64,
    ) -> Option<StepLog> {
        self.step += 1;
        self.evaluation_due = plan.evaluates_after(self.step);
        self.window.loss += done.loss * done.weight;
        self.window.weight += done.weight;
        self.window.norm += done.norm;
        self.window.steps += 1;
        if !plan.logs_after(self.step) {
            return None;
        }
        self.logged += 1;
        // At least this step is in the window, and weights are positive.
        let window = std::mem::take(&mut self.window);
        Some(StepLog {
            step: self.step,
            total_steps: plan.total_steps,
            epoch: plan.epoch(self.step),
            loss: window.loss / window.weight,
            gradient_norm: window.norm / window.steps as f64,
            learning_rate,
        })
    }

    /// Records the evaluation of the last step.
    pub(crate) fn record_evaluation(&mut self, mut evaluation: Evaluation) {
        self.evaluation_due = false;
        self.logged += 1;
        match evaluation.best {
            true => self
                .evaluations
                .iter_mut()
                .for_each(Evaluation::drop_details),
            false => evaluation.drop_details(),
        }
        self.evaluations.push(evaluation);
    }

    /// The number of evaluations since the best one.
    fn stale(&self) -> usize {
        let latest = self.evaluations.iter().rev();
        latest.take_while(|evaluation| !evaluation.best).count()
    }

    /// Returns whether the run has all its steps, or `patience` evaluations without improvement.
    pub(crate) fn is_over(&self, plan: &Plan, patience: Option<std::num::NonZeroUsize>) -> bool {
        self.step >= plan.total_steps || patience.is_some_and(|most| self.stale() >= most.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TrainConfig, TrainSettings};
    use rtune_task::{ByClass, Metrics, Task};
    use std::num::NonZeroUsize;

    fn plan() -> Plan {
        let settings = TrainSettings {
            max_steps: Some(7),
            eval_steps: Some(2),
            logging_steps: 3,
            ..TrainSettings::default()
        };
        let config = TrainConfig::new(&settings, Task::Ordinal).unwrap();
        Plan::new(&config, NonZeroUsize::new(64).unwrap()).unwrap()
    }

    fn evaluation(best: bool) -> Evaluation {
        Evaluation {
            step: 2,
            epoch: 1.0,
            best,
            decision: None,
            cutpoints: Vec::new(),
            metrics: Metrics::default(),
            decisions: Vec::new(),
        }
    }

    fn step(loss: f64, weight: f64, norm: f64) -> Step {
        Step { loss, weight, norm }
    }

    #[test]
    fn logs_are_means_over_their_window() {
        let (plan, mut progress) = (plan(), Progress::default());
        let mut logs = Vec::new();
        for number in 1..=7_u32 {
            // The second and the sixth step have fewer examples.
            let weight = if number % 4 == 2 { 1.0 } else { 3.0 };
            let number = f64::from(number);
            let log = progress.record_step(&plan, &step(number, weight, 2.0 * number), 0.5);
            logs.extend(log.map(|log| (log.step, log.loss, log.gradient_norm)));
        }
        // (3 · 1 + 2 + 3 · 3) / 7 and (3 · 4 + 3 · 5 + 6) / 7; the last window has one step.
        let expected = [(3, 2.0, 4.0), (6, 33.0 / 7.0, 10.0), (7, 7.0, 14.0)];
        assert_eq!(logs, expected);
        assert_eq!(progress.logged, 3);
    }

    #[test]
    fn all_evaluations_are_kept_and_the_best_one_with_its_details() {
        let mut progress = Progress::default();
        assert_eq!(progress.best(), None);
        for (step, best) in [(1, true), (2, true), (3, false)] {
            let mut evaluation = Evaluation {
                step,
                ..evaluation(best)
            };
            evaluation.metrics.recall = ByClass::new(&["a".to_owned()], [None]);
            progress.record_evaluation(evaluation);
        }
        let found = progress.evaluations.iter();
        let found = found.map(|e| (e.step, e.metrics.recall.iter().len()));
        assert_eq!(found.collect::<Vec<_>>(), [(1, 0), (2, 1), (3, 0)]);
        assert_eq!(progress.best().map(|best| best.step), Some(2));
    }

    #[test]
    fn patience_counts_evaluations_since_the_best() {
        let (plan, mut progress) = (plan(), Progress::default());
        let patience = NonZeroUsize::new(2);
        for (best, over) in [(true, false), (false, false), (true, false), (false, false)] {
            progress.record_evaluation(evaluation(best));
            assert_eq!(progress.is_over(&plan, patience), over);
        }
        progress.record_evaluation(evaluation(false));
        assert!(progress.is_over(&plan, patience) && !progress.is_over(&plan, None));
        progress.step = 7;
        assert!(progress.is_over(&plan, None));
    }

    #[test]
    fn a_step_before_its_evaluation_has_a_position_of_its_own() {
        let (plan, mut progress) = (plan(), Progress::default());
        let mut positions = Vec::new();
        for _ in 0..2 {
            progress.record_step(&plan, &step(0.0, 1.0, 0.0), 0.0);
            positions.push((progress.position().step, progress.position().evaluated));
        }
        progress.record_evaluation(evaluation(true));
        positions.push((progress.position().step, progress.position().evaluated));
        assert_eq!(positions, [(1, true), (2, false), (2, true)]);
    }

    /// Text that an earlier build wrote must stay readable as long as the format number is the
    /// same.
    #[test]
    fn the_format_of_checkpoints_is_kept() {
        let text = "{\"step\":3,\"evaluation_due\":false,\"logged\":2,\
            \"window\":{\"loss\":0.5,\"weight\":8.0,\"norm\":1.5,\"steps\":1},\
            \"evaluations\":[]}";
        let progress: Progress = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&progress).unwrap(), text);
    }
}
