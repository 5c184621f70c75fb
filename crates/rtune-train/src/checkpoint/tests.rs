//! Checkpoints of earlier builds with the same format number can be resumed from.

use super::RunIdentity;
use super::format::{self, Unreadable};
use crate::progress::Progress;
use crate::{TrainConfig, TrainInputs, TrainSettings};
use candle_core::Device;
use rtune_data::{Columns, Dataset};
use rtune_interrupt::Interrupt;
use rtune_nn::TextModel;
use rtune_task::{Cutpoints, Decision, Link, Pooling, Task, TaskSpec};
use rtune_text::Tokenizer;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The state file of an earlier build.
fn state_file() -> PathBuf {
    rtune_testkit::fixtures().join("checkpoint/trainer_state.json")
}

fn state() -> Value {
    serde_json::from_slice(&std::fs::read(state_file()).unwrap()).unwrap()
}

/// The identity of the run that wrote the state file, computed by this build.
fn identity() -> RunIdentity {
    let folder = tempfile::tempdir().unwrap();
    let source = rtune_testkit::fixtures().join("encoders/bert");
    let labels = ["0", "1", "2"].map(str::to_owned).to_vec();
    let tokenizer = Tokenizer::read(&source, 24).unwrap();
    let data = |rows: usize| {
        let path = folder.path().join("rows.csv");
        std::fs::write(&path, rtune_testkit::tiny_rows(rows)).unwrap();
        let columns = Columns::default();
        let interrupt = Interrupt::new();
        Dataset::read(
            &path,
            &columns,
            Task::Ordinal,
            &labels,
            &tokenizer,
            &interrupt,
        )
        .unwrap()
    };
    let (training, validation) = (data(96), data(32));
    let spec = TaskSpec {
        task: Task::Ordinal,
        labels: labels.clone(),
        pooling: Pooling::Mean,
        link: Link::Logit,
        cutpoints: Cutpoints::Ordered,
        decision: Decision::default(),
        targets: None,
        text_pairs: false,
        max_length: 24,
    };
    let settings = TrainSettings {
        num_train_epochs: 60.0,
        train_batch_size: 8,
        // As earlier builds trained.
        cutpoint_learning_rate: Some(1e-3),
        head_start_rows: 0,
        ..TrainSettings::default()
    };
    let config = TrainConfig::new(&settings, spec.task).unwrap();
    let device = Device::Cpu;
    let (model, loaded) = TextModel::load(&source, &spec, settings.seed, &device).unwrap();
    let inputs = TrainInputs {
        model: &model,
        loaded: &loaded,
        training: &training,
        validation: &validation,
        padding: tokenizer.padding(),
        device: &device,
    };
    RunIdentity::new(&config, &inputs).unwrap()
}

#[test]
fn the_same_run_has_the_identity_that_an_earlier_build_saved() {
    let saved: RunIdentity = serde_json::from_value(state()["run"].clone()).unwrap();
    assert_eq!(saved.differences(&identity()), [""; 0]);
}

#[test]
fn the_state_of_an_earlier_build_survives_a_round_trip() {
    let state = state();
    let progress: Progress = serde_json::from_value(state["state"].clone()).unwrap();
    // What the earlier build did not measure is undefined.
    let mut expected = state["state"].clone();
    let evaluation = &mut expected["evaluations"][0];
    evaluation["decision"] = serde_json::Value::Null;
    evaluation["decisions"] = serde_json::json!([]);
    evaluation["cutpoints"] = serde_json::json!([]);
    let metrics = &mut evaluation["metrics"];
    metrics["ece"] = serde_json::Value::Null;
    metrics["r2"] = serde_json::Value::Null;
    metrics["precision"] = serde_json::json!({});
    assert_eq!(serde_json::to_value(&progress).unwrap(), expected);
    let saved: RunIdentity = serde_json::from_value(state["run"].clone()).unwrap();
    assert_eq!(serde_json::to_value(&saved).unwrap(), state["run"]);
    assert_eq!((progress.step, progress.logged), (15, 1));
}

/// The digest of the state is computed as an earlier build did. Its tensors are not in the
/// fixtures.
#[test]
fn the_digest_of_an_earlier_build_is_accepted() {
    let problem = |folder: &Path| match format::read(folder, &identity()).unwrap_err() {
        Unreadable::Damaged(problem) => problem,
        Unreadable::Refused(error) => error.to_string(),
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trainer_state.json");
    std::fs::copy(state_file(), &path).unwrap();
    assert_eq!(problem(folder.path()), "best_model.safetensors is missing");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"logged\": 1", "\"logged\": 2")).unwrap();
    assert_eq!(
        problem(folder.path()),
        "trainer_state.json: is damaged, or was edited"
    );
}
