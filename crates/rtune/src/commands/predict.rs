use crate::cli::{Common, DeviceFlag};
use crate::console::{note, result};
use crate::data::read_encoded;
use crate::exit::usage;
use crate::predictor::{BATCH_SIZE, Meaning, Predictor};
use anyhow::{Context as _, Result};
use clap::Args;
use rtune_task::Prediction;
use rtune_text::Encoded;
use serde::{Serialize, Serializer};
use std::path::PathBuf;
use std::process::ExitCode;

/// Predict the label of texts
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rtune predict --model int8 \"a wonderful little film\"
  rtune predict --model int8 --input texts.csv --json")]
pub(crate) struct Predict {
    /// Folder of a fine-tuned model, or of an exported one
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Texts
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// Texts from a .txt, .csv, .tsv or .jsonl file
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    input: Option<PathBuf>,
    /// Column or field that holds the text
    #[arg(long, default_value = "text", value_name = "NAME")]
    text_column: String,
    #[command(flatten)]
    device: DeviceFlag,
    #[command(flatten)]
    common: Common,
}

/// The result for one text.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// In the order of the labels.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_object")]
    probabilities: Vec<(String, f64)>,
    score: f64,
}

fn as_object<S: Serializer>(entries: &[(String, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|(label, p)| (label, p)))
}

impl Predict {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        if self.texts.is_empty() && self.input.is_none() {
            return Err(usage("give texts, or a file of texts with --input"));
        }
        let threads = self.common.threads();
        let mut predictor = Predictor::open(&self.model, &self.device.open()?, threads)?;
        let texts = self.encode(&predictor)?;
        let rows = predictor.logits(&texts, BATCH_SIZE, "predicting")?;
        let meaning = predictor.meaning.clone();
        let rows: Vec<Row> = meaning
            .predictions(&rows)?
            .iter()
            .map(|p| Row::new(p, &meaning))
            .collect();
        result(self.common.json, &rows, || {
            rows.iter().map(Row::to_text).collect::<Vec<_>>().join("\n")
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn encode(&self, predictor: &Predictor) -> Result<Vec<Encoded>> {
        if let Some(path) = &self.input {
            return read_encoded(path, &self.text_column, usize::MAX, &predictor.tokenizer);
        }
        let mut encoded = Vec::new();
        for (index, text) in (1..).zip(&self.texts) {
            let text = predictor
                .tokenizer
                .encode(text)
                .with_context(|| format!("text {index}"))?;
            if text.truncated {
                note(format!(
                    "text {index} is longer than {} tokens and was truncated",
                    predictor.tokenizer.max_length()
                ));
            }
            encoded.push(text);
        }
        Ok(encoded)
    }
}

impl Row {
    fn new(prediction: &Prediction, meaning: &Meaning) -> Self {
        let label =
            (!meaning.labels.is_empty()).then(|| meaning.labels[prediction.class()].clone());
        let probabilities = meaning
            .labels
            .iter()
            .cloned()
            .zip(prediction.probabilities.iter().copied())
            .collect();
        Self {
            label,
            probabilities,
            score: prediction.score,
        }
    }

    fn to_text(&self) -> String {
        let Some(label) = &self.label else {
            return format!("{:.4}", self.score);
        };
        let probabilities: Vec<String> = self
            .probabilities
            .iter()
            .map(|(label, p)| format!("{label} {p:.3}"))
            .collect();
        format!(
            "{label}\tscore {:.4}\t{}",
            self.score,
            probabilities.join("  ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_in_the_order_of_the_labels() {
        let row = Row {
            label: Some("poor".to_owned()),
            probabilities: vec![("poor".to_owned(), 0.75), ("good".to_owned(), 0.25)],
            score: -1.0,
        };
        assert_eq!(row.to_text(), "poor\tscore -1.0000\tpoor 0.750  good 0.250");
        let json = serde_json::to_string(&row).unwrap();
        assert!(json.contains(r#"{"poor":0.75,"good":0.25}"#), "{json}");
    }
}
