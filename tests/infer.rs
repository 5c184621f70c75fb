//! Predictions of an exported model through the crate that servers use.

#![expect(clippy::unwrap_used, reason = "tests")]

use rtune_infer::{InferError, LabeledPrediction, Predictor, TextError};
use rtune_runtime::Runtime;
use rtune_task::Decision;
use rtune_testkit::{json, tiny_export_with, tiny_workspace};
use serde_json::Value;
use std::path::Path;
use std::sync::LazyLock;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::load(&rtune_testkit::runtime_library()).unwrap());

const TEXTS: [&str; 3] = [
    "the film was very good",
    "the story was very bad .",
    "the cast was very great",
];

/// The folder of a tiny ordinal model whose labels are not in alphabetical order.
fn exported() -> tempfile::TempDir {
    let folder = tiny_workspace();
    for file in ["train.csv", "test.csv"] {
        let path = folder.path().join(file);
        let rows = std::fs::read_to_string(&path).unwrap();
        let named = rows
            .replace(",0\n", ",poor\n")
            .replace(",1\n", ",good\n")
            .replace(",2\n", ",best\n");
        std::fs::write(&path, named).unwrap();
    }
    tiny_export_with(folder.path(), &["--labels", "poor,good,best"]);
    folder
}

fn open(folder: &Path) -> Result<Predictor, InferError> {
    Predictor::open(&RUNTIME, folder, 1)
}

/// Predicts texts that have no fault.
fn predict(predictor: &Predictor, texts: &[&str]) -> Vec<LabeledPrediction> {
    let found = predictor.predict(texts).unwrap();
    found.into_iter().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_text_with_a_fault_stops_no_other() {
    let folder = exported();
    let predictor = open(&folder.path().join("onnx")).unwrap();
    let texts = ["", TEXTS[0], "😀", TEXTS[1]];
    let found = predictor.predict(&texts).unwrap();
    let expected = predict(&predictor, &TEXTS[..2]);
    let score = |place: usize| found[place].as_ref().unwrap().score;
    assert!((score(1) - expected[0].score).abs() < 1e-5, "{found:?}");
    assert!((score(3) - expected[1].score).abs() < 1e-5, "{found:?}");
    let fault = |place: usize| found[place].as_ref().unwrap_err();
    assert!(matches!(fault(0), TextError::Empty), "{found:?}");
    assert!(fault(2).to_string().starts_with("no token of the text"));
}

#[test]
fn one_predictor_serves_threads_and_agrees_with_the_program() {
    let folder = exported();
    let predictor = open(&folder.path().join("onnx")).unwrap();
    let expected = predict(&predictor, &TEXTS);
    let labels: Vec<&str> = expected[0]
        .probabilities
        .iter()
        .map(|(label, _)| label.as_str())
        .collect();
    assert_eq!(labels, ["poor", "good", "best"]);
    for prediction in &expected {
        let total: f64 = prediction.probabilities.iter().map(|(_, p)| p).sum();
        assert!((total - 1.0).abs() < 1e-9, "{prediction:?}");
    }
    assert!(expected[2].score > expected[1].score, "{expected:?}");

    std::thread::scope(|scope| {
        let workers: Vec<_> = TEXTS
            .iter()
            .map(|text| scope.spawn(|| predict(&predictor, &[*text]).remove(0)))
            .collect();
        for (worker, expected) in workers.into_iter().zip(&expected) {
            let found = worker.join().unwrap();
            assert!((found.score - expected.score).abs() < 1e-5, "{found:?}");
            assert_eq!(found.label, expected.label);
        }
    });

    let arguments = [&["predict", "--model", "onnx"], &TEXTS[..]].concat();
    let printed = json(folder.path(), &arguments)["predictions"].take();
    let found = serde_json::to_value(&expected).unwrap();
    let scores = |value: &serde_json::Value| -> Vec<f64> {
        let rows = value.as_array().unwrap();
        rows.iter()
            .map(|row| row["score"].as_f64().unwrap())
            .collect()
    };
    rtune_testkit::assert_close(
        "score",
        &scores(&printed)
            .iter()
            .map(|s| *s as f32)
            .collect::<Vec<_>>(),
        &scores(&found).iter().map(|s| *s as f32).collect::<Vec<_>>(),
        1e-5,
    );
}

/// Replaces a value of a JSON file.
fn set(file: &Path, pointer: &str, value: &str) {
    let mut json: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    *json.pointer_mut(pointer).unwrap() = value.into();
    std::fs::write(file, json.to_string()).unwrap();
}

/// The labels that a rule picks from the probabilities of predictions.
fn labels_by(decision: Decision, predictions: &Value) -> Vec<&str> {
    let label = |prediction: &Value| {
        let p = &prediction["probabilities"];
        let names = ["poor", "good", "best"];
        names[decision.class(&names.map(|name| p[name].as_f64().unwrap()))]
    };
    predictions.as_array().unwrap().iter().map(label).collect()
}

#[test]
fn every_consumer_follows_the_decision_rule() {
    let folder = exported();
    let config = folder.path().join("run/final/config.json");
    let metadata = folder.path().join("onnx/metadata.json");
    let read =
        |file: &Path| -> Value { serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap() };
    assert_eq!(
        read(&config)["rtune"]["decision"],
        read(&metadata)["decision"]
    );
    let texts: Vec<String> = ["bad", "dull", "good", "great", "film", "very good", "cast"]
        .map(|word| format!("the {word} was good {word} ."))
        .to_vec();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut errors = Vec::new();
    for decision in Decision::ALL {
        set(&config, "/rtune/decision", decision.name());
        let export = ["export", "--model", "run", "--output", "onnx", "--force"];
        json(folder.path(), &export);
        let served = open(&folder.path().join("onnx")).unwrap();
        let served = serde_json::to_value(predict(&served, &texts)).unwrap();
        let evaluate = |model| {
            json(
                folder.path(),
                &["evaluate", "--model", model, "--data", "test.csv"],
            )
        };
        let predict = |model| {
            let arguments = [&["predict", "--model", model], &texts[..]].concat();
            json(folder.path(), &arguments)["predictions"].take()
        };
        for predictions in [served, predict("onnx"), predict("run/final")] {
            let expected = labels_by(decision, &predictions);
            let rows = predictions.as_array().unwrap().iter();
            let found: Vec<&str> = rows.map(|row| row["label"].as_str().unwrap()).collect();
            assert_eq!(found, expected, "{decision} {predictions}");
        }
        let (checkpoint, onnx) = (evaluate("run/final"), evaluate("onnx"));
        assert_eq!(checkpoint["decision"], decision.name());
        for key in ["decision", "confusion", "qwk", "mae"] {
            assert_eq!(checkpoint[key], onnx[key], "{decision} {key}");
        }
        errors.push(onnx["mae"].as_f64().unwrap());
    }
    // The flag takes the place of the model's own rule, which is now the last.
    for (decision, mae) in Decision::ALL.into_iter().zip(errors) {
        let arguments = [
            "evaluate",
            "--model",
            "onnx",
            "--data",
            "test.csv",
            "--decision",
        ];
        let found = json(
            folder.path(),
            &[&arguments[..], &[decision.name()]].concat(),
        );
        assert_eq!(found["mae"], mae, "{decision}");
        assert_eq!(found["decision"], decision.name());
    }
}

#[test]
fn folders_that_do_not_fit_are_refused() {
    let folder = exported();
    let onnx = folder.path().join("onnx");
    let tokenizer = std::fs::read_to_string(onnx.join("tokenizer.json")).unwrap();
    std::fs::write(onnx.join("tokenizer.json"), tokenizer + "\n").unwrap();
    let error = open(&onnx).unwrap_err().to_string();
    assert!(
        error.contains("this is not the model's tokenizer"),
        "{error}"
    );

    std::fs::remove_file(onnx.join("metadata.json")).unwrap();
    let error = open(&onnx).unwrap_err();
    assert!(matches!(error, InferError::NoMetadata { .. }), "{error}");
    assert!(open(folder.path()).is_err());
}
