//! The course of a run on the tiny fixture: its updates, the best model, and the report.

#![expect(
    clippy::unwrap_used,
    reason = "a failure in a test's own work is the test's failure"
)]

use rtune_testkit::{FINETUNE, json, tiny_rows, tiny_workspace};
use serde_json::Value;
use std::path::Path;

fn numbers(values: &Value, pointer: &str) -> Vec<f64> {
    let number = |value: &Value| value.pointer(pointer).unwrap().as_f64().unwrap();
    values.as_array().unwrap().iter().map(number).collect()
}

/// Sets the dropout of the tiny model to 0.
fn without_dropout(folder: &Path) {
    let path = folder.join("model/config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for field in ["hidden_dropout_prob", "attention_probs_dropout_prob"] {
        config[field] = 0.0.into();
    }
    std::fs::write(path, config.to_string()).unwrap();
}

/// The lines of the log of a run.
fn log(folder: &Path, run: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(run).join("metrics.jsonl")).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// With a low learning rate the labels stay the same while the loss falls.
#[test]
fn of_evaluations_with_the_same_metric_the_one_of_the_lowest_loss_is_the_best() {
    let folder = tiny_workspace();
    let flags = [
        "--max-steps",
        "8",
        "--eval-steps",
        "2",
        "--learning-rate",
        "1e-5",
        "--metric-for-best-model",
        "accuracy",
        "--decision",
        "mode",
        // The loss still improves, so the run goes on.
        "--early-stopping-patience",
        "1",
    ];
    let report = json(folder.path(), &[&FINETUNE[..], &flags].concat());
    let history = &report["history"];
    assert_eq!(numbers(history, "/step"), [2.0, 4.0, 6.0, 8.0]);
    let accuracy = numbers(history, "/metrics/accuracy");
    assert!(
        accuracy.iter().all(|value| *value == accuracy[0]),
        "{accuracy:?}"
    );
    let losses = numbers(history, "/metrics/loss");
    assert!(losses.is_sorted_by(|a, b| a > b), "{losses:?}");
    assert_eq!(
        (
            &report["best_step"],
            &report["best_metric"],
            &report["best_value"]
        ),
        (&8.into(), &"accuracy".into(), &accuracy[0].into())
    );
    assert_eq!(report["validation"]["loss"], losses[3]);
    let evaluations = log(folder.path(), "run");
    let evaluations = evaluations
        .iter()
        .filter(|line| line["kind"] == "evaluation");
    let logged: Vec<&Value> = evaluations.map(|line| &line["metrics"]["loss"]).collect();
    assert_eq!(logged.len(), 4);
    assert!(
        logged
            .iter()
            .zip(&losses)
            .all(|(logged, loss)| *logged == loss)
    );
}

/// Nine rows as one batch, and as batches of eight and one.
#[test]
fn an_update_over_the_same_rows_is_the_same_update() {
    let folder = tiny_workspace();
    let folder = folder.path();
    without_dropout(folder);
    std::fs::write(folder.join("nine.csv"), tiny_rows(9)).unwrap();
    let first_line = |run: &'static str, more: &[&'static str]| {
        let rows = ["--train", "nine.csv", "--labels", "0,1,2", "--output", run];
        let model = ["finetune", "--model", "model", "--validation", "test.csv"];
        let length = [
            "--max-length",
            "24",
            "--max-steps",
            "2",
            "--logging-steps",
            "1",
        ];
        json(folder, &[&model[..], &rows, &length, more].concat());
        log(folder, run).swap_remove(0)
    };
    let weights = ["--class-weights", "1,5,0.5"];
    for (whole, parts, more) in [("a", "b", &[][..]), ("c", "d", &weights)] {
        let whole = first_line(whole, &[&["--train-batch-size", "9"], more].concat());
        let accumulated = [
            "--train-batch-size",
            "8",
            "--gradient-accumulation-steps",
            "2",
        ];
        let parts = first_line(parts, &[&accumulated, more].concat());
        for field in ["loss", "gradient_norm"] {
            let [whole, parts] = [&whole, &parts].map(|line| line[field].as_f64().unwrap());
            assert!((whole - parts).abs() < 1e-5, "{field}: {whole} and {parts}");
        }
    }
}
