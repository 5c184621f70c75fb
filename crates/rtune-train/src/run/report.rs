use crate::Evaluation;
use crate::best::value;
use crate::refit::Refit;
use rtune_task::{Baseline, Decision, DecisionMetrics, Metric, Metrics, TargetStatistics};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// The result of a run, as JSON and as text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Version of the fields; [`RunReport::VERSION`].
    pub version: u32,
    /// The folder of the fine-tuned model.
    pub model: PathBuf,
    /// The number of steps done.
    pub steps: usize,
    /// The step of the best evaluation, whose parameters the model has.
    pub best_step: usize,
    /// The metric that chose it; of evaluations with the same value, the one of the lowest loss.
    pub best_metric: Metric,
    /// The value of that metric; none if it is undefined.
    pub best_value: Option<f64>,
    /// The number of parameters that received a gradient, which is all of them.
    pub parameters_with_gradient: usize,
    /// Speed of the steps since the start or the last resumption, without evaluations and
    /// checkpoints; none without a step.
    pub samples_per_second: Option<f64>,
    /// The same in tokens, without padding.
    pub tokens_per_second: Option<f64>,
    /// Peak resident memory of the process in megabytes, if the caller measured it.
    pub peak_rss_mb: Option<f64>,
    /// The cutpoints of an ordinal model.
    pub cutpoints: Vec<f64>,
    /// The statistics of the targets of a regression, in whose unit all other numbers are.
    pub targets: Option<TargetStatistics>,
    /// The rule of an ordinal model's labels; none for other models.
    pub decision: Option<Decision>,
    /// The metrics of each rule on the validation rows, after the last fit; none for other models
    /// than ordinal ones.
    pub decisions: Vec<DecisionMetrics>,
    /// The last fit of an ordinal model's scale to the validation rows.
    pub refit: Option<Refit>,
    /// The metrics of the best evaluation, after the last fit.
    pub validation: Metrics,
    /// Constant answers, fitted to the training rows, on the validation rows.
    pub baseline: Vec<Baseline>,
    /// The metrics on the test rows, if there are any.
    pub test: Option<Metrics>,
    /// All evaluations since the start of the run, without the values of single classes and the
    /// rows of the rules.
    pub history: Vec<Evaluation>,
}

impl RunReport {
    /// Current version of the fields. Incompatible changes raise it.
    pub const VERSION: u32 = 2;
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model        {}", self.model.display())?;
        writeln!(f, "steps        {}", self.steps)?;
        writeln!(f, "best model   {}", self.describe_best())?;
        if let (Some(samples), Some(tokens)) = (self.samples_per_second, self.tokens_per_second) {
            writeln!(
                f,
                "speed        {samples:.1} samples/s, {tokens:.0} tokens/s"
            )?;
        }
        writeln!(
            f,
            "gradients    all {} parameters",
            self.parameters_with_gradient
        )?;
        if let Some(peak) = self.peak_rss_mb {
            writeln!(f, "peak memory  {peak:.0} MB")?;
        }
        if let Some(refit) = &self.refit {
            writeln!(
                f,
                "refit        {} on {} validation rows: loss {:.4}, now {:.4}",
                if refit.cutpoints {
                    "scale and cutpoints"
                } else {
                    "scale"
                },
                refit.rows,
                refit.loss_before,
                refit.loss_after
            )?;
        }
        for row in &self.decisions {
            writeln!(f, "{}", describe(row, self.decision == Some(row.decision)))?;
        }
        write!(f, "validation   {}", self.validation)?;
        for (index, baseline) in self.baseline.iter().enumerate() {
            let name = if index == 0 { "baseline" } else { "" };
            write!(f, "\n{name:<12} {baseline}")?;
        }
        if let Some(test) = &self.test {
            write!(f, "\ntest         {test}")?;
        }
        Ok(())
    }
}

impl RunReport {
    /// The choice of the best model, such as `step 6, by qwk 0.7500, of 3 evaluations`.
    fn describe_best(&self) -> String {
        let (step, metric, best) = (self.best_step, self.best_metric, self.best_value);
        let number = Metric::shown(best);
        let all = self.history.len();
        let values = self.history.iter().map(|e| value(metric, &e.metrics));
        let equal = values.filter(|value| *value == best).count();
        let evaluations = if all == 1 {
            "evaluation"
        } else {
            "evaluations"
        };
        let ties = match equal {
            0 | 1 => String::new(),
            _ => format!("; {equal} have this value, and it has the lowest loss of them"),
        };
        format!("step {step}, by {metric} {number}, of {all} {evaluations}{ties}")
    }
}

/// A line for a decision rule; the one of the model is marked.
fn describe(row: &DecisionMetrics, chosen: bool) -> String {
    format!(
        "{:<12} {:<6}  accuracy {}  qwk {}  mae {}{}",
        match row.decision {
            Decision::Mode => "decision",
            _ => "",
        },
        row.decision,
        Metric::shown(row.accuracy),
        Metric::shown(row.qwk),
        Metric::shown(Some(row.mae)),
        match chosen {
            true => "  (chosen)",
            false => "",
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_task::Constant;

    fn report() -> RunReport {
        RunReport {
            version: RunReport::VERSION,
            model: "run/final".into(),
            steps: 9,
            best_step: 6,
            best_metric: Metric::Mae,
            best_value: Some(0.25),
            parameters_with_gradient: 37,
            samples_per_second: Some(12.34),
            tokens_per_second: Some(567.8),
            peak_rss_mb: None,
            cutpoints: vec![-1.0, 1.0],
            targets: None,
            decision: None,
            decisions: Vec::new(),
            refit: None,
            validation: Metrics {
                samples: 4,
                loss: 0.5,
                mae: 0.25,
                spearman: Some(0.75),
                ..Metrics::default()
            },
            baseline: vec![
                baseline(Metric::Accuracy, true),
                baseline(Metric::Mae, false),
            ],
            test: None,
            history: vec![evaluation(3, 0.5), evaluation(6, 0.25), evaluation(9, 0.25)],
        }
    }

    fn baseline(metric: Metric, beaten: bool) -> Baseline {
        Baseline {
            metric,
            constant: Constant::MedianClass,
            answer: "1".to_owned(),
            value: 0.25,
            model: Some(0.5),
            beaten,
        }
    }

    fn evaluation(step: usize, mae: f64) -> Evaluation {
        Evaluation {
            step,
            epoch: 1.0,
            best: step == 6,
            decision: None,
            cutpoints: Vec::new(),
            metrics: Metrics {
                mae,
                ..Metrics::default()
            },
            decisions: Vec::new(),
        }
    }

    #[test]
    fn the_fields_of_the_json_document_are_kept() {
        let metrics = serde_json::json!({
            "samples": 4, "loss": 0.5, "accuracy": null, "mae": 0.25, "macro_mae": null,
            "qwk": null, "off_by_one": null, "rps": null, "ece": null, "spearman": 0.75,
            "r2": null, "precision": {}, "recall": {}, "confusion": {},
        });
        let mut expected = serde_json::json!({
            "version": 2,
            "model": "run/final",
            "steps": 9,
            "best_step": 6,
            "best_metric": "mae",
            "best_value": 0.25,
            "parameters_with_gradient": 37,
            "samples_per_second": 12.34,
            "tokens_per_second": 567.8,
            "peak_rss_mb": null,
            "cutpoints": [-1.0, 1.0],
            "targets": null,
            "decision": null,
            "decisions": [],
            "refit": null,
            "validation": metrics,
            "test": null,
        });
        let mut report = report();
        report.history.truncate(1);
        report.baseline.truncate(1);
        expected["baseline"] = serde_json::json!([{
            "metric": "accuracy", "constant": "median_class", "answer": "1", "value": 0.25,
            "model": 0.5, "beaten": true,
        }]);
        expected["history"] = serde_json::json!([{
            "step": 3, "epoch": 1.0, "best": false, "decision": null, "cutpoints": [],
            "metrics": metrics, "decisions": [],
        }]);
        let history = &mut expected["history"][0]["metrics"];
        history["samples"] = 0.into();
        history["loss"] = 0.0.into();
        history["mae"] = 0.5.into();
        history["spearman"] = serde_json::Value::Null;
        assert_eq!(serde_json::to_value(&report).unwrap(), expected);
        report.test = Some(report.validation.clone());
        expected["test"] = metrics;
        assert_eq!(serde_json::to_value(&report).unwrap(), expected);
        assert_eq!(
            serde_json::from_value::<RunReport>(expected).unwrap(),
            report
        );
    }

    #[test]
    fn decision_rules_are_side_by_side() {
        let row = |decision| DecisionMetrics {
            decision,
            accuracy: Some(0.5),
            qwk: (decision != Decision::Mean).then_some(0.75),
            mae: 1.0,
        };
        let report = RunReport {
            decision: Some(Decision::Median),
            decisions: Decision::ALL.map(row).to_vec(),
            ..report()
        };
        let text = report.to_string();
        let expected = "
decision     mode    accuracy 0.5000  qwk 0.7500  mae 1.0000
             median  accuracy 0.5000  qwk 0.7500  mae 1.0000  (chosen)
             mean    accuracy 0.5000  qwk n/a  mae 1.0000
validation   ";
        assert!(text.contains(expected), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["decision"], "median");
        assert_eq!(json["decisions"][2]["decision"], "mean");
        assert_eq!(json["decisions"][2]["qwk"], serde_json::Value::Null);
        assert_eq!(serde_json::from_value::<RunReport>(json).unwrap(), report);
    }

    #[test]
    fn the_text_has_a_line_for_each_result() {
        let mut report = report();
        report.peak_rss_mb = Some(99.6);
        report.test = Some(report.validation.clone());
        let text = report.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..6],
            [
                "model        run/final",
                "steps        9",
                "best model   step 6, by mae 0.2500, of 3 evaluations; 2 have this value, and it \
                 has the lowest loss of them",
                "speed        12.3 samples/s, 568 tokens/s",
                "gradients    all 37 parameters",
                "peak memory  100 MB",
            ]
        );
        assert_eq!(
            lines[7..9],
            [
                "baseline     accuracy 0.2500 by always `1`",
                "             mae 0.2500 by always `1`, not beaten",
            ]
        );
        assert_eq!(lines[6].replace("validation ", "test       "), lines[9]);
        // A run that was resumed after its last step.
        let report = RunReport {
            samples_per_second: None,
            tokens_per_second: None,
            best_value: None,
            history: vec![evaluation(6, 0.5)],
            ..report
        };
        let text = report.to_string();
        assert!(!text.contains("speed"), "{text}");
        assert!(
            text.contains("best model   step 6, by mae n/a, of 1 evaluation\n"),
            "{text}"
        );
    }
}
