//! `rtune predict`: flags, prediction, printing.

use crate::console::{note, result};
use crate::data::read_encoded;
use crate::exit::usage;
use crate::flags::{Common, DeviceFlag, TextFlags};
use crate::predictor::{AnyPredictor, BATCH_SIZE};
use anyhow::{Context as _, Result};
use clap::Args;
use rtune_infer::LabeledPrediction;
use rtune_text::{Encoded, Tokenizer};
use std::path::PathBuf;
use std::process::ExitCode;

/// Predict the label of texts
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rtune predict --model int8 \"a wonderful little film\"
  rtune predict --model int8 --input texts.csv --json")]
pub(crate) struct Predict {
    /// Folder of a fine-tuned model, or of an exported one
    #[arg(long, visible_alias = "model-name-or-path", value_name = "DIR")]
    model: PathBuf,
    /// Texts
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// Texts from a .txt, .csv, .tsv, .json, .jsonl or .parquet file
    #[arg(long, visible_alias = "test-file", value_name = "FILE")]
    input: Option<PathBuf>,
    #[command(flatten)]
    text: TextFlags,
    #[command(flatten)]
    device: DeviceFlag,
    #[command(flatten)]
    common: Common,
}

impl Predict {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        if self.texts.is_empty() && self.input.is_none() {
            return Err(usage("give texts, or a file of texts with --input"));
        }
        let threads = self.common.threads();
        let predictor = AnyPredictor::open(&self.model, &self.device.open()?, threads)?;
        let texts = self.encode(predictor.tokenizer())?;
        let rows = predictor.logits(&texts, BATCH_SIZE, "predicting")?;
        let predictions = predictor.outputs().labeled(&rows)?;
        result(self.common.json, &predictions, || {
            let lines = predictions.iter().map(LabeledPrediction::to_string);
            lines.collect::<Vec<_>>().join("\n")
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn encode(&self, tokenizer: &Tokenizer) -> Result<Vec<Encoded>> {
        if let Some(path) = &self.input {
            return read_encoded(path, &self.text.columns(), usize::MAX, tokenizer);
        }
        let mut encoded = Vec::new();
        for (number, text) in (1..).zip(&self.texts) {
            let text = tokenizer.encode(text);
            let text = text.with_context(|| format!("text {number}"))?;
            if text.truncated {
                note(format!(
                    "text {number} is longer than {} tokens and was truncated",
                    tokenizer.max_length()
                ));
            }
            encoded.push(text);
        }
        Ok(encoded)
    }
}
