//! The model that `--model` names: a checkpoint, or an ONNX folder or file.

use crate::exit::usage;
use crate::locate::locate;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// A model on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A folder in Hugging Face layout.
    Checkpoint(PathBuf),
    /// An ONNX file, and the folder with its metadata and tokenizer.
    Onnx { file: PathBuf, folder: PathBuf },
}

impl Source {
    /// Recognizes the model at a path, which may be the folder of a run.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let path = &*locate(path)?;
        if path.is_file() {
            if path.extension().is_some_and(|e| e == "onnx") {
                let folder = path
                    .parent()
                    .filter(|p| *p != Path::new(""))
                    .unwrap_or(Path::new("."));
                return Ok(Self::Onnx {
                    file: path.to_owned(),
                    folder: folder.to_owned(),
                });
            }
            return Err(usage(format!(
                "{}: is a file, but no .onnx file; give a model folder or an .onnx file",
                path.display()
            )));
        }
        let file = path.join("model.onnx");
        if file.is_file() {
            return Ok(Self::Onnx {
                file,
                folder: path.to_owned(),
            });
        }
        Ok(Self::Checkpoint(path.to_owned()))
    }

    /// Returns the folder of a checkpoint; an ONNX model is an error.
    pub(crate) fn checkpoint(self) -> Result<PathBuf> {
        match self {
            Self::Checkpoint(folder) => Ok(folder),
            Self::Onnx { file, .. } => Err(usage(format!(
                "{}: is an ONNX model, but a checkpoint folder is needed",
                file.display()
            ))),
        }
    }

    /// Returns an ONNX file and its folder; a checkpoint is an error.
    pub(crate) fn onnx(self) -> Result<(PathBuf, PathBuf)> {
        match self {
            Self::Onnx { file, folder } => Ok((file, folder)),
            Self::Checkpoint(folder) => {
                let problem = format!(
                    "{0}: holds no model.onnx; run `rtune export --model {0} --output DIR` and \
                     give that folder",
                    folder.display()
                );
                Err(usage(problem))
            }
        }
    }
}
