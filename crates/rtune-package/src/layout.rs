//! Names of the files and folders that rtune reads and writes.

use crate::PackageError;
use std::path::Path;

/// Architecture, and under the key `rtune` the task.
pub const CONFIG: &str = "config.json";
/// Weights of a checkpoint.
pub const WEIGHTS: &str = "model.safetensors";
/// The list of the files of a checkpoint whose weights are in several.
pub const WEIGHTS_INDEX: &str = "model.safetensors.index.json";
/// Weights in PyTorch's format, which are read if there are none in the other.
pub const PYTORCH: &str = "pytorch_model.bin";
/// The list of the files of such weights, if they are in several.
pub const PYTORCH_INDEX: &str = "pytorch_model.bin.index.json";
/// The ONNX graph with its weights.
pub const ONNX: &str = "model.onnx";
/// [`Metadata`](crate::Metadata) of an exported model.
pub const METADATA: &str = "metadata.json";
/// The report of a quantization.
pub const QUANTIZATION: &str = "quantization.json";
/// The tokenizer.
pub const TOKENIZER: &str = "tokenizer.json";
/// The [`Marker`](crate::Marker) of an output folder.
pub const MARKER: &str = ".rtune.json";

/// The log of a run.
pub const METRICS: &str = "metrics.jsonl";
/// The folder of a run's checkpoints.
pub const CHECKPOINTS: &str = "checkpoints";
/// The folder of a run's result.
pub const FINAL: &str = "final";
/// The page about a finished run.
pub const REPORT: &str = "report.html";
/// The folder of a run's event files.
pub const TENSORBOARD: &str = "tensorboard";

/// Prefix of every name that is only rtune's own business.
pub const OWN_PREFIX: &str = ".rtune-";
/// Prefix of a folder that is not complete yet.
pub const PARTIAL_PREFIX: &str = ".rtune-partial-";
/// Prefix of a folder that is being replaced.
pub const OLD_PREFIX: &str = ".rtune-old-";

/// Files of a tokenizer. Only the first is needed; the others are copied where they exist.
pub const TOKENIZER_FILES: [&str; 5] = [
    TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "added_tokens.json",
];

/// Copies the files of `names` that exist from one folder to another. The copies have the
/// permissions of new files.
///
/// # Errors
/// If a file exists and cannot be read, or its copy cannot be written.
pub fn copy_files(from: &Path, to: &Path, names: &[&str]) -> Result<(), PackageError> {
    for name in names {
        let source = from.join(name);
        if source.is_file() {
            let content = std::fs::read(&source).map_err(PackageError::read(source))?;
            let target = to.join(name);
            std::fs::write(&target, content).map_err(PackageError::write(target))?;
        }
    }
    Ok(())
}
