use super::Metric;
use crate::Task;

/// An error of metrics: an unknown name, or predictions and targets that do not fit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// No metric has the name.
    #[error("there is no metric `{0}`; there are {known}", known = Metric::list(Metric::all()))]
    Unknown(String),
    /// The task does not have the metric.
    #[error("the task has no metric `{name}`; it has {}", Metric::list(Metric::of_task(*task)))]
    NotOfTask {
        /// The name of the metric.
        name: String,
        /// The task.
        task: Task,
    },
    /// The numbers of predictions and targets differ.
    #[error("{predictions} predictions for {targets} targets; expected one for each")]
    Count {
        /// The number of predictions.
        predictions: usize,
        /// The number of targets.
        targets: usize,
    },
    /// There are no examples.
    #[error("there are no examples; metrics need at least one")]
    NoExamples,
    /// A target is a number, but the predictions are classes.
    #[error("example {index}: the target is the number {number}, expected a class")]
    NotAClass {
        /// The position of the example, from 0.
        index: usize,
        /// The target.
        number: f64,
    },
    /// A target is a class that the predictions do not have.
    #[error("example {index}: the target is class {class}, but the model has {classes} classes")]
    ClassOutOfRange {
        /// The position of the example, from 0.
        index: usize,
        /// The target.
        class: usize,
        /// The number of classes of the first prediction.
        classes: usize,
    },
    /// Two predictions have different numbers of classes.
    #[error("example {index}: the prediction has {found} classes, that of example 0 has {classes}")]
    Classes {
        /// The position of the example, from 0.
        index: usize,
        /// Its number of classes.
        found: usize,
        /// The number of classes of the first prediction.
        classes: usize,
    },
    /// There is not one name for each class.
    #[error("the predictions have {classes} classes, but there are {labels} names of classes")]
    Labels {
        /// The number of names.
        labels: usize,
        /// The number of classes of the predictions.
        classes: usize,
    },
}
