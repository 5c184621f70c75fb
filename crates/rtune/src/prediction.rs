//! Predictions row by row, in memory that does not grow with the rows.

use crate::console::Progress;
use crate::exit::usage;
use crate::interrupt::INTERRUPT;
use crate::predictor::{AnyPredictor, BATCH_SIZE};
use crate::records::{Record, Source};
use anyhow::Result;
use rtune_data::{DataError, DataProblem, Row, RowError};
use rtune_infer::predict_encoded;
use rtune_text::Encoded;
use std::path::Path;

/// The number of rows that are predicted at once. Batches are made of texts of similar length among
/// them.
const CHUNK: usize = 1024;

/// The numbers of rows, and the first that cannot be used.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) rows: usize,
    pub(crate) unusable: usize,
    pub(crate) truncated: usize,
    first: Vec<RowError>,
}

impl Counts {
    /// Largest number of unusable rows that a message lists.
    const LISTED: usize = 20;

    fn push(&mut self, error: RowError) {
        self.unusable += 1;
        if self.first.len() < Self::LISTED {
            self.first.push(error);
        }
    }

    /// Returns the error that lists the unusable rows, if there are any. Without a file, they are
    /// texts of the command line.
    pub(crate) fn fault(&mut self, file: Option<&Path>) -> Option<anyhow::Error> {
        let mut first = std::mem::take(&mut self.first);
        let Some(path) = file else {
            let text = |row: &RowError| format!("text {}: {}", row.line, row.problem);
            return match &first[..] {
                [] => None,
                [row] => Some(usage(text(row))),
                rows => {
                    let lines: Vec<String> = rows.iter().map(text).collect();
                    let more = match self.unusable - rows.len() {
                        0 => String::new(),
                        more => format!("\n  and {more} more"),
                    };
                    let (count, lines) = (self.unusable, lines.join("\n  "));
                    Some(usage(format!(
                        "{count} texts cannot be used\n  {lines}{more}"
                    )))
                }
            };
        };
        let error = match (self.unusable, first.pop()?) {
            (1, row) => row.of(path),
            (count, last) => {
                first.push(last);
                let labels = None;
                DataError::file(
                    path,
                    DataProblem::BadRows {
                        first,
                        count,
                        labels,
                    },
                )
            }
        };
        Some(error.into())
    }
}

/// Predicts rows and hands them to `write` in their order, until it returns false. A row that
/// cannot be used is handed on with the reason.
pub(crate) fn predict(
    predictor: &AnyPredictor,
    rows: &mut dyn Iterator<Item = Result<Result<Row, RowError>, DataError>>,
    mut bar: Option<Progress>,
    write: &mut dyn FnMut(&[Record], &Counts) -> Result<bool>,
) -> Result<Counts> {
    let mut counts = Counts::default();
    loop {
        INTERRUPT.check()?;
        let done = counts.rows;
        let chunk = Chunk::read(predictor, rows, &mut counts)?;
        if chunk.sources.is_empty() {
            return Ok(counts);
        }
        let mut progress = |part| {
            if let Some(bar) = &mut bar {
                bar.set(done + part);
            }
        };
        let records = chunk.predict(predictor, &mut progress)?;
        if !write(&records, &counts)? {
            return Ok(counts);
        }
    }
}

/// Rows that are predicted at once.
#[derive(Default)]
struct Chunk {
    sources: Vec<Source>,
    /// The text of each row, or the reason why there is none.
    texts: Vec<Result<Encoded, String>>,
}

impl Chunk {
    fn read(
        predictor: &AnyPredictor,
        rows: &mut dyn Iterator<Item = Result<Result<Row, RowError>, DataError>>,
        counts: &mut Counts,
    ) -> Result<Self> {
        let mut chunk = Self::default();
        for row in rows.take(CHUNK) {
            counts.rows += 1;
            let (source, encoded) = match row? {
                Ok(mut row) => {
                    let encoded = predictor.tokenizer().encode(row.texts());
                    let source = Source {
                        line: row.line,
                        id: row.others.pop(),
                        text: Some(row.text),
                        text_pair: row.pair,
                    };
                    (source, encoded.map_err(|e| RowError::new(row.line, e)))
                }
                Err(mut error) => {
                    let source = Source {
                        line: error.line,
                        id: error.others.pop().flatten(),
                        text: None,
                        text_pair: None,
                    };
                    (source, Err(error))
                }
            };
            chunk.sources.push(source);
            chunk.texts.push(encoded.map_err(|error| {
                let text = error.problem.to_string();
                counts.push(error);
                text
            }));
        }
        let encoded = chunk.texts.iter().flatten();
        counts.truncated += encoded.filter(|text| text.truncated).count();
        Ok(chunk)
    }

    fn predict(
        self,
        predictor: &AnyPredictor,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Record>> {
        let predictions = predict_encoded(predictor.outputs(), self.texts, |texts| {
            predictor.logits(texts, BATCH_SIZE, progress)
        })?;
        let record = |(source, prediction)| Record { source, prediction };
        Ok(self
            .sources
            .into_iter()
            .zip(predictions)
            .map(record)
            .collect())
    }
}
