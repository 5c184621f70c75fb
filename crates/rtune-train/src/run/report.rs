use rtune_task::{Decision, DecisionMetrics, Metrics};
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
    /// The number of parameters that received a gradient, which is all of them.
    pub parameters_with_gradient: usize,
    /// Training speed since the start or the last resumption.
    pub samples_per_second: f64,
    /// Training speed in tokens, without padding.
    pub tokens_per_second: f64,
    /// Peak resident memory of the process in megabytes, if the caller measured it.
    pub peak_rss_mb: Option<f64>,
    /// The cutpoints of an ordinal model.
    pub cutpoints: Vec<f64>,
    /// The rule of an ordinal model's labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// The metrics of each rule in the best evaluation of an ordinal model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<DecisionMetrics>,
    /// The metrics of the best evaluation.
    pub validation: Metrics,
    /// The metrics on the test rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Metrics>,
}

impl RunReport {
    /// Current version of the fields. Incompatible changes raise it.
    pub const VERSION: u32 = 1;
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model        {}", self.model.display())?;
        writeln!(
            f,
            "steps        {}, the best was {}",
            self.steps, self.best_step
        )?;
        writeln!(
            f,
            "speed        {:.1} samples/s, {:.0} tokens/s",
            self.samples_per_second, self.tokens_per_second
        )?;
        writeln!(
            f,
            "gradients    all {} parameters",
            self.parameters_with_gradient
        )?;
        if let Some(peak) = self.peak_rss_mb {
            writeln!(f, "peak memory  {peak:.0} MB")?;
        }
        for row in &self.decisions {
            writeln!(f, "{}", describe(row, self.decision == Some(row.decision)))?;
        }
        write!(f, "validation   {}", self.validation)?;
        if let Some(test) = &self.test {
            write!(f, "\ntest         {test}")?;
        }
        Ok(())
    }
}

/// A line for a decision rule; the one of the model is marked.
fn describe(row: &DecisionMetrics, chosen: bool) -> String {
    let number = |value: Option<f64>| value.map_or("n/a".to_owned(), |value| format!("{value:.4}"));
    format!(
        "{:<12} {:<6}  accuracy {}  qwk {}  mae {:.4}{}",
        match row.decision {
            Decision::Mode => "decision",
            _ => "",
        },
        row.decision,
        number(row.accuracy),
        number(row.qwk),
        row.mae,
        match chosen {
            true => "  (chosen)",
            false => "",
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> RunReport {
        RunReport {
            version: RunReport::VERSION,
            model: "run/final".into(),
            steps: 9,
            best_step: 6,
            parameters_with_gradient: 37,
            samples_per_second: 12.34,
            tokens_per_second: 567.8,
            peak_rss_mb: None,
            cutpoints: vec![-1.0, 1.0],
            decision: None,
            decisions: Vec::new(),
            validation: Metrics {
                samples: 4,
                loss: 0.5,
                mae: 0.25,
                spearman: 0.75,
                ..Metrics::default()
            },
            test: None,
        }
    }

    #[test]
    fn the_fields_of_the_json_document_are_kept() {
        let metrics = serde_json::json!({
            "samples": 4, "loss": 0.5, "mae": 0.25, "spearman": 0.75,
        });
        let mut expected = serde_json::json!({
            "version": 1,
            "model": "run/final",
            "steps": 9,
            "best_step": 6,
            "parameters_with_gradient": 37,
            "samples_per_second": 12.34,
            "tokens_per_second": 567.8,
            "peak_rss_mb": null,
            "cutpoints": [-1.0, 1.0],
            "validation": metrics,
        });
        let mut report = report();
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
            lines[..5],
            [
                "model        run/final",
                "steps        9, the best was 6",
                "speed        12.3 samples/s, 568 tokens/s",
                "gradients    all 37 parameters",
                "peak memory  100 MB",
            ]
        );
        assert_eq!(lines[5].replace("validation ", "test       "), lines[6]);
    }
}
