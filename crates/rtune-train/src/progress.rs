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
    /// Evaluations since the best one.
    stale: usize,
    /// The number of logs and evaluations so far.
    pub(crate) logged: usize,
    window: Window,
    pub(crate) best: Option<Evaluation>,
}

/// Sums over the steps since the last log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Window {
    loss: f64,
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
        loss: f64,
        norm: f64,
        learning_rate: f64,
    ) -> Option<StepLog> {
        self.step += 1;
        self.evaluation_due = plan.evaluates_after(self.step);
        self.window.loss += loss;
        self.window.norm += norm;
        self.window.steps += 1;
        if !plan.logs_after(self.step) {
            return None;
        }
        self.logged += 1;
        // At least this step is in the window.
        let Window { loss, norm, steps } = std::mem::take(&mut self.window);
        Some(StepLog {
            step: self.step,
            total_steps: plan.total_steps,
            epoch: plan.epoch(self.step),
            loss: loss / steps as f64,
            gradient_norm: norm / steps as f64,
            learning_rate,
        })
    }

    /// Records the evaluation of the last step.
    pub(crate) fn record_evaluation(&mut self, evaluation: Evaluation) {
        self.evaluation_due = false;
        self.logged += 1;
        if evaluation.best {
            self.stale = 0;
            self.best = Some(evaluation);
        } else {
            self.stale += 1;
        }
    }

    /// Returns whether the run has all its steps, or `patience` evaluations without improvement.
    pub(crate) fn is_over(&self, plan: &Plan, patience: Option<std::num::NonZeroUsize>) -> bool {
        self.step >= plan.total_steps || patience.is_some_and(|most| self.stale >= most.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TrainConfig, TrainSettings};
    use rtune_task::{Metrics, Task};
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
            metrics: Metrics::default(),
            decisions: Vec::new(),
        }
    }

    #[test]
    fn logs_are_means_over_their_window() {
        let (plan, mut progress) = (plan(), Progress::default());
        let mut logs = Vec::new();
        for step in 1..=7_u32 {
            let log = progress.record_step(&plan, f64::from(step), f64::from(2 * step), 0.5);
            logs.extend(log.map(|log| (log.step, log.loss, log.gradient_norm)));
        }
        // The last window has one step.
        assert_eq!(logs, [(3, 2.0, 4.0), (6, 5.0, 10.0), (7, 7.0, 14.0)]);
        assert_eq!(progress.logged, 3);
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
            progress.record_step(&plan, 0.0, 0.0, 0.0);
            positions.push((progress.position().step, progress.position().evaluated));
        }
        progress.record_evaluation(evaluation(true));
        positions.push((progress.position().step, progress.position().evaluated));
        assert_eq!(positions, [(1, true), (2, false), (2, true)]);
    }

    /// Text that rtune 0.1 wrote must stay readable as long as the format number is the same.
    #[test]
    fn the_format_of_checkpoints_is_kept() {
        let text = "{\"step\":3,\"evaluation_due\":false,\"stale\":1,\"logged\":2,\
            \"window\":{\"loss\":0.5,\"norm\":1.5,\"steps\":1},\"best\":null}";
        let progress: Progress = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&progress).unwrap(), text);
    }
}
