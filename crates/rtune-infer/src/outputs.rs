use crate::InferError;
use rtune_package::Metadata;
use rtune_task::{Decision, Metrics, OrdinalScale, Output, Prediction, Target, Task};
use serde::{Serialize, Serializer};

/// The meaning of a model's outputs: task, labels, scale and decision rule.
#[derive(Debug, Clone)]
pub struct OutputSpec {
    /// The task.
    pub task: Task,
    /// Names of the classes in order; empty for regression.
    pub labels: Vec<String>,
    /// The scale of an ordinal model.
    pub scale: Option<OrdinalScale>,
    /// The rule of an ordinal model's labels; the default for other models.
    pub decision: Decision,
    /// The output that is interpreted: [`rtune_task::Outputs::interpreted`].
    pub output: Output,
}

impl OutputSpec {
    /// Returns the meaning that a folder's metadata states.
    ///
    /// # Errors
    /// If the model has none of the outputs that predictions follow from.
    pub fn of_metadata(metadata: &Metadata) -> Result<Self, InferError> {
        let Some(output) = metadata.outputs.interpreted(metadata.spec.task) else {
            return Err(InferError::NoPredictions(metadata.outputs.clone()));
        };
        Ok(Self {
            task: metadata.spec.task,
            labels: metadata.spec.labels.clone(),
            scale: (metadata.spec.task == Task::Ordinal).then(|| metadata.scale()),
            decision: metadata.spec.decision,
            output,
        })
    }

    /// Checks that a row of logits has the columns that the labels need, and numbers in them: no
    /// label follows from NaN.
    ///
    /// # Shapes
    /// row `[outputs]`
    ///
    /// # Errors
    /// If it has more or fewer, or one that is NaN or infinite.
    pub fn check(&self, row: &[f32]) -> Result<(), InferError> {
        let expected = match self.task {
            Task::Classification => self.labels.len(),
            Task::Ordinal | Task::Regression => 1,
            Task::Embedding => 0,
        };
        if row.len() != expected {
            return Err(self.problem(format!(
                "has {} columns, metadata.json needs {expected}; they belong to different models",
                row.len()
            )));
        }
        match row.iter().find(|value| !value.is_finite()) {
            None => Ok(()),
            Some(value) => Err(self.problem(format!(
                "is {value} for a text, from which no prediction follows; a weight is damaged, or \
                 a number overflows"
            ))),
        }
    }

    /// An error of the interpreted output.
    pub(crate) fn problem(&self, problem: String) -> InferError {
        InferError::Output {
            output: self.output.name(),
            problem,
        }
    }

    /// Interprets rows of logits.
    ///
    /// # Shapes
    /// rows `[texts, outputs]` → `[texts]`
    ///
    /// # Errors
    /// If a row does not fit the task.
    pub fn predictions(&self, rows: &[Vec<f32>]) -> Result<Vec<Prediction>, InferError> {
        let of = |row: &Vec<f32>| Prediction::from_logits(self.task, self.scale.as_ref(), row);
        Ok(rows.iter().map(of).collect::<Result<_, _>>()?)
    }

    /// Interprets rows of logits, with the names of the labels.
    ///
    /// # Shapes
    /// rows `[texts, outputs]` → `[texts]`
    ///
    /// # Errors
    /// If a row does not fit the task.
    pub fn labeled(&self, rows: &[Vec<f32>]) -> Result<Vec<LabeledPrediction>, InferError> {
        let predictions = self.predictions(rows)?;
        Ok(predictions.iter().map(|p| self.label(p)).collect())
    }

    /// Measures rows of logits against targets, with the labels of the model's decision rule.
    ///
    /// # Shapes
    /// rows `[texts, outputs]`, targets `[texts]`
    ///
    /// # Errors
    /// If a row or a target does not fit the task.
    pub fn metrics(&self, rows: &[Vec<f32>], targets: &[Target]) -> Result<Metrics, InferError> {
        let predictions = self.predictions(rows)?;
        Ok(Metrics::compute(
            &predictions,
            targets,
            self.decision,
            &self.labels,
        )?)
    }

    /// Gives a prediction the names of the labels, and the label of the model's decision rule.
    pub fn label(&self, prediction: &Prediction) -> LabeledPrediction {
        let class = prediction.class(self.decision);
        let probabilities = prediction.probabilities.iter().copied();
        LabeledPrediction {
            label: self.labels.get(class).cloned(),
            score: match self.task {
                // Its classes have no order, so a mean of them says nothing.
                Task::Classification => prediction.probabilities[class],
                Task::Ordinal | Task::Regression | Task::Embedding => prediction.score,
            },
            probabilities: self.labels.iter().cloned().zip(probabilities).collect(),
        }
    }
}

/// The prediction for one text, with names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabeledPrediction {
    /// The label that the decision rule picks; `None` for regression.
    pub label: Option<String>,
    /// The ordinal score, the number of a regression, or the probability of the label of a
    /// classification.
    pub score: f64,
    /// Each label with its probability, in the order of the labels; empty for regression. As JSON,
    /// an object in that order.
    #[serde(serialize_with = "in_order")]
    pub probabilities: Vec<(String, f64)>,
}

fn in_order<S: Serializer>(pairs: &[(String, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(label, p)| (label, p)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_task::Link;

    fn ordinal(labels: &[&str]) -> OutputSpec {
        OutputSpec {
            task: Task::Ordinal,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            scale: Some(OrdinalScale::new(vec![-1.0, 1.0], Link::Logit)),
            decision: Decision::Mode,
            output: Output::Logits,
        }
    }

    #[test]
    fn probabilities_keep_the_order_of_the_labels() {
        let spec = ordinal(&["poor", "fair", "excellent"]);
        let labeled = spec.label(&spec.predictions(&[vec![5.0]]).unwrap()[0]);
        assert_eq!(labeled.label.as_deref(), Some("excellent"));
        let json = serde_json::to_string(&labeled).unwrap();
        let places: Vec<_> = ["poor\":", "fair\":", "excellent\":"]
            .iter()
            .map(|label| json.find(label).unwrap())
            .collect();
        assert!(places.is_sorted(), "{json}");
    }

    #[test]
    fn the_label_follows_the_decision_rule() {
        // 0.44, 0.21 and 0.35.
        let spec = OutputSpec {
            scale: Some(OrdinalScale::new(vec![-0.25, 0.6], Link::Logit)),
            ..ordinal(&["poor", "fair", "excellent"])
        };
        let label = |decision| {
            let spec = OutputSpec {
                decision,
                ..spec.clone()
            };
            spec.labeled(&[vec![0.0]]).unwrap()[0].label.clone()
        };
        let labels = Decision::ALL.map(label);
        assert_eq!(
            labels,
            ["poor", "fair", "fair"].map(|label| Some(label.to_owned()))
        );
    }

    #[test]
    fn the_score_of_a_classification_is_the_probability_of_its_label() {
        let spec = OutputSpec {
            task: Task::Classification,
            scale: None,
            ..ordinal(&["poor", "fair", "excellent"])
        };
        let row = &spec.labeled(&[vec![0.0, 0.0, 2_f32.ln()]]).unwrap()[0];
        assert_eq!(row.label.as_deref(), Some("excellent"));
        assert!((row.score - 0.5).abs() < 1e-7, "{row:?}");
        let json = serde_json::to_string(&row).unwrap();
        assert!(json.contains(r#""probabilities":{"poor":0.2"#), "{json}");
    }

    #[test]
    fn regression_has_a_score_only() {
        let spec = OutputSpec {
            task: Task::Regression,
            labels: Vec::new(),
            scale: None,
            decision: Decision::Mode,
            output: Output::Logits,
        };
        let labeled = spec.label(&spec.predictions(&[vec![2.5]]).unwrap()[0]);
        let json = r#"{"label":null,"score":2.5,"probabilities":{}}"#;
        assert_eq!(serde_json::to_string(&labeled).unwrap(), json);
    }

    #[test]
    fn no_prediction_follows_from_a_row_that_is_no_number() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = ordinal(&["a", "b", "c"]).check(&[value]).unwrap_err();
            let start = format!("`logits`: is {value} for a text");
            assert!(error.to_string().starts_with(&start), "{error}");
            assert!(error.is_input());
        }
    }

    #[test]
    fn columns_must_fit_the_task() {
        let classes = OutputSpec {
            task: Task::Classification,
            scale: None,
            ..ordinal(&["a", "b", "c"])
        };
        let scale = ordinal(&["a", "b", "c"]);
        let cases = [
            (&scale, 1, true),
            (&scale, 3, false),
            (&classes, 3, true),
            (&classes, 1, false),
        ];
        for (spec, columns, fits) in cases {
            assert_eq!(
                spec.check(&vec![0.0; columns]).is_ok(),
                fits,
                "{spec:?} {columns}"
            );
        }
    }
}
