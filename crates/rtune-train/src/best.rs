use crate::{Evaluation, TrainConfig, TrainError, plan::Plan};
use candle_core::Tensor;
use rtune_nn::Param;
use rtune_task::{
    Decision, DecisionMetrics, Metric, MetricError, Metrics, Prediction, Target, Task, TaskSpec,
    best_decision,
};

/// Copies of all parameters, in their order.
#[derive(Debug, Default)]
pub(crate) struct Snapshot(pub(crate) Vec<Tensor>);

impl Snapshot {
    pub(crate) fn of(params: &[&Param]) -> Result<Self, TrainError> {
        let copies = params.iter().map(|param| Ok(param.value().copy()?));
        Ok(Self(copies.collect::<Result<_, TrainError>>()?))
    }

    /// Writes the copies back.
    pub(crate) fn restore(&self, params: &[&Param]) -> Result<(), TrainError> {
        for (param, value) in params.iter().zip(&self.0) {
            param.value().slice_set(value, 0, 0)?;
        }
        Ok(())
    }
}

/// The metrics of an evaluation.
#[derive(Debug, Default)]
pub(crate) struct Rated {
    pub(crate) metrics: Metrics,
    /// The rule of an ordinal model's labels.
    pub(crate) decision: Option<Decision>,
    /// A row for each rule of an ordinal model.
    pub(crate) decisions: Vec<DecisionMetrics>,
}

impl Rated {
    /// Measures predictions. Without a decision rule in the settings, those of an ordinal model are
    /// labeled by the rule that is best here, so that each step is judged by what it would give as
    /// a model.
    pub(crate) fn measure(
        config: &TrainConfig,
        spec: &TaskSpec,
        predictions: &[Prediction],
        targets: &[Target],
    ) -> Result<Self, TrainError> {
        let labels = &spec.labels;
        if spec.task != Task::Ordinal {
            let metrics = Metrics::compute(predictions, targets, Decision::Mode, labels)?;
            return Ok(Self::of(metrics));
        }
        let metric = config.metric_for_best_model;
        let (best, metrics, decisions) = best_decision(metric, predictions, targets, labels)?;
        let decision = config.decision.unwrap_or(best);
        Ok(Self {
            metrics: match decision == best {
                true => metrics,
                false => Metrics::compute(predictions, targets, decision, labels)?,
            },
            decision: Some(decision),
            decisions,
        })
    }

    /// The metrics of a model without decision rules.
    pub(crate) fn of(metrics: Metrics) -> Self {
        Self {
            metrics,
            ..Self::default()
        }
    }
}

/// Judges the metrics after `step` against the best evaluation so far. The better one is that of
/// the better metric or, if the metric is equal, of the lower loss. An undefined metric is worse
/// than any value.
///
/// # Errors
/// If the loss is not finite, or the task has no such metric.
pub(crate) fn judge(
    (metric, task): (Metric, Task),
    plan: &Plan,
    step: usize,
    rated: Rated,
    best: Option<&Evaluation>,
) -> Result<Evaluation, TrainError> {
    let Rated {
        metrics,
        decision,
        decisions,
    } = rated;
    if !metrics.loss.is_finite() {
        let loss = metrics.loss;
        return Err(TrainError::Diverged { step, loss });
    }
    if !metric.applies_to(task) {
        let name = metric.to_string();
        return Err(MetricError::NotOfTask { name, task }.into());
    }
    Ok(Evaluation {
        step,
        epoch: plan.epoch(step),
        best: best.is_none_or(|best| is_better(metric, &metrics, &best.metrics)),
        decision,
        cutpoints: Vec::new(),
        metrics,
        decisions,
    })
}

fn is_better(metric: Metric, now: &Metrics, best: &Metrics) -> bool {
    match (value(metric, now), value(metric, best)) {
        (Some(now), Some(best)) if now != best => metric.is_better(now, best),
        (None, Some(_)) => false,
        (Some(_), None) => true,
        _ => Metric::Loss.is_better(now.loss, best.loss),
    }
}

/// The value of a metric, if it is defined.
pub(crate) fn value(metric: Metric, metrics: &Metrics) -> Option<f64> {
    metrics.get(metric).filter(|value| !value.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrainSettings;
    use candle_core::Device;
    use std::num::NonZeroUsize;

    fn judged(metric: Metric, metrics: Metrics, best: Option<&Evaluation>) -> Result<bool, String> {
        let config = TrainConfig::new(&TrainSettings::default(), Task::Ordinal).unwrap();
        let plan = Plan::new(&config, NonZeroUsize::MIN).unwrap();
        judge((metric, Task::Ordinal), &plan, 3, Rated::of(metrics), best)
            .map(|evaluation| evaluation.best)
            .map_err(|e| e.to_string())
    }

    fn of(loss: f64, qwk: Option<f64>) -> Metrics {
        Metrics {
            loss,
            qwk,
            ..Metrics::default()
        }
    }

    #[test]
    fn the_better_metric_wins_and_of_equals_the_lower_loss() {
        let best = |qwk| Evaluation {
            step: 1,
            epoch: 0.0,
            best: true,
            decision: None,
            cutpoints: Vec::new(),
            metrics: of(2.0, qwk),
            decisions: Vec::new(),
        };
        let half = Some(0.5);
        for (metric, before, loss, qwk, expected) in [
            (Metric::Loss, half, 1.9, Some(0.0), true),
            (Metric::Loss, half, 2.0, Some(1.0), false),
            (Metric::Qwk, half, 9.0, Some(0.6), true),
            (Metric::Qwk, half, 0.0, Some(0.4), false),
            (Metric::Qwk, half, 1.9, half, true),
            (Metric::Qwk, half, 2.0, half, false),
            (Metric::Qwk, half, 2.1, half, false),
            // Without a value, as if all rows had one label.
            (Metric::Qwk, half, 0.0, Some(f64::NAN), false),
            (Metric::Qwk, half, 0.0, None, false),
            (Metric::Qwk, None, 9.0, Some(-1.0), true),
            (Metric::Qwk, Some(f64::NAN), 1.9, None, true),
            (Metric::Qwk, None, 2.0, None, false),
        ] {
            let found = judged(metric, of(loss, qwk), Some(&best(before)));
            assert_eq!(found, Ok(expected), "{metric} {before:?} {loss} {qwk:?}");
        }
        assert_eq!(judged(Metric::Qwk, of(1.0, Some(0.1)), None), Ok(true));
        assert_eq!(judged(Metric::Qwk, of(1.0, None), None), Ok(true));
    }

    #[test]
    fn a_loss_that_is_not_finite_and_a_metric_of_another_task_are_errors() {
        let error = judged(Metric::Qwk, of(f64::NAN, Some(1.0)), None).unwrap_err();
        assert!(error.starts_with("step 3: the loss is NaN"), "{error}");
        let config = TrainConfig::new(&TrainSettings::default(), Task::Regression).unwrap();
        let plan = Plan::new(&config, NonZeroUsize::MIN).unwrap();
        let rated = Rated::of(of(1.0, None));
        let error = judge((Metric::Qwk, Task::Regression), &plan, 3, rated, None).unwrap_err();
        let expected = "the task has no metric `qwk`; it has mae, spearman, r2, loss";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_snapshot_survives_updates_in_place() {
        let value = |numbers: &[f32]| Tensor::new(numbers, &Device::Cpu).unwrap();
        let param = Param::new("w", value(&[1.0, 2.0]));
        let snapshot = Snapshot::of(&[&param]).unwrap();
        param.value().slice_set(&value(&[5.0, 6.0]), 0, 0).unwrap();
        snapshot.restore(&[&param]).unwrap();
        assert_eq!(param.value().to_vec1::<f32>().unwrap(), [1.0, 2.0]);
    }
}
