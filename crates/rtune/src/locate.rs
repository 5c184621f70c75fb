//! The folder or file of a model: a path as it is given, or the result of a run.

use crate::console::note;
use crate::exit::usage;
use crate::source::weights;
use anyhow::Result;
use rtune_package::layout;
use rtune_train::Checkpoints;
use std::path::{Component, Path, PathBuf};

/// Parts of the names of published encoders. One word is taken for such a name only if it has one.
const FAMILIES: &[&str] = &[
    "albert", "bert", "bge-", "e5-", "electra", "gte-", "minilm", "mpnet",
];

/// Names of folders and files that rtune's commands write, in the README or by themselves.
const OURS: &[&str] = &[
    layout::CHECKPOINTS,
    layout::FINAL,
    layout::ONNX,
    "int8",
    "onnx",
];

/// Returns the path of the model that `path` names. The folder of a run stands for its result.
///
/// # Errors
/// If there is no such path, or a run that has no model yet.
pub(crate) fn locate(path: &Path) -> Result<PathBuf> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    if !path.is_dir() {
        return Err(usage(missing(path)));
    }
    let holds = |name: &str| path.join(name).exists();
    if Checkpoints::is_checkpoint_dir(path) && !holds(layout::CONFIG) {
        return Err(usage(checkpoint(path)));
    }
    let (onnx, metadata) = (path.join(layout::ONNX), path.join(layout::METADATA));
    if metadata.exists() && !onnx.is_file() && weights(path).is_none() {
        return Err(usage(format!(
            "{}: no such file, though {} belongs to it; export or quantize the model again",
            onnx.display(),
            metadata.display()
        )));
    }
    if holds(layout::CONFIG) || holds(layout::ONNX) || weights(path).is_some() {
        return Ok(path.to_owned());
    }
    let result = path.join(layout::FINAL);
    if result.join(layout::CONFIG).is_file() {
        let (run, result_name) = (path.display(), result.display());
        note(format!(
            "note: {run} is the folder of a run; its model is {result_name}"
        ));
        return Ok(result);
    }
    match is_run(path) {
        true => Err(usage(unfinished(path))),
        false => Ok(path.to_owned()),
    }
}

fn is_run(path: &Path) -> bool {
    path.join(layout::METRICS).is_file() || path.join(layout::CHECKPOINTS).is_dir()
}

fn unfinished(run: &Path) -> String {
    format!(
        "{}: this run has not finished, so it has no model yet; repeat its `rtune finetune` \
         command, which resumes it",
        run.display()
    )
}

fn checkpoint(path: &Path) -> String {
    let run = path
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new(""));
    let remedy = match run.join(layout::FINAL).join(layout::CONFIG).is_file() {
        true => format!("the run's model is {}", run.join(layout::FINAL).display()),
        false => "repeat the `rtune finetune` command of the run, which resumes it".to_owned(),
    };
    format!(
        "{}: a checkpoint of a run holds the state of training and no model; {remedy}",
        path.display()
    )
}

/// Explains a path at which there is nothing.
fn missing(path: &Path) -> String {
    let text = path.to_string_lossy();
    let none = format!("{text}: no such folder or file");
    if text.contains("://") {
        return format!(
            "{text}: an address; rtune reads local folders, so download the model and give its \
             folder"
        );
    }
    if path.components().any(|part| part.as_os_str() == "~") {
        return format!("{none}; no shell replaced the `~`, so write the path of the home folder");
    }
    let parents = path.ancestors().skip(1);
    let mut parents = parents.take_while(|path| *path != Path::new(""));
    if let Some(parent) = parents.find(|path| path.is_dir()) {
        let rest = path.strip_prefix(parent).unwrap_or(path);
        if rest == Path::new(layout::FINAL) && is_run(parent) {
            return unfinished(parent);
        }
        let first = rest.components().next().unwrap_or(Component::CurDir);
        let first = first.as_os_str().to_string_lossy();
        return format!("{none}; {} holds no `{first}`", parent.display());
    }
    if is_like_a_hub_name(path) {
        return format!(
            "{none}; if this is the name of a published model, download its files and give \
             their folder"
        );
    }
    none
}

/// True for `org/name`, and for one word such as `bert-base-uncased`.
fn is_like_a_hub_name(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let parts: Vec<&str> = text.trim_end_matches('/').split('/').collect();
    let is_name = |part: &&str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
            && !OURS.contains(part)
            && !part.ends_with(".onnx")
    };
    let lower = text.to_lowercase();
    parts.iter().all(is_name)
        && match parts.len() {
            1 => FAMILIES.iter().any(|family| lower.contains(family)),
            2 => true,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_published_models_are_told_from_paths() {
        for name in [
            "bert-base-uncased",
            "sentence-transformers/all-MiniLM-L6-v2",
            "org/name",
            "distilroberta-base",
            "org/name/",
        ] {
            assert!(is_like_a_hub_name(Path::new(name)), "{name}");
        }
        for path in [
            "run3/final",
            "run3",
            "a/b/c",
            "./org/name",
            "../bert",
            "/bert",
            "onnx",
            "bert/model.onnx",
            "bert.onnx",
            "",
        ] {
            assert!(!is_like_a_hub_name(Path::new(path)), "{path}");
        }
    }
}
