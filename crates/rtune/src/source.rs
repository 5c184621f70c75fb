//! The model that `--model` names: a checkpoint, or an ONNX folder or file. A folder may hold both;
//! then the need of the command decides.

use crate::console::note;
use crate::exit::usage;
use crate::locate::locate;
use crate::present;
use anyhow::Result;
use rtune_package::layout;
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
    /// Recognizes the model at a path, which may be the folder of a run, for commands that run
    /// either kind. Of a folder with both, an ONNX model of rtune's is taken, or else the
    /// checkpoint.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let path = locate(path)?;
        if path.is_file() {
            let folder = folder_of_onnx(&path)?;
            return Ok(Self::Onnx { file: path, folder });
        }
        let file = path.join(layout::ONNX);
        let weights = weights(&path);
        let (is_onnx, used, reason) = match (file.is_file(), weights) {
            (is_onnx, None) => (is_onnx, None, ""),
            (false, Some(_)) => (false, None, ""),
            (true, Some(weights)) => match path.join(layout::METADATA).is_file() {
                true => (true, Some((layout::ONNX, weights)), ""),
                false => (
                    false,
                    Some((weights, layout::ONNX)),
                    ", because there is no metadata.json for the other",
                ),
            },
        };
        if let Some((used, other)) = used {
            note(format!(
                "note: {} holds {used} and {other}; {used} is used{reason}",
                path.display()
            ));
        }
        Ok(match is_onnx {
            true => Self::Onnx { file, folder: path },
            false => Self::Checkpoint(path),
        })
    }

    /// Returns the folder of a checkpoint, for commands that need its weights.
    pub(crate) fn checkpoint(path: &Path) -> Result<PathBuf> {
        let path = locate(path)?;
        let of_onnx = |file: &Path| {
            usage(format!(
                "{}: is an ONNX model, but a checkpoint folder is needed; give the folder of the \
                 checkpoint that it was exported from",
                file.display()
            ))
        };
        if path.is_file() {
            folder_of_onnx(&path)?;
            return Err(of_onnx(&path));
        }
        let file = path.join(layout::ONNX);
        match file.is_file() && weights(&path).is_none() {
            true => Err(of_onnx(&file)),
            false => Ok(path),
        }
    }

    /// Returns an ONNX file and its folder, for commands that need a graph.
    pub(crate) fn onnx(path: &Path) -> Result<(PathBuf, PathBuf)> {
        let path = locate(path)?;
        if path.is_file() {
            let folder = folder_of_onnx(&path)?;
            return Ok((path, folder));
        }
        let file = path.join(layout::ONNX);
        if file.is_file() {
            return Ok((file, path));
        }
        let folder = path.display();
        let remedy = if let Some(other) = present::instead(&path, layout::ONNX) {
            other
        } else if path.join(layout::CONFIG).is_file() {
            format!("run `rtune export --model {folder} --output DIR` and give that folder")
        } else {
            "it holds no model of any kind".to_owned()
        };
        Err(usage(format!("{folder}: holds no model.onnx; {remedy}")))
    }
}

/// The name of the weights in a folder, or of their index.
pub(crate) fn weights(folder: &Path) -> Option<&'static str> {
    let names = [
        layout::WEIGHTS,
        layout::WEIGHTS_INDEX,
        layout::PYTORCH,
        layout::PYTORCH_INDEX,
    ];
    names.into_iter().find(|name| folder.join(name).is_file())
}

/// The folder of an ONNX file.
fn folder_of_onnx(file: &Path) -> Result<PathBuf> {
    if file.extension().is_none_or(|extension| extension != "onnx") {
        return Err(usage(format!(
            "{}: is a file, but no .onnx file; give a model folder or an .onnx file",
            file.display()
        )));
    }
    let folder = file.parent().filter(|p| *p != Path::new(""));
    Ok(folder.unwrap_or(Path::new(".")).to_owned())
}
