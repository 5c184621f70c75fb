//! The rows of a run, checked and tokenized.

use super::{RunRequest, Split};
use crate::{Callback, Event, TrainError};
use rtune_data::Dataset;
use rtune_interrupt::Interrupt;
use rtune_nn::ModelConfig;
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
    /// If the tokenizer or a file cannot be used, the labels do not number the classes, or
    /// `interrupt` is requested.
    pub(super) fn read(
        request: &RunRequest,
        callback: &mut dyn Callback,
        interrupt: &Interrupt,
    ) -> Result<Self, TrainError> {
        // A missing tokenizer is found before the rows are read.
        let tokenizer = Tokenizer::read(&request.model, request.max_length)?;
        let tokenizer = tokenizer.with_pairs(request.text_pair_column.is_some())?;
        if let Some(change) = tokenizer.change() {
            callback.on_event(&Event::TokenizerChanged(change));
        }
        let (path, columns, task) = (&request.train, request.columns(), request.task);
        let labels = match labels_of_model(request)? {
            None => request.labels.clone(),
            Some(labels) => {
                callback.on_event(&Event::LabelsOfModel {
                    folder: &request.model,
                    labels: &labels,
                });
                labels
            }
        };
        let read = Dataset::read_training(path, &columns, task, &labels, &tokenizer, interrupt);
        let (data, labels) = read?;
        report(path, &data, &tokenizer, callback);
        report_classes(path, &data, &labels, callback);
        let (training, held_out) = hold_out(request, data, callback)?;
        let mut read = |path: &Path| -> Result<Dataset, TrainError> {
            let data = Dataset::read(path, &columns, task, &labels, &tokenizer, interrupt)?;
            report(path, &data, &tokenizer, callback);
            Ok(data)
        };
        let validation = match held_out {
            Some(held_out) => held_out,
            None => read(request.validation.as_deref().unwrap_or(path))?,
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

impl Data {
    /// The parts of the data; the last one judges the finished model.
    pub(super) fn splits<'a>(&'a self, request: &'a RunRequest) -> Vec<Split<'a>> {
        let train = request.train.as_path();
        let validation = request.validation.as_deref().unwrap_or(train);
        let mut splits = vec![
            Split {
                name: "training",
                path: train,
                data: &self.training,
            },
            Split {
                name: "validation",
                path: validation,
                data: &self.validation,
            },
        ];
        if let (Some(path), Some(data)) = (&request.test, &self.test) {
            let name = "test";
            splits.push(Split { name, path, data });
        }
        splits
    }
}

/// The labels of a model that was trained for the same task, if the request names none and keeps
/// the head, and the model has names for them.
fn labels_of_model(request: &RunRequest) -> Result<Option<Vec<String>>, TrainError> {
    if !request.labels.is_empty() || request.init_head || request.task == Task::Regression {
        return Ok(None);
    }
    Ok(ModelConfig::read(&request.model)?.class_names(request.task)?)
}

/// Separates the validation rows if they have no file: a tenth of the rows, at least one.
fn hold_out(
    request: &RunRequest,
    data: Dataset,
    callback: &mut dyn Callback,
) -> Result<(Dataset, Option<Dataset>), TrainError> {
    if request.validation.is_some() {
        return Ok((data, None));
    }
    let rows = data.len();
    let count = (rows / 10).max(1);
    let (training, held_out) = data.hold_out(&request.train, count, request.settings.seed)?;
    callback.on_event(&Event::HeldOut {
        examples: held_out.len(),
        of: rows,
    });
    Ok((training, Some(held_out)))
}

/// Reports what users should know of a file.
fn report(path: &Path, data: &Dataset, tokenizer: &Tokenizer, callback: &mut dyn Callback) {
    if let Some(delimiter) = data.detected_delimiter {
        callback.on_event(&Event::Delimiter { path, delimiter });
    }
    if data.truncated > 0 {
        callback.on_event(&Event::Truncated {
            path,
            texts: data.truncated,
            of: data.len(),
            max_length: tokenizer.max_length(),
        });
    }
}

/// Reports the classes without a row. Smoothing gives them an interval of scores, or an output that
/// is trained to be improbable.
fn report_classes(path: &Path, data: &Dataset, labels: &[String], callback: &mut dyn Callback) {
    let mut rows = vec![0_usize; labels.len()];
    for class in data.targets.iter().filter_map(|target| target.class()) {
        rows[class] += 1;
    }
    let empty = labels.iter().zip(rows).filter(|(_, rows)| *rows == 0);
    let labels: Vec<&str> = empty.map(|(label, _)| label.as_str()).collect();
    if !labels.is_empty() {
        callback.on_event(&Event::ClassesWithoutRows {
            path,
            labels: &labels,
        });
    }
}
