//! All commands in sequence: on the tiny fixture in detail, on the real model once.
//!
//! The tests of runs cover invariants 7 and 8 of `crates/README.md`: equal bytes at any number of
//! threads, and after an interruption at any point.

#![expect(
    clippy::unwrap_used,
    reason = "a failure in a test's own work is the test's failure"
)]

use candle_core::Device;
use rtune_data::{Columns, Dataset};
use rtune_graph::{Graph, Tensor, ValueId};
use rtune_interrupt::Interrupt;
use rtune_nn::TextModel;
use rtune_task::{Cutpoints, Decision, Link, Metric, Pooling, Task, TaskSpec};
use rtune_testkit::{FINETUNE, json, rtune, tiny_export, tiny_export_with, tiny_workspace};
use rtune_text::Tokenizer;
use rtune_train::{
    Checkpoints, Event, TrainConfig, TrainError, TrainInputs, TrainSettings, Trainer,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn read(folder: &Path, file: &str) -> Vec<u8> {
    std::fs::read(folder.join(file)).unwrap()
}

#[test]
fn same_inputs_and_seed_give_the_same_bytes_with_any_number_of_threads() {
    let (first, second) = (tiny_workspace(), tiny_workspace());
    for (folder, threads) in [(&first, "1"), (&second, "2")] {
        tiny_export_with(folder.path(), &["--threads", threads]);
        let quantize = [
            "quantize",
            "--model",
            "onnx",
            "--calib",
            "train.csv",
            "--output",
            "int8",
            "--threads",
            threads,
        ];
        json(folder.path(), &quantize);
    }
    for file in [
        "run/final/model.safetensors",
        "run/final/config.json",
        "run/metrics.jsonl",
        "onnx/model.onnx",
        "onnx/metadata.json",
        "int8/model.onnx",
    ] {
        assert!(
            read(first.path(), file) == read(second.path(), file),
            "{file} differs between runs"
        );
    }
    json(
        first.path(),
        &[
            "export",
            "--model",
            "run/final",
            "--output",
            "onnx2",
            "--threads",
            "1",
        ],
    );
    assert!(read(first.path(), "onnx/model.onnx") == read(first.path(), "onnx2/model.onnx"));
}

#[test]
fn every_task_is_trained_exported_verified_and_quantized() {
    for (task, labels) in [
        ("ordinal", "a,b,c"),
        ("classification", "a,b,c"),
        ("regression", ""),
    ] {
        let folder = tiny_workspace();
        let mut arguments = [&FINETUNE[..], &["--max-steps", "6", "--task", task]].concat();
        if !labels.is_empty() {
            arguments.extend(["--labels", labels]);
        }
        for pooling in ["mean", "first", "pooler"] {
            json(
                folder.path(),
                &[arguments.as_slice(), &["--pooling", pooling, "--force"]].concat(),
            );
            json(
                folder.path(),
                &[
                    "export",
                    "--model",
                    "run/final",
                    "--output",
                    "onnx",
                    "--force",
                ],
            );
            let verified = json(
                folder.path(),
                &[
                    "verify",
                    "--reference",
                    "run/final",
                    "--candidate",
                    "onnx",
                    "--data",
                    "test.csv",
                ],
            );
            assert_eq!(verified["holds"], true, "{task} {pooling}");
            let quantized = json(
                folder.path(),
                &[
                    "quantize",
                    "--model",
                    "onnx",
                    "--calib",
                    "train.csv",
                    "--output",
                    "int8",
                    "--force",
                ],
            );
            assert_eq!(
                quantized["runtime"]["float"].as_array().unwrap().len(),
                0,
                "{task} {pooling}: {}",
                quantized["runtime"]
            );
            let metric = if task == "regression" {
                "mae"
            } else {
                "accuracy"
            };
            for model in ["run/final", "onnx", "int8"] {
                let evaluated = json(
                    folder.path(),
                    &["evaluate", "--model", model, "--data", "test.csv"],
                );
                assert!(evaluated[metric].is_f64(), "{task} {model}");
            }
            let predicted = json(
                folder.path(),
                &["predict", "--model", "int8", "a great film"],
            );
            assert_eq!(
                predicted["predictions"][0]["label"].is_string(),
                task != "regression"
            );
        }
    }
}

/// Rows of two texts, labeled by whether both are of the same kind.
fn pair_rows(count: usize) -> String {
    let words = ["good", "bad", "great", "dull"];
    let mut rows = "label,hypothesis,premise\n".to_owned();
    for row in 0..count {
        let (first, second) = (words[row % 4], words[row / 4 % 4]);
        let label = usize::from((row % 4) % 2 == (row / 4 % 4) % 2);
        rows += &format!("{label},it was {second} .,the film was very {first}\n");
    }
    rows
}

/// BERT has a table of types, RoBERTa two separators, ModernBERT neither.
#[test]
fn pairs_of_texts_go_through_every_stage() {
    for family in ["bert", "roberta", "modernbert"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let source = rtune_testkit::fixtures().join("encoders").join(family);
        rtune_testkit::tiny_model_of(&source, &path.join("model"));
        std::fs::write(path.join("rows.csv"), pair_rows(64)).unwrap();
        let run = |command: &str| json(path, &command.split(' ').collect::<Vec<_>>());
        let columns = "--text-column premise --text-pair-column hypothesis";
        run(&format!(
            "finetune --model model --train rows.csv --output run --max-length 24 --max-steps 4 \
             --task classification {columns}"
        ));
        run("export --model run/final --output onnx");
        let metadata: serde_json::Value =
            serde_json::from_slice(&read(path, "onnx/metadata.json")).unwrap();
        assert_eq!(metadata["text_pairs"], true, "{family}");
        let inputs = metadata["inputs"].as_array().unwrap();
        let has_types = inputs.iter().any(|input| input == "token_type_ids");
        assert_eq!(has_types, family == "bert", "{family}");
        let verify = "verify --reference run/final --candidate onnx --data rows.csv";
        assert_eq!(run(&format!("{verify} {columns}"))["holds"], true);
        run(&format!(
            "quantize --model onnx --calib rows.csv --eval-data rows.csv --max-metric-drop 1 \
             --output int8 {columns}"
        ));
        let accuracy = |model: &str| {
            let evaluate = format!("evaluate --model {model} --data rows.csv {columns}");
            run(&evaluate)["accuracy"].as_f64().unwrap()
        };
        assert_eq!(accuracy("run/final"), accuracy("onnx"), "{family}");
        assert!(accuracy("int8") > 0.0, "{family}");

        std::fs::write(
            path.join("rows.jsonl"),
            r#"{"text": "the film was very good", "other": "it was dull ."}
               {"text": "it was dull .", "other": "the film was very good"}"#,
        )
        .unwrap();
        let scores = |model: &str| {
            let predict =
                format!("predict --model {model} --input rows.jsonl --text-pair-column other");
            let found = run(&predict);
            assert_eq!(found["predictions"][0]["text_pair"], "it was dull .");
            [0, 1].map(|row| found["predictions"][row]["probabilities"]["1"].clone())
        };
        for model in ["run/final", "onnx", "int8"] {
            let [first, swapped] = scores(model);
            assert_ne!(
                first, swapped,
                "{family} {model}: the order of the texts counts"
            );
            let texts = ["the film was very good", "--text-pair", "it was dull ."];
            let found = json(path, &[&["predict", "--model", model][..], &texts].concat());
            let alone = &found["predictions"][0]["probabilities"]["1"];
            let difference = alone.as_f64().unwrap() - first.as_f64().unwrap();
            assert!(difference.abs() < 1e-6, "{family} {model}");
        }
    }
}

#[test]
fn the_exported_graph_has_the_documented_form() {
    let folder = tiny_workspace();
    tiny_export(folder.path());
    let model = rtune_onnx::read(&folder.path().join("onnx/model.onnx")).unwrap();
    assert_eq!(model.opset(), Some(17));
    let graph = &model.graph;
    // The last digits of a trained number depend on the processor's instruction set.
    let text = graph.to_string();
    let lines = text.lines().map(
        |line| match line.strip_prefix("constant head.bias: f32[1] = ") {
            Some(_) => "constant head.bias: f32[1] = [trained]",
            None => line,
        },
    );
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    rtune_testkit::golden("tests/graphs/bert-tiny.txt", &text);
    let describe = |ids: &[ValueId]| {
        ids.iter()
            .map(|id| format!("{}: {}", graph.value(*id).name, graph.fact(*id).unwrap()))
            .collect::<Vec<_>>()
    };
    let inputs = ["input_ids", "attention_mask", "token_type_ids"]
        .map(|name| format!("{name}: i64[batch, sequence]"));
    assert_eq!(describe(graph.inputs()), inputs);
    assert_eq!(describe(graph.outputs()), ["logits: f32[batch, 1]"]);
    let mut operators = BTreeMap::new();
    for (_, node) in graph.nodes() {
        *operators.entry(node.op_type.as_str()).or_insert(0) += 1;
        assert!(!node.name.is_empty());
    }
    assert_eq!(
        (
            operators["LayerNormalization"],
            operators["Erf"],
            operators["Gemm"]
        ),
        (5, 2, 13)
    );
    for (id, value) in graph.values() {
        assert!(
            graph.fact(id).is_some_and(|fact| fact.shape.is_some()),
            "{} has no known shape",
            value.name
        );
    }
    assert!(
        graph
            .find("encoder.layer.1.attention.self.query.weight")
            .is_some_and(|id| graph.initializer(id).is_some())
    );
    assert!(
        graph
            .nodes()
            .any(|(_, node)| node.name == "encoder.layer.1.attention.self.query")
    );
    let keys: Vec<&str> = model.metadata.keys().map(String::as_str).collect();
    for key in [
        "rtune.cutpoints",
        "rtune.labels",
        "rtune.link",
        "rtune.rtune_version",
        "rtune.tokenizer_sha256",
    ] {
        assert!(keys.contains(&key), "{key} is not in {keys:?}");
    }
}

/// Returns the model with one constant changed.
fn disturb(model: &rtune_graph::Model, constant: &str) -> rtune_graph::Model {
    let mut graph: Graph = model.graph.clone();
    let id = graph.find(constant).unwrap();
    let tensor = graph.initializer(id).unwrap();
    let values: Vec<f32> = tensor
        .to_f32()
        .unwrap()
        .iter()
        .map(|v| v * 1.01 + 0.01)
        .collect();
    let changed = Tensor::from_f32(tensor.dims(), &values).unwrap();
    graph.set_initializer(id, changed);
    rtune_graph::Model {
        graph,
        ..model.clone()
    }
}

#[test]
fn verify_fails_and_names_the_first_diverging_node() {
    let folder = tiny_workspace();
    tiny_export(folder.path());
    let model = rtune_onnx::read(&folder.path().join("onnx/model.onnx")).unwrap();
    for module in [
        "embeddings.LayerNorm",
        "encoder.layer.0.output.dense",
        "encoder.layer.1.attention.self.value",
        "head",
    ] {
        let changed = disturb(&model, &format!("{module}.weight"));
        std::fs::write(
            folder.path().join("onnx/changed.onnx"),
            rtune_onnx::encode(&changed).unwrap(),
        )
        .unwrap();
        for reference in ["run/final", "onnx"] {
            let output = rtune(
                folder.path(),
                &[
                    "verify",
                    "--reference",
                    reference,
                    "--candidate",
                    "onnx/changed.onnx",
                    "--data",
                    "test.csv",
                    "--json",
                ],
            );
            assert_eq!(output.status.code(), Some(3));
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(report["holds"], false);
            assert_eq!(
                report["first_diverging_node"], module,
                "reference {reference}"
            );
        }
    }
}

#[test]
fn int8_scores_do_not_depend_on_batch_mates_or_padding() {
    let folder = tiny_workspace();
    tiny_export(folder.path());
    json(
        folder.path(),
        &[
            "quantize",
            "--model",
            "onnx",
            "--calib",
            "train.csv",
            "--output",
            "int8",
        ],
    );
    let alone = json(
        folder.path(),
        &["predict", "--model", "int8", "a good film"],
    );
    let together = json(
        folder.path(),
        &[
            "predict",
            "--model",
            "int8",
            "a good film",
            "the story was very dull , but the cast was not bad .",
        ],
    );
    let score = |found: &serde_json::Value| found["predictions"][0]["score"].clone();
    assert_eq!(score(&alone), score(&together));
}

/// Writes a text encoder in the form of other exporters: constants are nodes, and only inputs and
/// outputs have types.
fn foreign_encoder(path: &Path) {
    use rtune_graph::{Attribute, Dim, ElementType, Fact, Node};
    let noise = |count: u64, seed: u64| {
        (0..count).map(move |i| ((i + 1) * (seed + 7) * 2_654_435_761) % 10_007)
    };
    let matrix = |rows: u64, seed| {
        let values: Vec<f32> = noise(64 * rows, seed)
            .map(|v| f32::from(u16::try_from(v).unwrap()) / 5003.5 - 1.0)
            .collect();
        Tensor::from_f32(&[rows, 64], &values).unwrap()
    };
    let mut graph = Graph::new("foreign");
    let push = |graph: &mut Graph,
                op_type: &str,
                inputs: &[ValueId],
                output: ValueId,
                value: Option<Tensor>| {
        let node = Node {
            name: graph.value(output).name.clone(),
            domain: String::new(),
            op_type: op_type.to_owned(),
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: vec![Some(output)],
            attributes: value
                .into_iter()
                .map(|tensor| ("value".to_owned(), Attribute::Tensor(tensor)))
                .collect(),
        };
        graph.push(node).unwrap();
    };
    let tokens = [Dim::symbol("n"), Dim::symbol("t")];
    let ids = graph
        .add_input("ids", Fact::new(ElementType::Int64, tokens))
        .unwrap();
    let table = graph.add_initializer("table", matrix(50, 1)).unwrap();
    let [embedded, weight, product] =
        ["embedded", "weight", "product"].map(|n| graph.declare(n, None).unwrap());
    let out = graph
        .declare("out", Some(Fact::unranked(ElementType::Float32)))
        .unwrap();
    push(&mut graph, "Gather", &[table, ids], embedded, None);
    push(&mut graph, "Constant", &[], weight, Some(matrix(64, 2)));
    push(&mut graph, "MatMul", &[embedded, weight], product, None);
    push(&mut graph, "Tanh", &[product], out, None);
    graph.add_output(out).unwrap();
    std::fs::write(
        path,
        rtune_onnx::encode(&rtune_graph::Model::new(graph, 17)).unwrap(),
    )
    .unwrap();
}

#[test]
fn tensors_calibrate_a_foreign_model() {
    let folder = tempfile::tempdir().unwrap();
    foreign_encoder(&folder.path().join("foreign.onnx"));
    std::fs::create_dir(folder.path().join("tensors")).unwrap();
    for file in 0..8_u32 {
        let ids: Vec<i64> = (0..12)
            .map(|i| i64::from((i * 7 + file * 11) % 50))
            .collect();
        let tensor = candle_core::Tensor::from_vec(ids, (2, 6), &Device::Cpu).unwrap();
        let path = folder.path().join(format!("tensors/{file}.safetensors"));
        candle_core::safetensors::save(&std::collections::HashMap::from([("ids", tensor)]), path)
            .unwrap();
    }
    let arguments = [
        "quantize",
        "--model",
        "foreign.onnx",
        "--calib",
        "tensors",
        "--calib-samples",
        "6",
        "--output",
        "int8",
    ];
    let report = json(folder.path(), &arguments);
    assert_eq!(
        (&report["samples"], &report["runtime"]["integer"]),
        (&6.into(), &serde_json::json!(["weight"]))
    );
    assert_eq!(
        report["quantized"]["lookups"],
        serde_json::json!(["embedded"])
    );
    assert!(
        report["output_drift"]["out"]["sqnr_db"].as_f64().unwrap() > 25.0,
        "{}",
        report["output_drift"]
    );
    assert_eq!(report["output_drift"]["out"]["elements"], 6 * 12 * 64);
    // The result can be replaced. A quantized model is refused as input.
    json(folder.path(), &[&arguments[..], &["--force"]].concat());
    let again = rtune(
        folder.path(),
        &[
            "quantize", "--model", "int8", "--calib", "tensors", "--output", "twice",
        ],
    );
    assert_eq!(again.status.code(), Some(2));
}

#[test]
fn a_quality_gate_that_fails_writes_nothing() {
    let folder = tiny_workspace();
    tiny_export(folder.path());
    // Labels that are all equal have no ranks.
    let rows = "text,label\nthe film was very bad,0\nthe cast was very bad,0\n";
    std::fs::write(folder.path().join("one.csv"), rows).unwrap();
    let arguments = "quantize --model onnx --calib train.csv --eval-data one.csv --metric spearman \
                     --output int8";
    let output = rtune(folder.path(), &arguments.split(' ').collect::<Vec<_>>());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{message}");
    let expected = "gate failed: spearman is undefined for one of the models on 2 rows, ";
    assert!(message.contains(expected), "{message}");
    assert!(!folder.path().join("int8").exists());
}

/// Trains the tiny model for seven steps, with an evaluation after every second, and resumes after
/// each interruption. Returns the parameters, the log, and the number of starts.
fn train_in_pieces(folder: &Path, patience: usize) -> (Vec<Vec<f32>>, Vec<(usize, f64)>, usize) {
    let tokenizer = Tokenizer::read(&folder.join("model"), 24).unwrap();
    let data = |name: &str| {
        let path = folder.join(name);
        let labels = ["a", "b", "c"].map(str::to_owned);
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
    let (training, validation) = (data("train.csv"), data("test.csv"));
    let spec = TaskSpec {
        task: Task::Ordinal,
        labels: ["a", "b", "c"].map(str::to_owned).to_vec(),
        pooling: Pooling::Mean,
        link: Link::Logit,
        cutpoints: Cutpoints::Ordered,
        decision: Decision::default(),
        targets: None,
        text_pairs: false,
        max_length: 24,
    };
    let settings = TrainSettings {
        max_steps: Some(7),
        train_batch_size: 16,
        eval_batch_size: 8,
        gradient_accumulation_steps: 2,
        eval_steps: Some(2),
        logging_steps: 3,
        early_stopping_patience: Some(3),
        save_steps: 3,
        metric_for_best_model: Some(Metric::Loss),
        head_learning_rate: Some(1e-3),
        // One batch, so that a run with little patience comes to its first step.
        head_start_rows: 8,
        ..TrainSettings::default()
    };
    let config = TrainConfig::new(&settings, spec.task).unwrap();
    let (source, folder) = (
        folder.join("model"),
        folder.join(format!("checkpoints{patience}")),
    );
    let checkpoints = Checkpoints::new(folder);
    let mut log = Vec::new();
    for pieces in 1.. {
        let (model, loaded) = TextModel::load(&source, &spec, 5, &Device::Cpu).unwrap();
        let inputs = TrainInputs {
            model: &model,
            loaded: &loaded,
            training: &training,
            validation: &validation,
            padding: 0,
            device: &Device::Cpu,
        };
        let mut losses = |event: &Event<'_>| match event {
            Event::Log(line) => log.push((line.step, line.loss)),
            Event::Evaluation(evaluation) => log.push((evaluation.step, evaluation.metrics.loss)),
            _ => {}
        };
        let interrupt = Interrupt::after(patience);
        let result = Trainer::new(inputs, &config).unwrap().run(
            Some((&checkpoints).into()),
            &mut losses,
            &interrupt,
        );
        match result {
            Ok(outcome) => {
                assert_eq!(
                    (outcome.steps, outcome.covered_parameters),
                    (7, model.params().len())
                );
                let params = model.params();
                let values = params
                    .iter()
                    .map(|p| p.value().flatten_all().unwrap().to_vec1().unwrap())
                    .collect();
                return (values, log, pieces);
            }
            Err(TrainError::Interrupted { .. }) => {
                assert!(pieces < 100, "the run makes no progress")
            }
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!()
}

#[test]
fn an_interrupted_run_resumes_to_the_same_result() {
    let folder = tiny_workspace();
    let whole = train_in_pieces(folder.path(), usize::MAX);
    assert_eq!(whole.2, 1);
    // A step checks once, an evaluation once for each of its four batches: these numbers interrupt
    // at each kind of position.
    for patience in [4, 5, 6, 7, 9, 14] {
        let pieces = train_in_pieces(folder.path(), patience);
        assert!(pieces.2 > 1);
        assert!(
            pieces.0 == whole.0,
            "interrupted after {patience}: other parameters"
        );
        assert_eq!(
            pieces.1, whole.1,
            "interrupted after {patience}: another log"
        );
    }
}

/// Returns the arguments of a run that is long enough to be interrupted.
fn long_run(more: &[&'static str]) -> Vec<&'static str> {
    let flags = [
        "--train-batch-size",
        "8",
        "--save-steps",
        "2",
        "--num-train-epochs",
        "60",
    ];
    [&FINETUNE[..], &flags, more].concat()
}

/// Starts a run and sends it a signal once it has a checkpoint that is not among `earlier`.
#[cfg(unix)]
fn signal(
    folder: &Path,
    signal: &str,
    earlier: &[PathBuf],
    more: &[&'static str],
) -> std::process::Output {
    let mut command = std::process::Command::new(rtune_testkit::program());
    let child = command
        .current_dir(folder)
        .args(long_run(more))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while checkpoints(folder)
        .iter()
        .all(|path| earlier.contains(path))
    {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let pid = child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args([signal, &pid])
            .status()
            .unwrap()
            .success()
    );
    child.wait_with_output().unwrap()
}

#[cfg(unix)]
fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("run/checkpoints"))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .map(|e| e.path())
        .filter(|p| {
            p.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("step-")
        })
        .collect()
}

#[test]
#[cfg(unix)]
fn a_run_survives_signals_and_damage() {
    let (folder, undisturbed) = (tiny_workspace(), tiny_workspace());
    json(undisturbed.path(), &long_run(&[]));

    let interrupted = signal(folder.path(), "-TERM", &[], &[]);
    assert_eq!(
        interrupted.status.code(),
        Some(75),
        "{}",
        String::from_utf8_lossy(&interrupted.stderr)
    );
    assert!(!folder.path().join("run/final").exists());
    let killed = signal(folder.path(), "-KILL", &checkpoints(folder.path()), &[]);
    assert_eq!(killed.status.code(), None);

    // Other settings are refused, and the run is kept.
    let other = rtune(folder.path(), &long_run(&["--seed", "7"]));
    assert_eq!(other.status.code(), Some(2));
    let message = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(
        message.contains("seed 42 (now 7)") && message.contains("--force"),
        "{message}"
    );

    // With --force they replace the run, which is restored when they diverge.
    let before = checkpoints(folder.path());
    let other = rtune(
        folder.path(),
        &long_run(&["--force", "--learning-rate", "1e30"]),
    );
    let message = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(
        other.status.code() == Some(1) && message.contains("archived until this run is done"),
        "{message}"
    );
    assert_eq!(checkpoints(folder.path()), before);

    // A run replaced by another interrupted one stays archived, and the command of the first run
    // restores it.
    let killed = signal(folder.path(), "-KILL", &before, &["--force", "--seed", "9"]);
    assert_eq!(killed.status.code(), None);
    let other = signal(
        folder.path(),
        "-TERM",
        &checkpoints(folder.path()),
        &["--force"],
    );
    let message = String::from_utf8_lossy(&other.stderr).into_owned();
    let newest = before.iter().max().unwrap().file_name().unwrap();
    assert!(
        message.contains(&format!(
            "resuming from run/checkpoints/{}",
            newest.display()
        )),
        "{message}"
    );

    // A damaged checkpoint is skipped.
    let newest = checkpoints(folder.path()).into_iter().max().unwrap();
    let damaged = newest.with_file_name("step-00000700");
    std::fs::create_dir(&damaged).unwrap();
    for file in std::fs::read_dir(&newest).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), damaged.join(file.file_name())).unwrap();
    }
    let weights = damaged.join("optimizer.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(weights, bytes).unwrap();

    // Files of the user are left alone, and --force does not restart a run that can be resumed.
    std::fs::write(folder.path().join("run/notes.txt"), "mine").unwrap();
    let output = rtune(folder.path(), &long_run(&["--force"]));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{message}");
    assert!(folder.path().join("run/notes.txt").is_file());
    assert!(
        message.contains("step-00000700: optimizer.safetensors is damaged"),
        "{message}"
    );
    assert!(message.contains(&format!(
        "resuming from run/checkpoints/{}",
        newest.file_name().unwrap().display()
    )));
    let permissions = |file: &str| {
        std::fs::metadata(folder.path().join(file))
            .unwrap()
            .permissions()
    };
    assert_eq!(
        permissions("run/final/model.safetensors"),
        permissions("run/final/config.json")
    );
    for file in [
        "run/final/model.safetensors",
        "run/final/config.json",
        "run/metrics.jsonl",
    ] {
        assert!(
            read(folder.path(), file) == read(undisturbed.path(), file),
            "{file} differs"
        );
    }
}

#[test]
fn force_replaces_a_finished_run_once_the_new_one_is_complete() {
    let folder = tiny_workspace();
    let run = |more: &[&str]| {
        let short = [
            &FINETUNE[..],
            &["--train-batch-size", "8", "--max-steps", "4"],
        ]
        .concat();
        let output = rtune(folder.path(), &[&short[..], more].concat());
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert_eq!(run(&[]).0, Some(0));
    let first = read(folder.path(), "run/final/model.safetensors");
    let (code, message) = run(&[]);
    assert!(
        code == Some(2) && message.contains("finished run") && message.contains("--force"),
        "{message}"
    );
    let (code, message) = run(&["--force", "--learning-rate", "1e30"]);
    assert!(
        code == Some(1) && message.contains("lower --learning-rate"),
        "{message}"
    );
    assert!(read(folder.path(), "run/final/model.safetensors") == first);

    // A result with a file of the user in it is not replaced.
    std::fs::write(folder.path().join("run/final/mine"), "").unwrap();
    let (code, message) = run(&["--force"]);
    assert!(
        code == Some(2) && message.contains("run/final/mine: is none of rtune's"),
        "{message}"
    );
    std::fs::remove_file(folder.path().join("run/final/mine")).unwrap();

    // The state after a kill right after the start: the old run is archived, the new one has no
    // output.
    std::fs::create_dir(folder.path().join("run/.rtune-previous-1")).unwrap();
    for name in ["final", "checkpoints", "metrics.jsonl"] {
        let place = folder.path().join("run");
        std::fs::rename(place.join(name), place.join(".rtune-previous-1").join(name)).unwrap();
    }
    let (code, message) = run(&["--seed", "7"]);
    assert!(
        code == Some(2) && message.contains("finished run"),
        "{message}"
    );
    assert!(read(folder.path(), "run/final/model.safetensors") == first);

    // The state after a kill a moment earlier: nothing was moved yet.
    std::fs::create_dir(folder.path().join("run/.rtune-previous-1")).unwrap();

    let lock = std::fs::File::open(folder.path().join("run/metrics.jsonl")).unwrap();
    lock.try_lock().unwrap();
    let (code, message) = run(&["--force"]);
    assert!(
        code == Some(2) && message.contains("another rtune is at work"),
        "{message}"
    );
    drop(lock);

    let (code, message) = run(&["--force", "--seed", "7", "--test", "test.csv"]);
    assert_eq!(code, Some(0), "{message}");
    assert!(read(folder.path(), "run/final/model.safetensors") != first);
    let log = String::from_utf8(read(folder.path(), "run/metrics.jsonl")).unwrap();
    assert!(
        log.lines()
            .last()
            .unwrap()
            .starts_with("{\"kind\":\"test\",\"step\":4,"),
        "{log}"
    );
    let mut names: Vec<_> = std::fs::read_dir(folder.path().join("run"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    names.sort();
    let expected = [
        ".rtune.json",
        "checkpoints",
        "final",
        "metrics.jsonl",
        "report.html",
        "tensorboard",
    ];
    assert_eq!(names, expected);
    // Only those of the new run.
    let events = std::fs::read_dir(folder.path().join("run/tensorboard")).unwrap();
    assert_eq!(events.count(), 1);
}

#[test]
fn config_files_give_flags_and_flags_win() {
    let folder = tiny_workspace();
    let config = r#"
        model = "model"
        train = "train.csv"
        validation = "test.csv"
        max_length = 24
        max-steps = 3
        labels = ["x", "y", "z"]
        output = "nowhere"
    "#;
    std::fs::write(folder.path().join("run.toml"), config).unwrap();
    let report = json(
        folder.path(),
        &[
            "finetune",
            "--config",
            "run.toml",
            "--max-steps",
            "2",
            "--output",
            "run",
        ],
    );
    assert_eq!(report["steps"], 2);
    let lists = json(
        folder.path(),
        &[
            "finetune",
            "--config",
            "run.toml",
            "--labels",
            "a,b,c",
            "--output",
            "lists",
            "--max-steps",
            "1",
        ],
    );
    assert_eq!(lists["cutpoints"].as_array().unwrap().len(), 2);
    assert!(!folder.path().join("nowhere").exists());
    let saved = String::from_utf8(read(folder.path(), "run/final/config.json")).unwrap();
    assert!(saved.contains("\"x\""));
}

#[test]
fn the_real_model_learns_from_real_text() {
    let folder = tempfile::tempdir().unwrap();
    let (model, reviews) = (
        rtune_testkit::fetched_model(),
        rtune_testkit::fetched_reviews(),
    );
    let rows = |name: &str, count: usize| {
        let mut reader = std::fs::read_to_string(reviews.join(name)).unwrap();
        let end = reader
            .match_indices('\n')
            .nth(count)
            .map_or(reader.len(), |(index, _)| index + 1);
        reader.truncate(end);
        std::fs::write(folder.path().join(name), reader).unwrap();
    };
    rows("train.csv", 384);
    rows("validation.csv", 100);
    rows("test.csv", 100);
    let tuned = json(
        folder.path(),
        &[
            "finetune",
            "--model",
            model.to_str().unwrap(),
            "--train",
            "train.csv",
            "--validation",
            "validation.csv",
            "--test",
            "test.csv",
            "--output",
            "run",
            "--num-train-epochs",
            "2",
        ],
    );
    assert_eq!(tuned["parameters_with_gradient"], 104);
    let qwk = tuned["test"]["qwk"].as_f64().unwrap();
    assert!(qwk > 0.3, "test QWK {qwk} after two epochs on 384 rows");
    json(
        folder.path(),
        &["export", "--model", "run/final", "--output", "onnx"],
    );
    let verified = json(
        folder.path(),
        &[
            "verify",
            "--reference",
            "run/final",
            "--candidate",
            "onnx",
            "--data",
            "test.csv",
        ],
    );
    assert_eq!(verified["holds"], true);
    let shapes = verified["checks"][0]["shapes"].to_string();
    assert!(
        shapes.contains("[1,1]") && shapes.contains("[2,128]"),
        "{shapes}"
    );
    let quantized = json(
        folder.path(),
        &[
            "quantize",
            "--model",
            "onnx",
            "--calib",
            "train.csv",
            "--eval-data",
            "test.csv",
            "--max-metric-drop",
            "0.1",
            "--output",
            "int8",
        ],
    );
    assert!(quantized["bytes"].as_u64().unwrap() <= 24_000_000);
    let integer: Vec<&str> = quantized["runtime"]["integer"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| w.as_str().unwrap())
        .collect();
    assert_eq!(
        integer.iter().filter(|w| w.starts_with("encoder.")).count(),
        36
    );
    let evaluated = json(
        folder.path(),
        &["evaluate", "--model", "int8", "--data", "test.csv"],
    );
    assert_eq!(evaluated["qwk"], quantized["evaluation"]["int8"]["qwk"]);
    let predicted = json(
        folder.path(),
        &[
            "predict",
            "--model",
            "int8",
            "A wonderful film.",
            "A dreadful, boring mess.",
        ],
    );
    let score = |index: usize| predicted["predictions"][index]["score"].as_f64();
    assert!(score(0) > score(1));
}
