//! `rtune predict`: flags, prediction, printing.

use crate::console::{Progress, note, result};
use crate::data::{FORMATS, given_rows, note_truncated, open_rows};
use crate::exit::{self, usage};
use crate::flags::{Common, DeviceFlag, TextFlags};
use crate::prediction::{Counts, predict};
use crate::predictor::AnyPredictor;
use crate::records::{Form, RecordWriter, Summary};
use crate::sink::Sink;
use anyhow::Result;
use clap::{Args, builder::PossibleValuesParser};
use rtune_data::{Columns, DataError, Row, RowError};
use rtune_text::Tokenizer;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Predict the label of texts
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rtune predict --model int8 \"a wonderful little film\"
  rtune predict --model nli \"a man sleeps\" --text-pair \"a man is awake\"
  rtune predict --model int8 --input texts.csv --id-column id --output predictions.csv
  gzip -dc texts.jsonl.gz | rtune predict --model int8 --input - --input-format jsonl | head

A row that cannot be used keeps its place, with the reason as `error`. The exit code is then still \
0, and 2 if no row can be used; the rows with their reasons are written in either case.")]
pub(crate) struct Predict {
    /// Folder of a fine-tuned model, or of an exported one
    #[arg(long, visible_alias = "model-name-or-path", value_name = "DIR")]
    model: PathBuf,
    /// Texts
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// Second text, for a model of pairs: each TEXT is paired with it
    #[arg(long, value_name = "TEXT")]
    text_pair: Option<String>,
    /// Texts from a .txt, .csv, .tsv, .json, .jsonl or .parquet file; - reads standard input
    #[arg(long, visible_alias = "test-file", value_name = "FILE")]
    input: Option<PathBuf>,
    /// Format of --input [default: by the ending of its name]
    #[arg(long, value_name = "FORMAT")]
    #[arg(value_parser = PossibleValuesParser::new(FORMATS))]
    input_format: Option<String>,
    /// Column or field of --input that goes into the output as `id`
    #[arg(long, value_name = "NAME")]
    id_column: Option<String>,
    /// File to write, in place of standard output: .csv, .tsv or .jsonl
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Format of the predictions [default: by the ending of --output; tsv on standard output]
    #[arg(long, value_name = "FORMAT")]
    #[arg(value_parser = PossibleValuesParser::new(Form::NAMES))]
    output_format: Option<String>,
    /// Replace the file --output
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    text: TextFlags,
    #[command(flatten)]
    device: DeviceFlag,
    #[command(flatten)]
    common: Common,
}

type Rows<'a> = Box<dyn Iterator<Item = Result<Result<Row, RowError>, DataError>> + 'a>;

impl Predict {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        if self.texts.is_empty() && self.input.is_none() {
            return Err(usage("give texts, or a file of texts with --input"));
        }
        let json = self.common.json;
        let form = Form::choose(self.output.as_deref(), self.output_format.as_deref(), json)?;
        let mut sink = Sink::open(self.output.as_deref(), self.force, self.input.as_deref())?;
        let threads = self.common.threads();
        let predictor = AnyPredictor::open(&self.model, &self.device.open()?, threads)?;
        let (file, mut rows) = self.rows(predictor.tokenizer())?;
        let file = file.as_deref();
        let bar = sink.is_apart().then(|| Progress::endless("predicting"));
        let (has_id, has_pair) = (
            self.id_column.is_some(),
            predictor.tokenizer().takes_pairs(),
        );
        let mut writer = RecordWriter::new(form, predictor.outputs(), has_id, has_pair);
        let counts = predict(&predictor, &mut *rows, bar, &mut |records, counts| {
            sink.write(|out| writer.write(out, records, &self.summary(counts)))
        });
        let mut counts = counts.map_err(|error| sink.interrupted(error))?;
        let summary = self.summary(&counts);
        let mut fault = counts.fault(file);
        if summary.unusable < summary.rows
            && let Some(fault) = fault.take()
        {
            let (fault, rows) = (exit::message(&fault, Some("predict")), summary.rows);
            let good = rows - summary.unusable;
            note(format!(
                "note: {fault}\nnote: {good} of {rows} rows are predicted"
            ));
        }
        let place = file.unwrap_or(Path::new("command line"));
        let length = predictor.tokenizer().max_length();
        note_truncated(place, summary.truncated, summary.rows, length);
        sink.write(|out| writer.finish(out, &summary))?;
        sink.commit()?;
        if let Some(path) = &self.output {
            result(json, &summary, || {
                format!("{}: {} rows", path.display(), summary.rows)
            })?;
        }
        fault.map_or(Ok(ExitCode::SUCCESS), Err)
    }

    fn summary(&self, counts: &Counts) -> Summary {
        Summary {
            version: Summary::VERSION,
            model: self.model.clone(),
            output: self.output.clone(),
            predictions: [],
            rows: counts.rows,
            unusable: counts.unusable,
            truncated: counts.truncated,
        }
    }

    /// Opens the rows for a model with a tokenizer, and returns the file that they come from.
    fn rows(&self, tokenizer: &Tokenizer) -> Result<(Option<PathBuf>, Rows<'_>)> {
        let Some(path) = &self.input else {
            let rows = given_rows(&self.texts, self.text_pair.as_deref(), tokenizer)?;
            return Ok((None, Box::new(rows.map(|row| Ok(Ok(row))))));
        };
        let columns = Columns {
            others: self.id_column.iter().cloned().collect(),
            ..self.text.columns()
        };
        columns.check_texts(path, tokenizer)?;
        let (name, rows) = open_rows(path, self.input_format.as_deref(), &columns)?;
        Ok((Some(name), Box::new(rows)))
    }
}
