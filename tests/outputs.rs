//! The outputs of models: the choice of the decision rule; each form and link of exported models
//! through ONNX Runtime, against the likelihood of `rtune-task`, and as other tools read them.

#![expect(clippy::unwrap_used, reason = "tests")]

use rtune_export::Export;
use rtune_graph::{Dim, Tensor};
use rtune_infer::{Predictor, TextTensors};
use rtune_interrupt::Interrupt;
use rtune_nn::{Kind, class_log_probabilities};
use rtune_runtime::{Feed, Optimization, Runtime, Session, SessionOptions};
use rtune_task::{Link, OrdinalScale};
use rtune_testkit::{FINETUNE, json, rtune, tiny_workspace};
use rtune_text::{Encoded, PaddedBatch};
use serde_json::Value;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::LazyLock;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::load(&rtune_testkit::runtime_library()).unwrap());

const LINKS: [Link; 3] = [Link::Logit, Link::Probit, Link::Cloglog];

const TEXTS: [&str; 5] = [
    "the film was very good",
    "the story was very bad .",
    "the cast was very great",
    "the film was dull",
    "a film",
];

/// A graph from a score to the logarithms of the class probabilities, and their softmax.
fn session(scale: &OrdinalScale, optimization: Optimization) -> Session {
    let export = Export::new("classes", 17).unwrap();
    let dims = [Dim::symbol("batch"), Dim::Fixed(1)];
    let score = export.input("score", Kind::Float, dims).unwrap();
    let logits = class_log_probabilities(&score, scale).unwrap();
    let probabilities = logits.softmax().unwrap().into_value();
    let outputs = [
        ("logits", logits.into_value()),
        ("probabilities", probabilities),
    ];
    let bytes = rtune_onnx::encode(&export.finish(outputs).unwrap()).unwrap();
    let options = SessionOptions {
        threads: 1,
        optimization,
        optimized_model: None,
    };
    RUNTIME.open_bytes(&bytes, &options).unwrap()
}

#[test]
fn class_probabilities_of_a_graph_are_those_of_the_likelihood() {
    let scales: [&[f64]; 6] = [
        &[0.3],
        &[-1.0, 0.5],
        &[-1.5, -0.2, -0.1999, 0.05, 0.9, 7.0],
        &[-1.0, -1.0 + 1e-7, 2.0],
        &[-30.0, 0.0, 0.2, 60.0],
        &[4.0, 4.2, 4.5],
    ];
    let near = (-200..=200_i16).map(|step| f32::from(step) / 20.0 + 0.0031);
    let tails = [-300.0, -90.0, -41.5, -20.0, 20.0, 41.5, 90.0, 300.0];
    let scores: Vec<f32> = near.chain(tails).collect();
    for (link, cutpoints) in LINKS.iter().flat_map(|link| scales.map(|c| (*link, c))) {
        // As the graph has them.
        let cutpoints = cutpoints.iter().map(|c| f64::from(*c as f32)).collect();
        let scale = OrdinalScale::new(cutpoints, link);
        for optimization in [Optimization::All, Optimization::Disabled] {
            let mut session = session(&scale, optimization);
            let dims = [scores.len(), 1];
            let outputs = session.run(&[Feed::f32("score", &dims, &scores)]).unwrap();
            let (dims, logits) = outputs.f32("logits").unwrap();
            let (_, probabilities) = outputs.f32("probabilities").unwrap();
            assert_eq!(dims, [scores.len(), scale.cutpoints().len() + 1]);
            let rows = logits.chunks(dims[1]).zip(probabilities.chunks(dims[1]));
            for (score, (logits, probabilities)) in scores.iter().zip(rows) {
                let expected = scale.log_probabilities(f64::from(*score));
                for (k, expected) in expected.iter().enumerate() {
                    let place = format!("{scale:?} {optimization:?} {score} {k}");
                    let found = f64::from(logits[k]);
                    let difference = (found - expected).abs();
                    assert!(
                        difference <= 4e-6 * (1.0 + expected.abs()),
                        "{place}: {found}"
                    );
                    let found = f64::from(probabilities[k]);
                    assert!((found - expected.exp()).abs() < 1e-6, "{place}: {found}");
                }
            }
        }
    }
}

/// Trains the tiny model with further flags and exports it in both forms, to `logits` and
/// `probabilities`.
fn exported(more: &[&str]) -> tempfile::TempDir {
    let folder = tiny_workspace();
    let flags = [
        "--max-steps",
        "12",
        "--learning-rate",
        "3e-3",
        "--labels",
        "poor,fair,best",
    ];
    for file in ["train.csv", "test.csv"] {
        let path = folder.path().join(file);
        let mut rows = std::fs::read_to_string(&path).unwrap();
        for (number, name) in [
            (",0\n", ",poor\n"),
            (",1\n", ",fair\n"),
            (",2\n", ",best\n"),
        ] {
            rows = rows.replace(number, name);
        }
        std::fs::write(&path, rows).unwrap();
    }
    json(folder.path(), &[&FINETUNE[..], &flags, more].concat());
    for form in ["logits", "probabilities"] {
        let list = match form {
            "probabilities" => "logits,probabilities",
            form => form,
        };
        let export = [
            "export",
            "--model",
            "run",
            "--output",
            form,
            "--outputs",
            list,
        ];
        let exported = json(folder.path(), &export)["outputs"].take();
        let names: Vec<&str> = exported
            .as_array()
            .unwrap()
            .iter()
            .flat_map(Value::as_str)
            .collect();
        assert!(names.join(",").starts_with(list));
    }
    folder
}

/// The answers of a pipeline that knows Hugging Face's fields only: softmax of `logits`, and the
/// name of the largest column in `id2label`.
fn stock_answers(folder: &Path) -> Vec<(String, f64)> {
    let config = std::fs::read(folder.join("config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["problem_type"], "single_label_classification");
    let predictor = Predictor::open(&RUNTIME, folder, 1).unwrap();
    let texts = TEXTS.map(|text| predictor.tokenizer().encode(text).unwrap());
    let tensors = TextTensors::new(&PaddedBatch::new(texts.iter(), 0));
    let file = folder.join("model.onnx");
    let mut session = RUNTIME.open(&file, &SessionOptions::default()).unwrap();
    let outputs = session.run(&tensors.feeds(predictor.signature())).unwrap();
    let (dims, logits) = outputs.f32("logits").unwrap();
    assert_eq!(config["num_labels"], dims[1]);
    let answer = |row: &[f32]| {
        let powers: Vec<f64> = row.iter().map(|logit| f64::from(*logit).exp()).collect();
        let total: f64 = powers.iter().sum();
        let column = (0..row.len())
            .max_by(|a, b| row[*a].total_cmp(&row[*b]))
            .unwrap();
        let name = config["id2label"][column.to_string()].as_str().unwrap();
        (name.to_owned(), powers[column] / total)
    };
    logits.chunks(dims[1]).map(answer).collect()
}

fn verify(folder: &Path, reference: &str, candidate: &str, more: &[&str]) {
    let models = ["verify", "--reference", reference, "--candidate", candidate];
    let verified = json(
        folder,
        &[&models[..], &["--data", "test.csv"], more].concat(),
    );
    assert_eq!(
        verified["holds"], true,
        "{reference} {candidate}: {verified}"
    );
}

/// The largest accepted difference of the int8 model, as a share of the spread of the float model's
/// outputs. `verify` also runs texts that are unlike those of the calibration.
const INT8_SHARE: f64 = 0.25;

/// Holds the int8 model against the float one, with a tolerance that follows from the spread of its
/// outputs: with it, a damaged scale of one weight is found.
fn check_int8(folder: &Path, more: &[&str]) {
    let predictor = Predictor::open(&RUNTIME, &folder.join("probabilities"), 1).unwrap();
    let rows = std::fs::read_to_string(folder.join("test.csv")).unwrap();
    let texts = rows.lines().skip(1).filter_map(|row| row.rsplit_once(','));
    let texts = texts.map(|(text, _)| predictor.tokenizer().encode(text).unwrap());
    let texts: Vec<Encoded> = texts.collect();
    let (batch, interrupt) = (NonZeroUsize::MIN, Interrupt::new());
    let outputs = predictor.logits(&texts, batch, &mut |_| {}, &interrupt);
    let outputs = outputs.unwrap().concat();
    let largest = outputs.iter().copied().fold(f32::MIN, f32::max);
    let smallest = outputs.iter().copied().fold(f32::MAX, f32::min);
    let atol = INT8_SHARE * f64::from(largest - smallest);
    let atol = ["--atol", &atol.to_string(), "--rtol", "0"];
    verify(folder, "probabilities", "int8", &atol);

    let file = folder.join("int8/model.onnx");
    let mut model = rtune_onnx::read(&file).unwrap();
    let names = ["head.weight_scale", "classifier.weight_scale"];
    let id = names.iter().find_map(|name| model.graph.find(name));
    let id = id.unwrap();
    let tensor = model.graph.initializer(id).unwrap();
    let values: Vec<f32> = tensor.to_f32().unwrap().iter().map(|v| v * 2.0).collect();
    let tensor = Tensor::from_f32(tensor.dims(), &values).unwrap();
    model.graph.set_initializer(id, tensor);
    std::fs::write(
        folder.join("int8/damaged.onnx"),
        rtune_onnx::encode(&model).unwrap(),
    )
    .unwrap();
    let models = [
        "--reference",
        "probabilities",
        "--candidate",
        "int8/damaged.onnx",
    ];
    let arguments = [&["verify", "--data", "test.csv"], &models[..], &atol].concat();
    let output = rtune(folder, &arguments);
    assert_eq!(output.status.code(), Some(3), "{more:?}");
}

#[test]
fn both_forms_give_the_same_predictions_and_stock_pipelines_the_right_labels() {
    for more in [
        &["--link", "logit", "--decision", "mode"][..],
        &["--link", "probit", "--decision", "mode"],
        &["--link", "cloglog", "--decision", "mode"],
        &["--task", "classification"],
    ] {
        let workspace = exported(more);
        let folder = workspace.path();
        let predict = |model| {
            let arguments = [&["predict", "--model", model], &TEXTS[..]].concat();
            json(folder, &arguments)["predictions"].take()
        };
        let expected = predict("logits");
        assert_eq!(predict("probabilities"), expected, "{more:?}");
        let answers = stock_answers(&folder.join("probabilities"));
        for (row, (label, probability)) in expected.as_array().unwrap().iter().zip(answers) {
            assert_eq!(row["label"], label, "{more:?}");
            let expected = row["probabilities"][&label].as_f64().unwrap();
            assert!(
                (probability - expected).abs() < 1e-6,
                "{more:?} {label} {probability}"
            );
        }
        for (reference, candidate) in [
            ("run", "probabilities"),
            ("logits", "probabilities"),
            ("probabilities", "logits"),
            ("probabilities", "probabilities"),
        ] {
            verify(folder, reference, candidate, &[]);
        }
        let quantize = [
            &[
                "quantize",
                "--model",
                "probabilities",
                "--calib",
                "train.csv",
            ][..],
            &[
                "--eval-data",
                "test.csv",
                "--max-metric-drop",
                "1",
                "--output",
                "int8",
            ],
        ];
        let quantized = json(folder, &quantize.concat());
        let evaluate = ["evaluate", "--model", "probabilities", "--data", "test.csv"];
        let float = json(folder, &evaluate);
        assert_eq!(
            quantized["evaluation"]["float"]["mae"], float["mae"],
            "{more:?}"
        );
        check_int8(folder, more);
        stock_answers(&folder.join("int8"));
    }
}

/// Other tools cannot apply another rule than the most probable class, which `export` says.
#[test]
fn another_decision_rule_is_noted_and_followed_by_rtune_alone() {
    let workspace = exported(&["--decision", "mean"]);
    let folder = workspace.path();
    let predict = |model| {
        let arguments = [&["predict", "--model", model], &TEXTS[..]].concat();
        json(folder, &arguments)["predictions"].take()
    };
    assert_eq!(predict("probabilities"), predict("logits"));
    let export = [
        "export",
        "--model",
        "run",
        "--outputs",
        "logits,probabilities",
        "--output",
        "again",
    ];
    let output = rtune(folder, &export);
    let note = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(note.contains("rtune's label is the mean class"), "{note}");
    let answers = stock_answers(&folder.join("again"));
    for (row, (label, probability)) in predict("logits").as_array().unwrap().iter().zip(answers) {
        let probabilities = row["probabilities"].as_object().unwrap();
        let largest = probabilities
            .values()
            .filter_map(Value::as_f64)
            .fold(0.0, f64::max);
        assert!((probabilities[&label].as_f64().unwrap() - largest).abs() < 1e-6);
        assert!((probability - largest).abs() < 1e-6);
    }
}

/// A fault in the part of a graph that computes the class probabilities is found and named, and so
/// is one in a model that has them.
#[test]
fn verify_names_a_node_of_the_class_probabilities() {
    let workspace = exported(&["--link", "cloglog"]);
    let folder = workspace.path();
    let model = rtune_onnx::read(&folder.join("probabilities/model.onnx")).unwrap();
    for (constant, node) in [("classes.log_gap", "classes/sub_1"), ("head.bias", "head")] {
        let mut changed = model.clone();
        let id = changed.graph.find(constant).unwrap();
        let tensor = changed.graph.initializer(id).unwrap();
        let values: Vec<f32> = tensor.to_f32().unwrap().iter().map(|v| v + 0.1).collect();
        let tensor = Tensor::from_f32(tensor.dims(), &values).unwrap();
        changed.graph.set_initializer(id, tensor);
        let file = folder.join("probabilities/changed.onnx");
        std::fs::write(file, rtune_onnx::encode(&changed).unwrap()).unwrap();
        for reference in ["run", "probabilities"] {
            let candidate = [
                "--candidate",
                "probabilities/changed.onnx",
                "--data",
                "test.csv",
            ];
            let arguments = [
                &["verify", "--json", "--reference", reference][..],
                &candidate,
            ];
            let output = rtune(folder, &arguments.concat());
            assert_eq!(output.status.code(), Some(3), "{constant} {reference}");
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(
                report["first_diverging_node"], node,
                "{constant} {reference}"
            );
        }
    }
}

/// The report has the three rules side by side, and the chosen one is the best by the metric.
#[test]
fn a_run_chooses_the_rule_and_records_it() {
    let folder = tiny_workspace();
    let run = |more: &[&str]| {
        let flags = ["--max-steps", "3", "--learning-rate", "3e-3", "--force"];
        let report = json(folder.path(), &[&FINETUNE[..], &flags, more].concat());
        let config = std::fs::read(folder.path().join("run/final/config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        let expected = report["decision"].as_str().unwrap_or("mode");
        assert_eq!(config["rtune"]["decision"], expected, "{more:?}");
        let log = std::fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
        let mut lines = log.lines().rev();
        let best = lines.find_map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            (line["best"] == true).then_some(line)
        });
        let best = best.unwrap();
        assert_eq!(best["decision"], report["decision"], "{more:?}");
        assert_eq!(best["decisions"], report["decisions"], "{more:?}");
        report
    };
    for (metric, sign) in [("accuracy", 1.0), ("qwk", 1.0), ("mae", -1.0)] {
        let report = run(&["--metric-for-best-model", metric]);
        let rows = report["decisions"].as_array().unwrap();
        assert_eq!(rows.len(), 3);
        let value = |row: &Value| sign * row[metric].as_f64().unwrap();
        let chosen = rows
            .iter()
            .find(|row| row["decision"] == report["decision"]);
        let chosen = value(chosen.unwrap());
        assert!(
            rows.iter().all(|row| value(row) <= chosen),
            "{metric}: {rows:?}"
        );
        assert_eq!(report["validation"][metric], sign * chosen, "{metric}");
    }
    for rule in ["mode", "median", "mean"] {
        let report = run(&["--decision", rule]);
        assert_eq!(report["decision"], rule);
        let rows = report["decisions"].as_array().unwrap();
        let row = rows.iter().find(|row| row["decision"] == rule).unwrap();
        for metric in ["accuracy", "qwk", "mae"] {
            assert_eq!(report["validation"][metric], row[metric], "{rule} {metric}");
        }
    }
    let report = run(&["--task", "classification"]);
    assert_eq!(report["decision"], Value::Null);
    assert_eq!(report["decisions"], serde_json::json!([]));
}

/// One column of a score cannot be mistaken for a class.
#[test]
fn a_model_of_one_column_is_described_as_a_regression() {
    let workspace = exported(&[]);
    for folder in ["run/final", "logits"] {
        let path = workspace.path().join(folder).join("config.json");
        let config: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(config["problem_type"], "regression", "{folder}");
        assert_eq!(config["num_labels"], 1, "{folder}");
        assert_eq!(
            config["id2label"],
            serde_json::json!({"0": "score"}),
            "{folder}"
        );
        assert_eq!(
            config["label2id"],
            serde_json::json!({"score": 0}),
            "{folder}"
        );
        if folder == "logits" {
            let inspected = json(workspace.path(), &["inspect", "logits"]);
            let rule = inspected["metadata"]["rtune.decision"].as_str().unwrap();
            assert_eq!(rule, config["rtune"]["decision"].to_string());
        }
        let labels = serde_json::json!(["poor", "fair", "best"]);
        assert_eq!(config["rtune"]["labels"], labels, "{folder}");
    }
}

/// Copies the tiny encoder with the modules of sentence-transformers as `model`, beside rows.
fn sentence_workspace() -> tempfile::TempDir {
    let folder = tiny_workspace();
    let modules = rtune_testkit::fixtures().join("sentence");
    std::fs::create_dir(folder.path().join("model/1_Pooling")).unwrap();
    for name in [
        "modules.json",
        "sentence_bert_config.json",
        "1_Pooling/config.json",
    ] {
        let target = folder.path().join("model").join(name);
        std::fs::copy(modules.join(name), target).unwrap();
    }
    folder
}

/// Runs a model on texts and returns an output with its dimensions.
fn output(folder: &Path, texts: &[&str], name: &str) -> (Vec<usize>, Vec<f32>) {
    let tokenizer = rtune_text::Tokenizer::read(folder, 8).unwrap();
    let texts: Vec<_> = texts
        .iter()
        .map(|text| tokenizer.encode(*text).unwrap())
        .collect();
    let tensors = TextTensors::new(&PaddedBatch::new(texts.iter(), 0));
    let file = folder.join("model.onnx");
    let mut session = RUNTIME.open(&file, &SessionOptions::default()).unwrap();
    let outputs = session.run(&tensors.feeds(&Default::default())).unwrap();
    let (dims, values) = outputs.f32(name).unwrap();
    (dims.to_vec(), values.to_vec())
}

/// `fixtures/make_sentence.py` wrote the goldens.
#[test]
fn an_encoder_of_sentence_transformers_is_exported_without_training() {
    let workspace = sentence_workspace();
    let folder = workspace.path();
    let run = |command: &str| json(folder, &command.split(' ').collect::<Vec<_>>());
    let list = "last_hidden_state,embedding";
    let exported = run(&format!(
        "export --model model --outputs {list} --output onnx"
    ));
    let expected = serde_json::json!(["last_hidden_state", "embedding"]);
    assert_eq!(exported["outputs"], expected);
    let metadata = std::fs::read(folder.join("onnx/metadata.json")).unwrap();
    let metadata: Value = serde_json::from_slice(&metadata).unwrap();
    assert_eq!(metadata["outputs"], expected);
    let fields = ["task", "normalize", "max_length", "pooling"].map(|name| &metadata[name]);
    assert_eq!(
        serde_json::json!(fields),
        serde_json::json!(["embedding", true, 8, "mean"])
    );
    let inspected = run("inspect onnx");
    assert_eq!(
        inspected["outputs"],
        serde_json::json!([
            "last_hidden_state: f32[batch, sequence, 32]",
            "embedding: f32[batch, 32]"
        ])
    );

    let golden = std::fs::read(rtune_testkit::fixtures().join("sentence/golden.json")).unwrap();
    let golden: Value = serde_json::from_slice(&golden).unwrap();
    let numbers = |value: &Value| -> Vec<f32> {
        let flat = value.as_array().unwrap().iter().flat_map(|row| match row {
            Value::Array(row) => row.clone(),
            number => vec![number.clone()],
        });
        flat.map(|number| number.as_f64().unwrap() as f32).collect()
    };
    let texts = golden["texts"].as_array().unwrap();
    let texts: Vec<&str> = texts.iter().flat_map(Value::as_str).collect();
    let expected = numbers(&golden["embeddings"]);
    let (dims, found) = output(&folder.join("onnx"), &texts, "embedding");
    assert_eq!(dims, [texts.len(), 32]);
    rtune_testkit::assert_close("embedding", &expected, &found, 1e-5);
    let (dims, hidden) = output(&folder.join("onnx"), &texts, "last_hidden_state");
    assert_eq!(dims, [texts.len(), 8, 32]);
    let first = numbers(&golden["first"]);
    rtune_testkit::assert_close("first", &first, &hidden[..32], 1e-5);

    verify(folder, "model", "onnx", &[]);
    run("quantize --model onnx --calib train.csv --output int8");
    verify(folder, "onnx", "int8", &["--atol", "0.5"]);
    let (_, int8) = output(&folder.join("int8"), &texts, "embedding");
    for (expected, found) in expected.chunks(32).zip(int8.chunks(32)) {
        let cosine: f32 = expected.iter().zip(found).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.98, "{cosine}");
    }
}

/// A model with all outputs has the same ones as models with each alone, in the order of the list.
#[test]
fn a_fine_tuned_model_has_the_outputs_of_the_list() {
    for more in [&["--task", "classification"][..], &["--decision", "mode"]] {
        let workspace = exported(more);
        let folder = workspace.path();
        let run = |command: &str| json(folder, &command.split(' ').collect::<Vec<_>>());
        let list = "embedding,probabilities,last_hidden_state,logits";
        run(&format!("export --model run --outputs {list} --output all"));
        run("export --model run --outputs embedding --normalize --output alone");
        let inspected = run("inspect all");
        let names = inspected["outputs"].as_array().unwrap().iter();
        let names = names.map(|line| line.as_str().unwrap().split(':').next().unwrap());
        let names = names.collect::<Vec<_>>().join(",");
        assert!(names.starts_with(list), "{names}");
        for (reference, candidate) in [("run", "all"), ("probabilities", "all"), ("all", "logits")]
        {
            verify(folder, reference, candidate, &[]);
        }
        run("quantize --model all --calib train.csv --output int8");
        verify(folder, "all", "int8", &["--atol", "3"]);
        let predict = |model| {
            let arguments = [&["predict", "--model", model], &TEXTS[..]].concat();
            json(folder, &arguments)["predictions"].take()
        };
        assert_eq!(predict("all"), predict("logits"), "{more:?}");
        let (_, vectors) = output(&folder.join("all"), &TEXTS, "embedding");
        let (_, unit) = output(&folder.join("alone"), &TEXTS, "embedding");
        for (vector, unit) in vectors.chunks(32).zip(unit.chunks(32)) {
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            let expected: Vec<f32> = vector.iter().map(|x| x / length).collect();
            rtune_testkit::assert_close("normalized", &expected, unit, 1e-6);
        }
    }
}
