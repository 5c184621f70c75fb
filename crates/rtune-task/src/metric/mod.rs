//! Metrics by name, and their values for a set of predictions.

mod accuracy;
mod baseline;
mod decisions;
mod ece;
mod error;
mod loss;
mod mae;
mod metrics;
mod precision_recall;
mod qwk;
mod r2;
mod rps;
mod spearman;
mod table;

use crate::Task;
pub use baseline::{Baseline, Constant};
pub use decisions::{DecisionMetrics, best_decision};
pub use error::MetricError;
pub use metrics::Metrics;
use serde::{Deserialize, Serialize};
use table::{Of, Row, TABLE};

/// One number that rates predictions against targets.
///
/// ```
/// use rtune_task::{Metric, Task};
///
/// let metric: Metric = "qwk".parse()?;
/// assert!(metric.higher_is_better() && metric.applies_to(Task::Ordinal));
/// assert_eq!(Metric::default_for(Task::Regression).to_string(), "mae");
/// # Ok::<(), rtune_task::MetricError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The share of predictions that equal their targets.
    Accuracy,
    /// The mean absolute error, in classes or in the target's unit.
    Mae,
    /// The mean over classes of the mean absolute error within each.
    MacroMae,
    /// Kappa with quadratic weights.
    Qwk,
    /// The share of predictions that are at most one class off.
    OffByOne,
    /// The ranked probability score.
    Rps,
    /// The expected calibration error.
    Ece,
    /// The rank correlation of scores and targets.
    Spearman,
    /// The coefficient of determination of a regression.
    R2,
    /// The mean negative log-likelihood, or the squared error for regression.
    Loss,
}

impl Metric {
    const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// Iterates over all metrics, in the order of every list of names.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.metric)
    }

    /// Iterates over the metrics that a task has.
    pub fn of_task(task: Task) -> impl Iterator<Item = Self> {
        Self::all().filter(move |metric| metric.applies_to(task))
    }

    /// The metric that models of a task are judged by unless another is chosen.
    pub const fn default_for(task: Task) -> Self {
        match task {
            Task::Ordinal => Self::Qwk,
            Task::Classification => Self::Accuracy,
            // Of encoders without a head, nothing is measured.
            Task::Regression | Task::Embedding => Self::Mae,
        }
    }

    /// Parses the name of a metric that `task` has.
    ///
    /// # Errors
    /// If no metric has the name, or the task does not have the metric.
    pub fn parse_for(task: Task, name: &str) -> Result<Self, MetricError> {
        let mut known = Self::of_task(task);
        known
            .find(|metric| metric.name() == name)
            .ok_or_else(|| MetricError::NotOfTask {
                name: name.to_owned(),
                task,
            })
    }

    /// The name in flags, JSON results and tables, such as `off_by_one`.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns whether a larger value is a better one.
    pub const fn higher_is_better(self) -> bool {
        self.row().higher_is_better
    }

    /// Returns whether a task has the metric.
    pub const fn applies_to(self, task: Task) -> bool {
        match (self.row().of, task) {
            (_, Task::Embedding) => false,
            (Of::Classes, _) => !matches!(task, Task::Regression),
            (Of::Numbers, _) => matches!(task, Task::Regression),
            (Of::Both, _) => true,
        }
    }

    /// One line about the metric for users. K is the number of classes.
    pub const fn meaning(self) -> &'static str {
        self.row().meaning
    }

    /// The smallest and the largest value that are possible, such as `0 to 1`.
    pub const fn range(self) -> &'static str {
        self.row().range
    }

    /// Returns whether the metric has no largest value, because it has the unit of the targets or
    /// none that compares models of different data. A change of it says something only as a share.
    pub const fn is_relative(self) -> bool {
        matches!(self, Self::Mae | Self::MacroMae | Self::Loss)
    }

    /// Returns whether `value` is better than `best`. NaN is never better.
    pub fn is_better(self, value: f64, best: f64) -> bool {
        if self.higher_is_better() {
            value > best
        } else {
            value < best
        }
    }

    /// A value in text: four decimals, an exponent if it is very large or small, or `n/a` if it is
    /// undefined.
    ///
    /// ```
    /// use rtune_task::Metric;
    ///
    /// let values = [Some(0.75), Some(1.5e-7), Some(2e30), Some(0.0), None];
    /// let shown = values.map(Metric::shown);
    /// assert_eq!(shown, ["0.7500", "1.500e-7", "2.000e30", "0.0000", "n/a"]);
    /// ```
    pub fn shown(value: Option<f64>) -> String {
        match value {
            None => "n/a".to_owned(),
            Some(value) if value == 0.0 || (1e-3..1e6).contains(&value.abs()) => {
                format!("{value:.4}")
            }
            Some(value) => format!("{value:.3e}"),
        }
    }

    /// Names separated by commas, for messages and help texts.
    pub fn list(metrics: impl Iterator<Item = Self>) -> String {
        metrics.map(Self::name).collect::<Vec<_>>().join(", ")
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Metric {
    type Err = MetricError;

    fn from_str(name: &str) -> Result<Self, MetricError> {
        Self::all()
            .find(|metric| metric.name() == name)
            .ok_or_else(|| MetricError::Unknown(name.to_owned()))
    }
}

/// The share `part / whole`, NaN of nothing.
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// The mean, NaN of nothing.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| {
        (sum + value, count + 1)
    });
    sum / count as f64
}

/// A value, if it is defined: not NaN.
fn defined(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASKS: [Task; 3] = [Task::Ordinal, Task::Classification, Task::Regression];

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_names_are_unique() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.metric as usize, index, "{}", row.name);
            assert_eq!(row.name.parse(), Ok(row.metric));
            assert_eq!(row.metric.to_string(), row.name);
        }
    }

    #[test]
    fn names_are_the_keys_of_json_results() {
        for metric in Metric::all() {
            let json = serde_json::to_value(metric);
            assert_eq!(json.ok(), Some(metric.name().into()));
        }
    }

    #[test]
    fn each_task_lists_its_metrics_and_its_default_among_them() {
        let classes = "accuracy, mae, macro_mae, qwk, off_by_one, rps, ece, spearman, loss";
        for (task, names, default) in [
            (Task::Ordinal, classes, Metric::Qwk),
            (Task::Classification, classes, Metric::Accuracy),
            (Task::Regression, "mae, spearman, r2, loss", Metric::Mae),
        ] {
            assert_eq!(Metric::list(Metric::of_task(task)), names);
            assert_eq!(Metric::default_for(task), default);
            assert!(Metric::default_for(task).applies_to(task));
        }
    }

    #[test]
    fn a_name_is_refused_with_the_names_that_the_task_has() {
        for task in TASKS {
            for metric in Metric::all() {
                let parsed = Metric::parse_for(task, metric.name());
                assert_eq!(parsed.is_ok(), metric.applies_to(task), "{task:?} {metric}");
            }
        }
        let message = |name| Metric::parse_for(Task::Regression, name).map_err(|e| e.to_string());
        for name in ["qwk", "f1", "MAE", ""] {
            let expected =
                format!("the task has no metric `{name}`; it has mae, spearman, r2, loss");
            assert_eq!(message(name), Err(expected));
        }
        let unknown = "f1".parse::<Metric>().map_err(|e| e.to_string());
        assert!(unknown.is_err_and(|e| e.starts_with("there is no metric `f1`; there are acc")));
    }

    #[test]
    fn a_metric_without_a_largest_value_is_relative() {
        for metric in Metric::all() {
            let unbounded = metric.range().ends_with("and up");
            assert_eq!(metric.is_relative(), unbounded, "{metric}");
            let meaning = metric.meaning();
            assert!(!meaning.is_empty() && !meaning.ends_with('.'), "{metric}");
        }
    }

    #[test]
    fn better_follows_the_direction_and_nan_is_never_better() {
        for metric in Metric::all() {
            let up = metric.higher_is_better();
            assert_eq!(metric.is_better(0.9, 0.1), up, "{metric}");
            assert_eq!(metric.is_better(0.1, 0.9), !up, "{metric}");
            assert!(!metric.is_better(0.5, 0.5));
            assert!(!metric.is_better(f64::NAN, 0.5));
        }
        let lower = ["mae", "macro_mae", "rps", "ece", "loss"];
        let found: Vec<&str> = Metric::all()
            .filter(|metric| !metric.higher_is_better())
            .map(Metric::name)
            .collect();
        assert_eq!(found, lower);
    }
}
