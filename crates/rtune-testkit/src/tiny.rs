use crate::{fixtures, json};
use std::path::Path;

/// The arguments that fine-tune the model of [`tiny_workspace`] to `run`; append further flags.
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

/// Returns a CSV table that the tiny model can learn: a good or bad word decides the label, 0 to 2.
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

/// Copies the tiny BERT fixture to the new folder `target`.
///
/// # Panics
/// If the folder exists or cannot be written.
pub fn tiny_model(target: &Path) {
    tiny_model_of(&fixtures().join("encoders/bert"), target);
}

/// Copies a folder of `fixtures/encoders` to the new folder `target`, without its goldens.
///
/// # Panics
/// If the folder exists or cannot be written.
pub fn tiny_model_of(family: &Path, target: &Path) {
    std::fs::create_dir(target).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        std::fs::copy(family.join(name), target.join(name)).unwrap();
    }
}

/// Creates a folder with the tiny model as `model`, and 96 rows as `train.csv`, 32 as `test.csv`.
///
/// # Panics
/// If the folder cannot be written.
pub fn tiny_workspace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    tiny_model(&folder.path().join("model"));
    std::fs::write(folder.path().join("train.csv"), tiny_rows(96)).unwrap();
    std::fs::write(folder.path().join("test.csv"), tiny_rows(32)).unwrap();
    folder
}

/// Fine-tunes the tiny model to `run`, and exports it to `onnx`.
///
/// # Panics
/// If a command fails, or the model did not learn its rows.
pub fn tiny_export(folder: &Path) {
    tiny_export_with(folder, &[]);
}

/// [`tiny_export`] with further flags of `finetune`.
///
/// # Panics
/// As [`tiny_export`].
pub fn tiny_export_with(folder: &Path, more: &[&str]) {
    let flags = [
        "--num-train-epochs",
        "6",
        "--train-batch-size",
        "8",
        "--learning-rate",
        "3e-3",
        // A checkpoint between two evaluations.
        "--save-steps",
        "70",
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
