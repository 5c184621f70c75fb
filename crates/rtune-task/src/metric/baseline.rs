//! Constant answers, which a useful model is better than.

use super::{Metric, Metrics, mean};
use crate::{Target, Task};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An answer that is the same for every text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constant {
    /// The most frequent class, the lowest of equals. It is the best constant for accuracy.
    MajorityClass,
    /// The lower median of the classes. It is the best constant for the mean absolute error.
    MedianClass,
    /// The mean of the numbers.
    Mean,
}

/// The value of a metric for a constant answer, beside that of a model on the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The metric.
    pub metric: Metric,
    /// The choice of the answer.
    pub constant: Constant,
    /// The answer: the name of a class, or a number.
    pub answer: String,
    /// The value of the metric for the answer.
    pub value: f64,
    /// The value for the model; none if it is undefined.
    pub model: Option<f64>,
    /// True if the model is better.
    pub beaten: bool,
}

impl Baseline {
    /// Returns the baselines of a task on the rows of `targets`, with constants that fit the rows
    /// of `known`, such as those of training. A classification has accuracy with the majority
    /// class, an ordinal model also the mean absolute error with the median class, and a regression
    /// mean absolute error and squared error with the mean.
    ///
    /// None without targets, or if they do not fit the task.
    ///
    /// ```
    /// use rtune_task::{Baseline, Metrics, Target, Task};
    ///
    /// let targets = [20.0, 80.0].map(Target::Number);
    /// let metrics = Metrics {
    ///     mae: 50.0,
    ///     ..Metrics::default()
    /// };
    /// let found = Baseline::all(Task::Regression, &[], &targets, &targets, &metrics);
    /// assert_eq!((found[0].value, found[0].beaten), (30.0, false));
    /// assert_eq!(found[0].to_string(), "mae 30.0000 by always 50, not beaten");
    /// ```
    pub fn all(
        task: Task,
        labels: &[String],
        known: &[Target],
        targets: &[Target],
        metrics: &Metrics,
    ) -> Vec<Self> {
        if known.is_empty() || targets.is_empty() {
            return Vec::new();
        }
        let baseline = |metric: Metric, constant, answer: String, value: f64| {
            let model = metrics.get(metric);
            Self {
                metric,
                constant,
                answer,
                value,
                model,
                beaten: model.is_some_and(|model| metric.is_better(model, value)),
            }
        };
        if task == Task::Regression {
            let answer = mean(known.iter().map(|target| target.number()));
            let errors = || targets.iter().map(|target| target.number() - answer);
            // As the 32-bit float that a model would give.
            let text = (answer as f32).to_string();
            let row = |metric, value| baseline(metric, Constant::Mean, text.clone(), value);
            return vec![
                row(Metric::Mae, mean(errors().map(f64::abs))),
                row(Metric::Loss, mean(errors().map(|error| error * error))),
            ];
        }
        let (Some(known), Some(classes)) = (classes(known), classes(targets)) else {
            return Vec::new();
        };
        let row = |metric, constant, answer: usize, value| {
            let name = labels.get(answer).cloned();
            let name = name.unwrap_or_else(|| answer.to_string());
            baseline(metric, constant, name, value)
        };
        let majority = majority(&known);
        let hits = classes
            .iter()
            .map(|class| f64::from(u8::from(*class == majority)));
        let accuracy = mean(hits);
        let mut found = vec![row(
            Metric::Accuracy,
            Constant::MajorityClass,
            majority,
            accuracy,
        )];
        if task == Task::Ordinal {
            let median = median(known);
            let error = mean(classes.iter().map(|class| class.abs_diff(median) as f64));
            found.push(row(Metric::Mae, Constant::MedianClass, median, error));
        }
        found
    }

    /// Returns whether the answer is right for every row, so that no model can be better.
    pub fn is_perfect(&self) -> bool {
        match self.metric.higher_is_better() {
            true => self.value >= 1.0,
            false => self.value <= 0.0,
        }
    }

    /// Returns what a user should know if the model is no better. `rows` says which rows were
    /// measured, such as `validation`.
    pub fn warning(&self, rows: &str) -> Option<String> {
        let Self { metric, value, .. } = self;
        let answer = Answer(self);
        if self.beaten {
            return None;
        }
        if self.is_perfect() {
            return Some(format!(
                "the answer {answer} is right for all {rows} rows, so {metric} on them cannot tell \
                 a good model from a constant"
            ));
        }
        let (model, value) = (Metric::shown(self.model), Metric::shown(Some(*value)));
        Some(format!(
            "{metric} on the {rows} rows is {model}, no better than {value}, that of the answer \
             {answer} for every text"
        ))
    }
}

/// The value, the answer, and whether the model is no better.
impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.beaten { "" } else { ", not beaten" };
        write!(
            f,
            "{} {} by always {}{end}",
            self.metric,
            Metric::shown(Some(self.value)),
            Answer(self)
        )
    }
}

/// A name in backticks, or a number.
struct Answer<'a>(&'a Baseline);

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.constant {
            Constant::Mean => f.write_str(&self.0.answer),
            Constant::MajorityClass | Constant::MedianClass => write!(f, "`{}`", self.0.answer),
        }
    }
}

fn classes(targets: &[Target]) -> Option<Vec<usize>> {
    targets.iter().map(|target| target.class()).collect()
}

fn majority(classes: &[usize]) -> usize {
    let count = classes.iter().max().map_or(0, |largest| largest + 1);
    let mut counts = vec![0_usize; count];
    for class in classes {
        counts[*class] += 1;
    }
    let all = counts.iter().enumerate().rev();
    all.max_by_key(|(_, count)| **count)
        .map_or(0, |(class, _)| class)
}

fn median(mut classes: Vec<usize>) -> usize {
    let middle = (classes.len() - 1) / 2;
    *classes.select_nth_unstable(middle).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<String> {
        ["bad", "fair", "good"].map(str::to_owned).to_vec()
    }

    fn lines(task: Task, known: &[usize], rows: &[usize], metrics: &Metrics) -> Vec<String> {
        let targets = |classes: &[usize]| -> Vec<Target> {
            classes.iter().map(|class| Target::Class(*class)).collect()
        };
        let all = Baseline::all(task, &labels(), &targets(known), &targets(rows), metrics);
        all.iter().map(Baseline::to_string).collect()
    }

    #[test]
    fn constants_come_from_the_known_rows_and_values_from_the_others() {
        let metrics = Metrics {
            accuracy: Some(0.5),
            mae: 1.0,
            ..Metrics::default()
        };
        let known = [0, 0, 0, 1, 2, 2, 2];
        let rows = [0, 1, 1, 1];
        assert_eq!(
            lines(Task::Ordinal, &known, &rows, &metrics),
            [
                "accuracy 0.2500 by always `bad`",
                "mae 0.2500 by always `fair`, not beaten",
            ]
        );
        assert_eq!(
            lines(Task::Classification, &[2], &rows, &metrics),
            ["accuracy 0.0000 by always `good`"]
        );
        assert_eq!(lines(Task::Ordinal, &known, &[], &metrics), [""; 0]);
        // The lower median of an even number.
        assert_eq!(median(vec![2, 0, 2, 0]), 0);
    }

    #[test]
    fn warnings_say_which_rows_and_which_answer() {
        let baseline = |value, model: Option<f64>| Baseline {
            metric: Metric::Accuracy,
            constant: Constant::MajorityClass,
            answer: "good".to_owned(),
            value,
            model,
            beaten: model.is_some_and(|model| model > value),
        };
        for (value, model, expected) in [
            (0.5, Some(0.75), None),
            (
                0.5,
                Some(0.5),
                Some(
                    "accuracy on the validation rows is 0.5000, no better than 0.5000, that of the \
                     answer `good` for every text",
                ),
            ),
            (
                0.5,
                None,
                Some(
                    "accuracy on the validation rows is n/a, no better than 0.5000, that of the \
                     answer `good` for every text",
                ),
            ),
            (
                1.0,
                Some(1.0),
                Some(
                    "the answer `good` is right for all validation rows, so accuracy on them \
                     cannot tell a good model from a constant",
                ),
            ),
        ] {
            let found = baseline(value, model).warning("validation");
            assert_eq!(found.as_deref(), expected);
        }
    }

    #[test]
    fn fields_in_json_have_one_shape() {
        let targets = [1.0, 4.0].map(Target::Number);
        let all = Baseline::all(
            Task::Regression,
            &[],
            &targets,
            &targets,
            &Metrics::default(),
        );
        let expected = serde_json::json!([
            {"metric": "mae", "constant": "mean", "answer": "2.5", "value": 1.5, "model": 0.0,
             "beaten": true},
            {"metric": "loss", "constant": "mean", "answer": "2.5", "value": 2.25, "model": 0.0,
             "beaten": true},
        ]);
        assert_eq!(serde_json::to_value(&all).ok(), Some(expected));
    }
}
