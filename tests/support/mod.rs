//! Running the program under test.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)] // Tests; not every one uses all of it.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program, built beside the tests by `cargo xtask test`.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test
        .ancestors()
        .nth(2)
        .unwrap()
        .join(format!("rtune{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.is_file(),
        "{} is not built; run `cargo xtask test`",
        path.display()
    );
    path
}

/// Runs the program in `folder`.
pub fn rtune(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command
        .env("ORT_DYLIB_PATH", rtune_testkit::runtime_library())
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

/// Runs the program, which must succeed, with `--json`.
pub fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = rtune(folder, &[arguments, &["--json"]].concat());
    assert!(
        output.status.success(),
        "rtune {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Rows that the tiny fixture can learn from: a good or bad word decides.
pub fn tiny_rows(count: usize) -> String {
    let words = ["bad", "dull", "good", "great"];
    let rows = (0..count).map(|i| {
        format!(
            "the {} was very {}{},{}\n",
            ["film", "story", "cast"][i % 3],
            words[i % 4],
            ["", " ."][i % 2],
            [0, 0, 1, 2][i % 4]
        )
    });
    std::iter::once("text,label\n".to_owned())
        .chain(rows)
        .collect()
}

/// A folder with the tiny model as `model`, and `train.csv` and `test.csv`.
pub fn tiny_workspace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    std::fs::create_dir(&model).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        std::fs::copy(
            rtune_testkit::fixtures().join("bert-tiny").join(name),
            model.join(name),
        )
        .unwrap();
    }
    std::fs::write(folder.path().join("train.csv"), tiny_rows(96)).unwrap();
    std::fs::write(folder.path().join("test.csv"), tiny_rows(32)).unwrap();
    folder
}

/// Fine-tunes the tiny model to `run`; further flags come behind.
pub const FINETUNE: [&str; 11] = [
    "finetune",
    "--model",
    "model",
    "--train",
    "train.csv",
    "--validation",
    "test.csv",
    "--output",
    "run",
    "--max-length",
    "24",
];

/// Fine-tunes the tiny model to `run`, and exports it to `onnx`.
pub fn tiny_export(folder: &Path) {
    tiny_export_with(folder, &[]);
}

/// As [`tiny_export`], with further flags.
pub fn tiny_export_with(folder: &Path, more: &[&str]) {
    let flags = [
        "--num-train-epochs",
        "6",
        "--train-batch-size",
        "8",
        "--learning-rate",
        "3e-3",
    ];
    let tuned = json(folder, &[&FINETUNE[..], &flags, more].concat());
    assert!(
        tuned["validation"]["qwk"].as_f64().unwrap() > 0.5,
        "{tuned}"
    );
    json(
        folder,
        &["export", "--model", "run/final", "--output", "onnx"],
    );
}

/// Compares text with a golden file of the source tree; `RTUNE_BLESS=1` writes it anew.
pub fn golden(file: &str, found: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("RTUNE_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let place = expected
        .lines()
        .zip(found.lines())
        .position(|(a, b)| a != b);
    assert!(
        expected == found,
        "{file} differs, first at line {:?}; found:\n{found}",
        place.map(|line| line + 1)
    );
}
