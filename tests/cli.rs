//! What the program says of wrong input: exit code and message of each case stand in
//! `tests/cli/NAME.txt`. `RTUNE_BLESS=1 cargo test --release --test cli` writes them anew; read the
//! difference before you commit it.

#![allow(clippy::unwrap_used)] // Tests.

mod support;

use candle_core::{DType, Device, Tensor};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{FINETUNE, golden, program, rtune, tiny_export, tiny_workspace};

/// Runs a case and compares what it prints to stderr with the golden file. Nothing may be left
/// behind.
fn check(folder: &Path, name: &str, arguments: &[&str]) {
    check_with(folder, name, arguments, &[]);
}

fn check_with(folder: &Path, name: &str, arguments: &[&str], environment: &[(&str, &str)]) {
    let before = listing(folder);
    let mut command = Command::new(program());
    command
        .env("ORT_DYLIB_PATH", rtune_testkit::runtime_library())
        .envs(environment.iter().copied());
    let output = command
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr)
        .replace(&*folder.canonicalize().unwrap().to_string_lossy(), "[DIR]");
    // Help that clap adds below the message changes with its version.
    let message: Vec<&str> = stderr
        .lines()
        .take_while(|line| !line.starts_with("Usage:"))
        .filter(|line| !line.is_empty())
        .collect();
    let found = format!(
        "$ rtune {}\nexit {}\n{}\n",
        arguments.join(" "),
        output.status.code().unwrap_or(-1),
        message.join("\n")
    );
    golden(&format!("tests/cli/{name}.txt"), &found);
    assert_eq!(before, listing(folder), "{name} left something behind");
}

fn listing(folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            paths.extend(listing(&path));
        }
        paths.push(path);
    }
    paths.sort();
    paths
}

/// `finetune` with a file in place of the training rows.
fn training_file(folder: &Path, name: &str, file: &str, content: &[u8], more: &[&str]) {
    std::fs::write(folder.join(file), content).unwrap();
    let mut arguments = FINETUNE;
    arguments[4] = file;
    check(folder, name, &[&arguments, more].concat());
}

#[test]
fn data() {
    let folder = tiny_workspace();
    let folder = folder.path();
    training_file(
        folder,
        "data_column_twice",
        "twice.csv",
        b"text,text,label\na film,b,1\n",
        &[],
    );
    training_file(
        folder,
        "data_open_quote_ragged",
        "open.csv",
        b"text,label\n\"the film,1\ngood,0\n",
        &[],
    );
    check(
        folder,
        "data_folder",
        &[
            "finetune",
            "--model",
            "model",
            "--train",
            "model",
            "--validation",
            "test.csv",
            "--output",
            "run",
        ],
    );
    check(
        folder,
        "data_missing",
        &[
            "finetune",
            "--model",
            "model",
            "--train",
            "absent.csv",
            "--validation",
            "test.csv",
            "--output",
            "run",
            "--max-length",
            "24",
        ],
    );
    training_file(folder, "data_empty", "empty.csv", b"", &[]);
    training_file(
        folder,
        "data_header_only",
        "header.csv",
        b"text,label\n",
        &[],
    );
    training_file(
        folder,
        "data_no_such_column",
        "column.csv",
        b"sentence,label\nthe film,0\n",
        &[],
    );
    training_file(
        folder,
        "data_unknown_label",
        "label.csv",
        b"text,label\nthe film,good\na film,fine\n",
        &["--labels", "bad,good"],
    );
    training_file(
        folder,
        "data_label_no_integer",
        "word.csv",
        b"text,label\nthe film,good\n",
        &[],
    );
    training_file(
        folder,
        "data_label_out_of_range",
        "range.csv",
        b"text,label\nthe film,0\na film,7\n",
        &["--labels", "bad,good"],
    );
    training_file(
        folder,
        "data_class_without_example",
        "gap.csv",
        b"text,label\nthe film,0\na film,2\nfilm,2\n",
        &[],
    );
    training_file(
        folder,
        "data_open_quote",
        "quote.csv",
        b"label,text\n0,the film\n0,\"a film\n1,a cast\n",
        &[],
    );
    training_file(
        folder,
        "data_huge_label",
        "huge.csv",
        b"text,label\nthe film,0\na film,1700000000\n",
        &[],
    );
    training_file(
        folder,
        "data_number_names",
        "names.csv",
        b"text,label\nthe film,1\na film,0\n",
        &["--labels", "1,2,3"],
    );
    training_file(
        folder,
        "data_one_class",
        "one.csv",
        b"text,label\nthe film,0\na film,0\n",
        &[],
    );
    training_file(
        folder,
        "data_not_utf8",
        "latin.csv",
        b"text,label\nthe film,0\ncaf\xe9,1\n",
        &[],
    );
    training_file(
        folder,
        "data_ragged_row",
        "ragged.csv",
        b"text,label\nthe film,0\na film, or so,1\n",
        &[],
    );
    training_file(
        folder,
        "data_broken_json",
        "broken.jsonl",
        b"{\"text\": \"the film\", \"label\": 0}\n{\"text\": \"a film\", \"label\": \n",
        &[],
    );
    training_file(
        folder,
        "data_json_without_field",
        "field.jsonl",
        b"{\"text\": \"the film\"}\n",
        &[],
    );
    training_file(folder, "data_unknown_ending", "rows.xlsx", b"text\n", &[]);
    training_file(
        folder,
        "data_only_unknown_tokens",
        "unknown.csv",
        "text,label\nthe film,0\n\u{1f600} \u{1f601},1\n".as_bytes(),
        &[],
    );
    training_file(
        folder,
        "data_empty_text",
        "blank.csv",
        b"text,label\nthe film,0\n  ,1\n",
        &[],
    );
    training_file(
        folder,
        "data_validation_label_out_of_range",
        "two.csv",
        b"text,label\nthe film,0\na film,1\n",
        &[],
    );
}

#[test]
fn models() {
    let folder = tiny_workspace();
    let folder = folder.path();
    let model = folder.join("model");
    let finetune = [
        "finetune",
        "--model",
        "broken",
        "--train",
        "train.csv",
        "--validation",
        "test.csv",
        "--output",
        "run",
        "--max-length",
        "24",
    ];
    let broken = |change: &dyn Fn(&Path)| {
        let target = folder.join("broken");
        let _ = std::fs::remove_dir_all(&target);
        std::fs::create_dir(&target).unwrap();
        for name in ["config.json", "model.safetensors", "tokenizer.json"] {
            std::fs::copy(model.join(name), target.join(name)).unwrap();
        }
        change(&target);
    };
    let edit = |file: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(model.join(file)).unwrap();
        assert!(text.contains(from));
        text.replace(from, to)
    };
    check(
        folder,
        "model_missing",
        &[&["finetune", "--model", "absent"], &finetune[3..]].concat(),
    );
    check(
        folder,
        "model_hub_id",
        &[&["finetune", "--model", "org/name"], &finetune[3..]].concat(),
    );
    broken(&|f| std::fs::remove_file(f.join("config.json")).unwrap());
    check(folder, "model_without_config", &finetune);
    broken(&|f| std::fs::remove_file(f.join("tokenizer.json")).unwrap());
    check(folder, "model_without_tokenizer", &finetune);
    broken(&|f| std::fs::remove_file(f.join("model.safetensors")).unwrap());
    check(folder, "model_without_weights", &finetune);
    broken(&|f| {
        std::fs::write(
            f.join("config.json"),
            edit("config.json", "\"bert\"", "\"gpt2\""),
        )
        .unwrap()
    });
    check(folder, "model_type_unsupported", &finetune);
    broken(&|f| {
        std::fs::write(
            f.join("config.json"),
            edit("config.json", "\"vocab_size\": 29", "\"vocab_size\": 31"),
        )
        .unwrap()
    });
    check(folder, "model_shape_mismatch", &finetune);
    broken(&|f| std::fs::write(f.join("config.json"), "{ not json").unwrap());
    check(folder, "model_config_broken", &finetune);
    broken(&|f| std::fs::write(f.join("tokenizer.json"), "{}").unwrap());
    check(folder, "model_tokenizer_broken", &finetune);
    broken(&|f| {
        let bytes = std::fs::read(f.join("model.safetensors")).unwrap();
        std::fs::write(f.join("model.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    });
    check(folder, "model_weights_truncated", &finetune);
    broken(&|f| std::fs::write(f.join("model.safetensors"), b"garbage that is no header").unwrap());
    check(folder, "model_weights_corrupt", &finetune);
    check(
        folder,
        "model_not_finetuned",
        &["export", "--model", "model", "--output", "onnx"],
    );
    check(
        folder,
        "model_too_long",
        &[
            "finetune",
            "--model",
            "model",
            "--train",
            "train.csv",
            "--validation",
            "test.csv",
            "--output",
            "run",
        ],
    );
}

#[test]
fn onnx_and_outputs() {
    let workspace = tiny_workspace();
    let folder = workspace.path();
    tiny_export(folder);
    check(
        folder,
        "export_opset",
        &[
            "export",
            "--model",
            "run/final",
            "--opset",
            "11",
            "--output",
            "other",
        ],
    );
    check(
        folder,
        "export_occupied",
        &["export", "--model", "run/final", "--output", "onnx"],
    );
    check(
        folder,
        "export_of_a_run_folder",
        &["export", "--model", "run", "--output", "other"],
    );
    check(
        folder,
        "export_not_writable",
        &[
            "export",
            "--model",
            "run/final",
            "--output",
            "/proc/rtune/onnx",
        ],
    );
    check(
        folder,
        "verify_needs_onnx",
        &[
            "verify",
            "--reference",
            "run/final",
            "--candidate",
            "run/final",
            "--data",
            "test.csv",
        ],
    );

    let bytes = std::fs::read(folder.join("onnx/model.onnx")).unwrap();
    std::fs::write(folder.join("onnx/cut.onnx"), &bytes[..bytes.len() / 2]).unwrap();
    for (name, arguments) in [
        ("onnx_truncated_inspect", vec!["inspect", "onnx/cut.onnx"]),
        (
            "onnx_truncated_verify",
            vec![
                "verify",
                "--reference",
                "run/final",
                "--candidate",
                "onnx/cut.onnx",
                "--data",
                "test.csv",
            ],
        ),
        (
            "onnx_truncated_quantize",
            vec![
                "quantize",
                "--model",
                "onnx/cut.onnx",
                "--calib",
                "train.csv",
                "--output",
                "int8",
            ],
        ),
    ] {
        check(folder, name, &arguments);
    }
    foreign(&folder.join("onnx/foreign.onnx"), false);
    check(
        folder,
        "onnx_foreign_verify",
        &[
            "verify",
            "--reference",
            "run/final",
            "--candidate",
            "onnx/foreign.onnx",
            "--data",
            "test.csv",
        ],
    );
    std::fs::create_dir(folder.join("alone")).unwrap();
    foreign(&folder.join("alone/model.onnx"), false);
    std::fs::create_dir(folder.join("product")).unwrap();
    foreign(&folder.join("product/model.onnx"), true);
    check(
        folder,
        "onnx_foreign_predict",
        &["predict", "--model", "alone", "a film"],
    );
    check(
        folder,
        "onnx_foreign_quantize",
        &[
            "quantize",
            "--model",
            "product",
            "--calib",
            "train.csv",
            "--output",
            "int8",
        ],
    );

    let tensors = |name: &str, tensor: (&str, Tensor)| {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        let tensors = std::collections::HashMap::from([tensor]);
        candle_core::safetensors::save(&tensors, folder.join(name).join("a.safetensors")).unwrap();
    };
    let numbers = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    tensors("named", ("image", numbers(&[2])));
    tensors(
        "typed",
        ("pixels", numbers(&[2]).to_dtype(DType::I64).unwrap()),
    );
    tensors("ranked", ("pixels", numbers(&[2, 2])));
    tensors("fitting", ("pixels", numbers(&[2])));
    std::fs::create_dir(folder.join("cut")).unwrap();
    std::fs::write(folder.join("cut/a.safetensors"), [9, 0, 0, 0]).unwrap();
    for calib in ["named", "typed", "ranked", "cut", "fitting"] {
        let name = format!("tensors_{calib}");
        let model = if calib == "fitting" {
            "alone"
        } else {
            "product"
        };
        check(
            folder,
            &name,
            &[
                "quantize", "--model", model, "--calib", calib, "--output", "int8",
            ],
        );
    }

    std::fs::create_dir(folder.join("texts")).unwrap();
    check(
        folder,
        "calibration_folder_empty",
        &[
            "quantize", "--model", "onnx", "--calib", "texts", "--output", "int8",
        ],
    );
    check(
        folder,
        "calibration_missing",
        &[
            "quantize", "--model", "onnx", "--calib", "absent", "--output", "int8",
        ],
    );
    let output = rtune(
        folder,
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
    assert!(output.status.success());
    check(
        folder,
        "quantize_twice",
        &[
            "quantize",
            "--model",
            "int8",
            "--calib",
            "train.csv",
            "--output",
            "int8int8",
        ],
    );
    check(
        folder,
        "quantize_metric",
        &[
            "quantize",
            "--model",
            "onnx",
            "--calib",
            "train.csv",
            "--eval-data",
            "test.csv",
            "--metric",
            "f1",
            "--output",
            "other",
        ],
    );

    check(
        folder,
        "output_holds_the_input",
        &[
            "quantize",
            "--model",
            "int8",
            "--calib",
            "train.csv",
            "--output",
            "int8",
            "--force",
        ],
    );
    std::fs::write(
        folder.join("int8/tokenizer.json"),
        std::fs::read_to_string(folder.join("model/tokenizer.json")).unwrap() + " ",
    )
    .unwrap();
    check(
        folder,
        "tokenizer_of_another_model",
        &["predict", "--model", "int8", "a film"],
    );
    check(folder, "predict_nothing", &["predict", "--model", "onnx"]);
    check(
        folder,
        "predict_empty_text",
        &["predict", "--model", "onnx", "a film", " "],
    );
    check(
        folder,
        "predict_unknown_tokens",
        &["predict", "--model", "onnx", "\u{1f600}"],
    );
    check(
        folder,
        "predict_long_text",
        &["predict", "--model", "onnx", &"very ".repeat(40)],
    );
}

/// A valid model that is not ours, with a product to quantize or without.
fn foreign(path: &Path, product: bool) {
    use rtune_graph::{Dim, ElementType, Fact, Graph, Model, NodeDraft, Tensor};
    let mut graph = Graph::new("foreign");
    let x = graph
        .add_input(
            "pixels",
            Fact::new(ElementType::Float32, [Dim::symbol("n")]),
        )
        .unwrap();
    let mut y = graph
        .add(NodeDraft::new("Relu", "relu").inputs([x]).output("y"))
        .unwrap();
    if product {
        let weight = graph
            .add_initializer("weight", Tensor::from_f32(&[2, 1], &[0.5, -1.0]).unwrap())
            .unwrap();
        y = graph
            .add(NodeDraft::new("MatMul", "product").inputs([y, weight]))
            .unwrap();
    }
    graph.add_output(y).unwrap();
    std::fs::write(path, rtune_onnx::encode(&Model::new(graph, 17)).unwrap()).unwrap();
}

#[test]
fn runtime_library() {
    let workspace = tiny_workspace();
    let folder = workspace.path();
    tiny_export(folder);
    let predict = ["predict", "--model", "onnx", "a film"];
    check_with(
        folder,
        "runtime_missing",
        &predict,
        &[("ORT_DYLIB_PATH", "absent.so")],
    );
    std::fs::write(folder.join("text.so"), "not a library").unwrap();
    check_with(
        folder,
        "runtime_not_a_library",
        &predict,
        &[("ORT_DYLIB_PATH", "text.so")],
    );
    if library(folder, "other.so", "int other(void) { return 0; }") {
        check_with(
            folder,
            "runtime_other_library",
            &predict,
            &[("ORT_DYLIB_PATH", "other.so")],
        );
    }
    let old = "static const char *v(void) { return \"1.16.3\"; }
        static const void *a(unsigned n) { return 0; }
        struct base { const void *(*get)(unsigned); const char *(*version)(void); };
        static struct base b = { a, v };
        const struct base *OrtGetApiBase(void) { return &b; }";
    if library(folder, "old.so", old) {
        check_with(
            folder,
            "runtime_too_old",
            &predict,
            &[("ORT_DYLIB_PATH", "old.so")],
        );
    }
}

/// Compiles a shared library; false where there is no C compiler.
fn library(folder: &Path, name: &str, code: &str) -> bool {
    let source = folder.join("library.c");
    std::fs::write(&source, code).unwrap();
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(folder.join(name))
        .arg(&source)
        .status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn flags() {
    let workspace = tiny_workspace();
    let folder = workspace.path();
    let with = |more: &[&'static str]| [&FINETUNE[..], more].concat();
    check(folder, "flag_unknown", &with(&["--learning-rat", "1"]));
    check(
        folder,
        "flag_missing",
        &["finetune", "--train", "train.csv"],
    );
    check(folder, "flag_device", &with(&["--device", "tpu"]));
    check(
        folder,
        "flag_batch_size",
        &with(&["--train-batch-size", "0"]),
    );
    check(
        folder,
        "flag_learning_rate",
        &with(&["--learning-rate", "0"]),
    );
    check(
        folder,
        "flag_max_length",
        &[&FINETUNE[..9], &["--max-length", "2"]].concat(),
    );
    check(folder, "flag_labels_twice", &with(&["--labels", "a,b,a"]));
    check(folder, "flag_dtype", &with(&["--dtype", "bfloat16"]));
    check(folder, "flag_eval_steps", &with(&["--eval-steps", "0"]));
    check(
        folder,
        "flag_weight_decay",
        &with(&["--weight-decay", "-1"]),
    );
    check(folder, "flag_labels_empty", &with(&["--labels", "a,,b"]));
    check(folder, "flag_save_steps", &with(&["--save-steps", "0"]));
    check(
        folder,
        "flag_metric",
        &with(&["--metric-for-best-model", "f1"]),
    );
    check(
        folder,
        "flag_class_weights",
        &with(&["--class-weights", "1,2"]),
    );
    std::fs::write(folder.join("bad.toml"), "learning_rat = 1\n").unwrap();
    check(
        folder,
        "config_unknown_flag",
        &with(&["--config", "bad.toml"]),
    );
    std::fs::write(folder.join("broken.toml"), "learning_rate = \n").unwrap();
    check(folder, "config_broken", &with(&["--config", "broken.toml"]));
    check(
        folder,
        "config_missing",
        &with(&["--config", "absent.toml"]),
    );
    std::fs::create_dir(folder.join("full")).unwrap();
    std::fs::write(folder.join("full/file"), "").unwrap();
    std::fs::write(folder.join("full/metrics.jsonl"), "").unwrap();
    let full = ["--output", "full", "--force"];
    check(folder, "output_not_ours", &[&FINETUNE[..7], &full].concat());
    check(
        folder,
        "export_not_ours",
        &["export", "--model", "model", "--output", "full", "--force"],
    );
    check(
        folder,
        "output_occupied",
        &[
            "finetune",
            "--model",
            "model",
            "--train",
            "train.csv",
            "--validation",
            "test.csv",
            "--output",
            "full",
        ],
    );
}
