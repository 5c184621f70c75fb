use crate::{Evaluation, TrainError, plan::Plan};
use candle_core::Tensor;
use rtune_nn::Param;
use rtune_task::{Decision, DecisionMetrics, Metric, MetricError, Metrics, Task};

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
    /// The metrics of a model without decision rules.
    pub(crate) fn of(metrics: Metrics) -> Self {
        Self {
            metrics,
            ..Self::default()
        }
    }
}

/// Judges the metrics after `step` against the best evaluation so far.
///
/// # Errors
/// If the loss is not finite, or the metric has no value.
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
    let name = || metric.to_string();
    let value = metrics
        .get(metric)
        .ok_or_else(|| MetricError::NotOfTask { name: name(), task })?;
    let before = best.and_then(|best| best.metrics.get(metric));
    Ok(Evaluation {
        step,
        epoch: plan.epoch(step),
        best: before.is_none_or(|before| metric.is_better(value, before)),
        decision,
        metrics,
        decisions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TrainConfig, TrainSettings};
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
    fn only_a_strictly_better_value_is_the_best() {
        let best = Evaluation {
            step: 1,
            epoch: 0.0,
            best: true,
            decision: None,
            metrics: of(2.0, Some(0.5)),
            decisions: Vec::new(),
        };
        for (metric, loss, qwk, expected) in [
            (Metric::Loss, 1.9, 0.0, true),
            (Metric::Loss, 2.0, 1.0, false),
            (Metric::Qwk, 9.0, 0.6, true),
            (Metric::Qwk, 0.0, 0.5, false),
            (Metric::Qwk, 0.0, f64::NAN, false),
        ] {
            let found = judged(metric, of(loss, Some(qwk)), Some(&best));
            assert_eq!(found, Ok(expected), "{metric} {loss} {qwk}");
        }
        assert_eq!(judged(Metric::Qwk, of(1.0, Some(0.1)), None), Ok(true));
    }

    #[test]
    fn a_loss_that_is_not_finite_and_a_metric_without_value_are_errors() {
        let error = judged(Metric::Qwk, of(f64::NAN, Some(1.0)), None).unwrap_err();
        assert!(error.starts_with("step 3: the loss is NaN"), "{error}");
        let error = judged(Metric::Qwk, of(1.0, None), None).unwrap_err();
        assert!(error.starts_with("the task has no metric `qwk`"), "{error}");
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
