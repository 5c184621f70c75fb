//! The rows of a run, checked and tokenized.

use super::RunRequest;
use crate::{Callback, Event, TrainError};
use rtune_data::{
    DataError, DataProblem, Dataset, Example, LabelKind, check_classes, class_names, read_examples,
    split,
};
use rtune_nn::TextModel;
use rtune_task::Task;
use rtune_text::Tokenizer;
use std::path::Path;

/// The rows of a run as token ids, the names of the classes, and the tokenizer.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) training: Dataset,
    pub(super) validation: Dataset,
    pub(super) test: Option<Dataset>,
    pub(super) labels: Vec<String>,
    pub(super) tokenizer: Tokenizer,
}

impl Data {
    /// Reads all files of a request to their ends.
    ///
    /// # Errors
    /// If the tokenizer or a file cannot be used, or the labels do not number the classes.
    pub(super) fn read(
        request: &RunRequest,
        callback: &mut dyn Callback,
    ) -> Result<Self, TrainError> {
        // A missing tokenizer is found before the rows are read.
        let tokenizer = Tokenizer::read(&request.model, request.max_length)?;
        let path = &request.train;
        let kind = LabelKind::of_task(request.task, &request.labels);
        let examples = read_examples(path, &request.columns(), &kind)?;
        let labels = match request.labels.as_slice() {
            [] if request.task != Task::Regression => class_names(path, &examples)?,
            labels => labels.to_vec(),
        };
        let (examples, held_out) = hold_out(request, examples, callback);
        if request.task != Task::Regression {
            check_classes(path, &examples, labels.len(), true)?;
            if let [label] = labels.as_slice() {
                let problem = DataProblem::OneClass(label.clone());
                return Err(DataError::file(path, problem).into());
            }
        }
        let training = Dataset::new(path, &examples, &tokenizer)?;
        report_truncated(path, &training, &tokenizer, callback);
        let mut read = |path: &Path| -> Result<Dataset, TrainError> {
            let columns = request.columns();
            let data = Dataset::read(path, &columns, request.task, &labels, &tokenizer)?;
            report_truncated(path, &data, &tokenizer, callback);
            Ok(data)
        };
        let validation = match &request.validation {
            Some(path) => read(path)?,
            None => Dataset::new(path, &held_out, &tokenizer)?,
        };
        let test = request.test.as_deref().map(&mut read).transpose()?;
        Ok(Self {
            training,
            validation,
            test,
            labels,
            tokenizer,
        })
    }
}

/// Separates the validation examples if they have no file: a tenth of the rows, at least one.
fn hold_out(
    request: &RunRequest,
    examples: Vec<Example>,
    callback: &mut dyn Callback,
) -> (Vec<Example>, Vec<Example>) {
    if request.validation.is_some() {
        return (examples, Vec::new());
    }
    let rows = examples.len();
    let count = (rows / 10).max(1);
    callback.on_event(&Event::HeldOut {
        examples: count,
        of: rows,
    });
    split(examples, count, request.settings.seed)
}

fn report_truncated(
    path: &Path,
    data: &Dataset,
    tokenizer: &Tokenizer,
    callback: &mut dyn Callback,
) {
    if data.truncated > 0 {
        callback.on_event(&Event::Truncated {
            path,
            texts: data.truncated,
            of: data.len(),
            max_length: tokenizer.max_length(),
        });
    }
}

/// Checks that the model has a row of embeddings for each token.
///
/// # Errors
/// If the tokenizer has more tokens.
pub(super) fn check_vocabulary(
    folder: &Path,
    model: &TextModel,
    tokenizer: &Tokenizer,
) -> Result<(), TrainError> {
    let tokens = tokenizer.vocab_size();
    match model.config().vocab_size().filter(|rows| tokens > *rows) {
        None => Ok(()),
        Some(rows) => Err(TrainError::Vocabulary {
            folder: folder.to_owned(),
            tokens,
            rows,
        }),
    }
}
