//! Encoders against their reference implementations, through every interpreter, and checkpoints in
//! their many forms. Each folder of `fixtures/encoders` is a case.

#![expect(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod checkpoints;
mod dialects;
mod end_to_end;
mod golden;
mod gradients;
mod interpreters;

use candle_core::{Device, Tensor};
use golden::Golden;
use rtune_nn::{Eager, NnError, TextModel};
use rtune_task::{Cutpoints, Decision, Link, Pooling, Task, TaskSpec};
use std::path::{Path, PathBuf};

const TASKS: [Task; 3] = [Task::Ordinal, Task::Classification, Task::Regression];
const POOLINGS: [Pooling; 3] = [Pooling::Mean, Pooling::First, Pooling::Pooler];

fn spec(task: Task, pooling: Pooling) -> TaskSpec {
    let labels = match task {
        Task::Regression | Task::Embedding => vec![],
        Task::Ordinal | Task::Classification => ["bad", "fair", "good"].map(str::to_owned).to_vec(),
    };
    TaskSpec {
        task,
        labels,
        pooling,
        link: Link::Logit,
        cutpoints: Cutpoints::Ordered,
        decision: Decision::default(),
        targets: None,
        text_pairs: false,
        max_length: 24,
    }
}

fn load(folder: &Path, task: Task, pooling: Pooling) -> Result<TextModel, NnError> {
    TextModel::load(folder, &spec(task, pooling), 1, &Device::Cpu).map(|(model, _)| model)
}

fn family(name: &str) -> PathBuf {
    rtune_testkit::fixtures().join("encoders").join(name)
}

/// The folders in a folder of fixtures, sorted.
fn folders(name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(rtune_testkit::fixtures().join(name)).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// The folders of all families.
fn families() -> Vec<PathBuf> {
    let folders = folders("encoders");
    assert!(folders.contains(&family("bert")));
    folders
}

/// The folders of all families, and of models with settings that published ones do not have.
fn families_and_variants() -> Vec<PathBuf> {
    [families(), folders("encoder_variants")].concat()
}

/// Models with each task, and each pooling that the family and its checkpoint have.
fn models(folder: &Path) -> Vec<TextModel> {
    let has_pooler = Golden::read(folder)
        .iter()
        .all(|golden| golden.pooled.is_some());
    let mut models = Vec::new();
    for task in TASKS {
        for pooling in POOLINGS {
            match load(folder, task, pooling) {
                Ok(model) => models.push(model),
                Err(error) => {
                    assert!(pooling == Pooling::Pooler && !has_pooler, "{error}");
                    assert!(error.to_string().contains("pooler"), "{error}");
                }
            }
        }
    }
    assert_eq!(
        models.len(),
        if has_pooler { 9 } else { 6 },
        "{}",
        folder.display()
    );
    models
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn hidden_states(model: &TextModel, batch: &golden::Batch) -> Vec<f32> {
    let ops = Eager::new();
    let hidden = model.hidden_states(&batch.inputs(&ops)).unwrap();
    flat(hidden.value())
}
