//! Encoders against their reference implementations, through every interpreter, and checkpoints in
//! their many forms. Each folder of `fixtures/encoders` is a case.

#![expect(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod checkpoints;
mod classifiers;
mod dialects;
mod end_to_end;
mod golden;
mod gradients;
mod interpreters;

use candle_core::{Device, Tensor};
use rtune_nn::{Eager, NnError, TextModel};
use rtune_runtime::Runtime;
use rtune_task::{Cutpoints, Decision, Link, Pooling, Task, TaskSpec};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// ONNX Runtime, of which a process has one.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::load(&rtune_testkit::runtime_library()).unwrap());
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

/// Models with each task and each pooling.
fn models(folder: &Path) -> Vec<TextModel> {
    let each = TASKS
        .iter()
        .flat_map(|task| POOLINGS.map(|pooling| (*task, pooling)));
    each.map(|(task, pooling)| load(folder, task, pooling).unwrap())
        .collect()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn hidden_states(model: &TextModel, batch: &golden::Batch) -> Vec<f32> {
    let ops = Eager::new();
    let hidden = model.hidden_states(&batch.inputs(&ops)).unwrap();
    flat(hidden.value())
}
