use rtune_task::{Baseline, Decision, Metrics};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// The result of measuring a model on labelled texts. Its `Display` is the report for people.
#[derive(Debug, Clone, Serialize)]
pub struct EvaluationReport {
    /// Version of this format, from 1.
    pub version: u32,
    /// The measured folder or file.
    pub model: PathBuf,
    /// The rule of an ordinal model's labels; none for other models.
    pub decision: Option<Decision>,
    /// The metrics of the task.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// The best constant answers for the same rows.
    pub baseline: Vec<Baseline>,
    /// Texts per second, tokenization left out.
    pub samples_per_second: f64,
    /// Peak resident memory of the process in megabytes, if the system reports it.
    pub peak_rss_mb: Option<f64>,
}

impl EvaluationReport {
    /// Version of the format that this build writes.
    pub const VERSION: u32 = 2;
}

impl fmt::Display for EvaluationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} texts  {}", self.metrics.samples, self.metrics)?;
        if let Some(decision) = self.decision {
            write!(f, "  (labels by the {decision} class)")?;
        }
        for baseline in &self.baseline {
            write!(f, "\nbaseline  {baseline}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_task::{Decision, Prediction, Target, Task};

    #[test]
    fn report_is_one_flat_document() {
        let predictions =
            [1.0, 3.0].map(|x| Prediction::from_logits(Task::Regression, None, &[x]).unwrap());
        let targets = [1.0, 2.0].map(Target::Number);
        let metrics = Metrics::compute(&predictions, &targets, Decision::Mode, &[]).unwrap();
        let report = EvaluationReport {
            version: EvaluationReport::VERSION,
            model: "onnx".into(),
            decision: None,
            baseline: Baseline::all(Task::Regression, &[], &targets, &targets, &metrics),
            metrics,
            samples_per_second: 8.0,
            peak_rss_mb: None,
        };
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["version"], EvaluationReport::VERSION);
        assert_eq!(json["samples"], 2);
        assert_eq!(json["mae"], 0.5);
        assert_eq!(json.get("decision"), Some(&serde_json::Value::Null));
        assert!(report.to_string().starts_with("2 texts  "), "{report}");
        let report = EvaluationReport {
            decision: Some(Decision::Median),
            ..report
        };
        let text = report.to_string();
        let lines = [
            "  (labels by the median class)",
            "baseline  mae 0.5000 by always 1.5, not beaten",
            "baseline  loss 0.2500 by always 1.5, not beaten",
        ];
        assert!(text.ends_with(&lines.join("\n")), "{text}");
    }
}
