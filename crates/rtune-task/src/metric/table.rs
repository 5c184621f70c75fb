//! The properties of each metric.

use super::{Metric, Metrics, defined};

/// The tasks that have a metric.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    /// Ordinal models and classifications.
    Classes,
    /// Regressions.
    Numbers,
    /// All.
    Both,
}

/// The properties of a metric.
pub(super) struct Row {
    pub(super) metric: Metric,
    /// The name in flags, JSON and tables.
    pub(super) name: &'static str,
    pub(super) of: Of,
    pub(super) higher_is_better: bool,
    /// The smallest and the largest value.
    pub(super) range: &'static str,
    /// One line for help texts.
    pub(super) meaning: &'static str,
    pub(super) value: fn(&Metrics) -> Option<f64>,
}

/// All metrics, in the order of the enum, which is the order of every list of names.
pub(super) const TABLE: [Row; 10] = [
    Row {
        metric: Metric::Accuracy,
        name: "accuracy",
        of: Of::Classes,
        higher_is_better: true,
        range: "0 to 1",
        meaning: "share of the rows whose label is right",
        value: |m| m.accuracy,
    },
    Row {
        metric: Metric::Mae,
        name: "mae",
        of: Of::Both,
        higher_is_better: false,
        range: "0 and up",
        meaning: "mean distance from the right answer, in classes or in the unit of the labels",
        value: |m| defined(m.mae),
    },
    Row {
        metric: Metric::MacroMae,
        name: "macro_mae",
        of: Of::Classes,
        higher_is_better: false,
        range: "0 and up",
        meaning: "mae within each true class, then the mean over the classes that have rows",
        value: |m| m.macro_mae,
    },
    Row {
        metric: Metric::Qwk,
        name: "qwk",
        of: Of::Classes,
        higher_is_better: true,
        range: "-1 to 1",
        meaning: "Cohen's kappa with quadratic weights; 0 is chance",
        value: |m| m.qwk,
    },
    Row {
        metric: Metric::OffByOne,
        name: "off_by_one",
        of: Of::Classes,
        higher_is_better: true,
        range: "0 to 1",
        meaning: "share of the rows whose label is right or in a class beside the right one",
        value: |m| m.off_by_one,
    },
    Row {
        metric: Metric::Rps,
        name: "rps",
        of: Of::Classes,
        higher_is_better: false,
        range: "0 to 1",
        meaning: "ranked probability score: squared error of the cumulative probabilities",
        value: |m| m.rps,
    },
    Row {
        metric: Metric::Ece,
        name: "ece",
        of: Of::Classes,
        higher_is_better: false,
        range: "0 to 1",
        meaning: "expected calibration error of the class probabilities, over 15 bins",
        value: |m| m.ece,
    },
    Row {
        metric: Metric::Spearman,
        name: "spearman",
        of: Of::Both,
        higher_is_better: true,
        range: "-1 to 1",
        meaning: "correlation of the ranks of scores and labels",
        value: |m| m.spearman,
    },
    Row {
        metric: Metric::R2,
        name: "r2",
        of: Of::Numbers,
        higher_is_better: true,
        range: "up to 1",
        meaning: "share of the labels' variance that is explained; 0 is their mean",
        value: |m| m.r2,
    },
    Row {
        metric: Metric::Loss,
        name: "loss",
        of: Of::Both,
        higher_is_better: false,
        range: "0 and up",
        meaning: "mean of -ln P(right class), or the mean squared error of a regression",
        value: |m| defined(m.loss),
    },
];
