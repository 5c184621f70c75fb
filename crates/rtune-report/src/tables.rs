//! The tables of a training run.

use crate::{Split, TrainingPage};
use rtune_task::{Metric, Target};
use serde::Serialize;

/// The metrics of the rated split: name, value and meaning.
pub(crate) fn values(page: &TrainingPage) -> Vec<(&'static str, String, &'static str)> {
    let metrics = page.metrics.iter().flat_map(|metrics| metrics.values());
    metrics
        .map(|(metric, value)| (metric.name(), Metric::shown(value), metric.meaning()))
        .collect()
}

/// A row of the confusion matrix.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct ConfusionRow {
    label: String,
    rows: usize,
    cells: Vec<Cell>,
    recall: String,
}

/// A number and its share of the row, from 0 to 100.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Cell {
    count: usize,
    share: f64,
    diagonal: bool,
}

/// The confusion matrix of the rated split, a row for each true class.
pub(crate) fn confusion(page: &TrainingPage) -> Vec<ConfusionRow> {
    let Some(metrics) = &page.metrics else {
        return Vec::new();
    };
    let rows = metrics.confusion.iter().map(|(label, predicted)| {
        let rows = predicted.iter().map(|(_, count)| count).sum();
        let cells = predicted.iter().map(|(name, count)| Cell {
            count: *count,
            share: percent(*count, rows),
            diagonal: name == label,
        });
        ConfusionRow {
            label: label.to_owned(),
            rows,
            cells: cells.collect(),
            recall: Metric::shown(metrics.recall.get(label).copied().flatten()),
        }
    });
    rows.collect()
}

/// A line of the table of splits.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct SplitRow {
    name: String,
    source: String,
    rows: usize,
    tokens: usize,
    median: usize,
    longest: usize,
    truncated: usize,
    truncated_share: f64,
}

pub(crate) fn splits(page: &TrainingPage) -> Vec<SplitRow> {
    let row = |split: &Split| {
        let mut lengths = split.lengths.clone();
        lengths.sort_unstable();
        let rows = lengths.len();
        SplitRow {
            name: split.name.clone(),
            source: split.source.clone(),
            rows,
            tokens: lengths.iter().sum(),
            median: lengths.get(rows / 2).copied().unwrap_or_default(),
            longest: lengths.last().copied().unwrap_or_default(),
            truncated: split.truncated,
            truncated_share: percent(split.truncated, rows),
        }
    };
    page.splits.iter().map(row).collect()
}

/// A class with its rows in each split.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct BalanceRow {
    label: String,
    /// The number of rows and their share of the split, from 0 to 100.
    splits: Vec<(usize, f64)>,
}

pub(crate) fn balance(page: &TrainingPage) -> Vec<BalanceRow> {
    let row = |(class, label): (usize, &String)| {
        let of = |split: &Split| {
            let rows = split.targets.iter().filter(|t| t.class() == Some(class));
            let rows = rows.count();
            (rows, percent(rows, split.targets.len()))
        };
        BalanceRow {
            label: label.clone(),
            splits: page.splits.iter().map(of).collect(),
        }
    };
    let has_classes = |split: &Split| split.targets.iter().any(|t| matches!(t, Target::Class(_)));
    match page.splits.iter().any(has_classes) {
        true => page.labels.iter().enumerate().map(row).collect(),
        false => Vec::new(),
    }
}

/// A share in percent; 0 of nothing.
fn percent(part: usize, all: usize) -> f64 {
    100.0 * part as f64 / all.max(1) as f64
}
