//! The page of a training run.

use crate::chart::Chart;
use crate::{ReportError, plots, tables};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use rtune_task::{Decision, Metric, Metrics, Prediction, Target, Task};
use serde::Serialize;

/// The values of a training run that its page shows.
///
/// A part without values is left out of the page.
#[derive(Debug, Clone, Default)]
pub struct TrainingPage {
    /// The title, such as the name of the run's folder.
    pub title: String,
    /// Lines below the title, as names and values.
    pub summary: Vec<(String, String)>,
    /// The meaning of the labels.
    pub task: Task,
    /// The names of the classes in order.
    pub labels: Vec<String>,
    /// The rule of an ordinal model's labels.
    pub decision: Decision,
    /// The cutpoints of the finished model.
    pub cutpoints: Vec<f64>,
    /// The metric that chose the best model.
    pub metric: Option<Metric>,
    /// The logs of steps, in order.
    pub steps: Vec<StepPoint>,
    /// The evaluations on the validation rows, in order.
    pub evaluations: Vec<EvaluationPoint>,
    /// The rows of the run, such as those of training and validation.
    pub splits: Vec<Split>,
    /// The name of the split that the predictions are of.
    pub rated: String,
    /// The predictions of the finished model for the rows of that split, in their order.
    pub predictions: Vec<Prediction>,
    /// Their targets.
    pub targets: Vec<Target>,
    /// The metrics of these predictions.
    pub metrics: Option<Metrics>,
    /// Rows that were predicted wrongly, the most confident first.
    pub mistakes: Vec<Mistake>,
    /// The settings of the run and the digests of its inputs, as names and values.
    pub settings: Vec<(String, String)>,
}

/// The log of some steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepPoint {
    /// The number of steps done.
    pub step: usize,
    /// The mean training loss.
    pub loss: f64,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// The mean norm of the gradient.
    pub gradient_norm: f64,
}

/// An evaluation on the validation rows.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationPoint {
    /// The number of steps done.
    pub step: usize,
    /// The metrics.
    pub metrics: Metrics,
    /// The cutpoints at this step.
    pub cutpoints: Vec<f64>,
}

/// The rows of a file, or a part of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Split {
    /// The name, such as `training`.
    pub name: String,
    /// The place that the rows are from.
    pub source: String,
    /// The number of tokens of each text, after truncation.
    pub lengths: Vec<usize>,
    /// The number of texts that were truncated.
    pub truncated: usize,
    /// The limit in tokens.
    pub max_length: usize,
    /// The target of each text.
    pub targets: Vec<Target>,
}

/// A row that was predicted wrongly.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mistake {
    /// The line in the file.
    pub line: Option<u64>,
    /// The text, as the model read it.
    pub text: String,
    /// The label or number of the row.
    pub label: String,
    /// The label or number of the prediction.
    pub predicted: String,
    /// The probability of the predicted class, or the error of the predicted number.
    pub confidence: f64,
}

const TEMPLATE: &str = include_str!("training.html");

impl TrainingPage {
    /// Composes the page.
    ///
    /// # Errors
    /// If there is not one prediction for each target, or a chart cannot be drawn.
    pub fn html(&self) -> Result<String, ReportError> {
        if self.predictions.len() != self.targets.len() {
            return Err(ReportError::Predictions {
                split: self.rated.clone(),
                predictions: self.predictions.len(),
                targets: self.targets.len(),
            });
        }
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        let template = environment.template_from_str(TEMPLATE)?;
        let view = View {
            title: &self.title,
            summary: &self.summary,
            is_regression: self.task == Task::Regression,
            progress: figures(plots::progress(self))?,
            metrics: figures(plots::metrics(self))?,
            outcome: figures(plots::outcome(self))?,
            lengths: figures(plots::lengths(self))?,
            rated: &self.rated,
            decision: (self.task == Task::Ordinal).then(|| self.decision.name()),
            values: tables::values(self),
            labels: &self.labels,
            confusion: tables::confusion(self),
            splits: tables::splits(self),
            balance: tables::balance(self),
            mistakes: &self.mistakes,
            settings: &self.settings,
        };
        Ok(template.render(Serde(view))?)
    }
}

/// The values that the template names.
#[derive(Debug, Serialize)]
struct View<'a> {
    title: &'a str,
    summary: &'a [(String, String)],
    is_regression: bool,
    progress: Vec<Figure>,
    metrics: Vec<Figure>,
    outcome: Vec<Figure>,
    lengths: Vec<Figure>,
    rated: &'a str,
    decision: Option<&'static str>,
    values: Vec<(&'static str, String, &'static str)>,
    labels: &'a [String],
    confusion: Vec<tables::ConfusionRow>,
    splits: Vec<tables::SplitRow>,
    balance: Vec<tables::BalanceRow>,
    mistakes: &'a [Mistake],
    settings: &'a [(String, String)],
}

/// A chart for the template.
#[derive(Debug, Serialize)]
struct Figure {
    title: String,
    note: String,
    svg: String,
    legend: Vec<(String, String)>,
}

/// Draws the charts that have something to draw.
fn figures(charts: Vec<Chart>) -> Result<Vec<Figure>, ReportError> {
    let drawn = charts.into_iter().map(|chart| {
        let named = chart.series.iter().filter(|series| !series.name.is_empty());
        let legend = named.map(|series| {
            let (r, g, b) = (series.color.0, series.color.1, series.color.2);
            (series.name.clone(), format!("#{r:02x}{g:02x}{b:02x}"))
        });
        let legend = legend.collect();
        Ok(chart.svg()?.map(|svg| Figure {
            title: chart.title,
            note: chart.note,
            svg,
            legend,
        }))
    });
    drawn.filter_map(Result::transpose).collect()
}

#[cfg(test)]
mod tests;
