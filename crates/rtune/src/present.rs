//! Remedies for files of a model: the files that lie beside a missing one, and the kind of a file
//! that cannot be read.

use rtune_package::layout;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// A file that may lie in a folder in place of another: the start and the end of its name, and
/// what to do about it.
type Other = (&'static str, &'static str, Remedy);

#[derive(Clone, Copy)]
enum Remedy {
    /// A sentence about the file.
    Text(&'static str),
    /// The same, and Python code that writes the missing file; `FOLDER` stands for the folder.
    Python(&'static str, &'static str),
}

use Remedy::{Python, Text};

const UNFINISHED: Remedy = Text("is a download that did not finish; finish it");
const ADAPTER: Remedy = Text(
    "belongs to an adapter and no whole model; merge the adapter into its base model and save that",
);
const GOOGLE: Remedy =
    Text("is of Google's first release; download the model from its page at Hugging Face");
const PYTORCH: Remedy = Text(
    "is in PyTorch's format; if it holds the state dict of the model, rename it to \
     pytorch_model.bin",
);
const EXPORTED: Remedy =
    Text("is an exported model; give the folder of the checkpoint that it was exported from");
const GGUF: Remedy = Text("is for llama.cpp; download the model that it was made of");

const UNFINISHED_ENDS: [&str; 6] = [
    ".aria2",
    ".crdownload",
    ".download",
    ".incomplete",
    ".part",
    ".tmp",
];

/// Files in place of `model.safetensors`, the likeliest first.
const WEIGHTS: &[Other] = &[
    ("adapter_", "", ADAPTER),
    (
        "model-",
        ".safetensors",
        Text("is one of several parts; download model.safetensors.index.json, which lists them"),
    ),
    (
        "",
        ".safetensors",
        Text("is there; if it holds the weights of the model, rename it to model.safetensors"),
    ),
    (
        "pytorch_model-",
        ".bin",
        Text("is one of several parts; download pytorch_model.bin.index.json, which lists them"),
    ),
    (
        "tf_model",
        "",
        Python(
            "is in TensorFlow's format, which rtune does not read",
            "from transformers import AutoModel; \
             AutoModel.from_pretrained('FOLDER', from_tf=True).save_pretrained('FOLDER')",
        ),
    ),
    (
        "flax_model",
        "",
        Python(
            "is in Flax's format, which rtune does not read",
            "from transformers import AutoModel; \
             AutoModel.from_pretrained('FOLDER', from_flax=True).save_pretrained('FOLDER')",
        ),
    ),
    ("", ".ckpt.index", GOOGLE),
    ("", ".pt", PYTORCH),
    ("", ".pth", PYTORCH),
    ("", ".ckpt", PYTORCH),
    ("", ".gguf", GGUF),
    ("", ".onnx", EXPORTED),
];

/// Files in place of `config.json`.
const CONFIG: &[Other] = &[
    ("adapter_", "", ADAPTER),
    ("bert_config.json", "", GOOGLE),
    ("", ".gguf", GGUF),
    ("", ".onnx", EXPORTED),
    (
        "",
        ".safetensors",
        Text("is there; download config.json from the page of the same model"),
    ),
];

/// Files in place of `model.onnx`.
const ONNX: &[Other] = &[("", ".onnx", Text("is there; give its path"))];

/// Files in place of `tokenizer.json`, beside those that it is built from.
const TOKENIZER: &[Other] = &[
    (
        "merges.txt",
        "",
        Text("is there; download vocab.json, which belongs to it, or tokenizer.json"),
    ),
    (
        "",
        ".model",
        Text(
            "is of a tokenizer that rtune does not read; download tokenizer.json from the page of \
             the same model",
        ),
    ),
];

/// Says what lies in a folder in place of a file of a model, and what to do.
pub(crate) fn instead(folder: &Path, expected: &str) -> Option<String> {
    let others = match expected {
        layout::WEIGHTS => WEIGHTS,
        layout::CONFIG => CONFIG,
        layout::TOKENIZER => TOKENIZER,
        layout::ONNX => ONNX,
        _ => return None,
    };
    let names = names(folder);
    let begins = |name: &&String| {
        let rest = name.strip_prefix(expected).unwrap_or_default();
        UNFINISHED_ENDS.contains(&rest)
    };
    if let Some(name) = names.iter().find(begins) {
        return Some(describe(folder, name, UNFINISHED));
    }
    for (start, end, remedy) in others {
        let is_it = |name: &&String| name.starts_with(start) && name.ends_with(end);
        if let Some(name) = names.iter().find(is_it) {
            return Some(describe(folder, name, *remedy));
        }
    }
    let below = below(folder, expected)?;
    Some(format!(
        "{} holds one, so give that folder",
        below.display()
    ))
}

fn describe(folder: &Path, name: &str, remedy: Remedy) -> String {
    match remedy {
        Text(text) => format!("{name} {text}"),
        Python(text, code) => {
            let code = code.replace("FOLDER", &folder.to_string_lossy());
            format!("{name} {text}; convert it: python -c \"{code}\"")
        }
    }
}

/// The sorted names of the files in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = files
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The first folder below that holds a file of the name: published models lie in folders of a
/// cache, `snapshots/HASH`, or beside other modules.
fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let folders = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| path.is_dir());
        paths.sort();
        paths
    };
    let first = folders(folder);
    let second = first.iter().flat_map(|folder| folders(folder));
    let all: Vec<PathBuf> = first.iter().cloned().chain(second).collect();
    all.into_iter().find(|path| path.join(name).is_file())
}

/// Kinds of files by their first bytes, each with a remedy.
const KINDS: &[(&[u8], &str)] = &[
    (
        b"version https://git-lfs",
        "it is a Git LFS pointer, so run `git lfs pull` in its folder",
    ),
    (
        b"<!DOCTYPE",
        "it is a web page and not the file that the page is about",
    ),
    (
        b"<!doctype",
        "it is a web page and not the file that the page is about",
    ),
    (
        b"<html",
        "it is a web page and not the file that the page is about",
    ),
    (b"\x1f\x8b", "it is a gzip archive, so unpack it"),
    (b"PK\x03\x04", "it is a zip archive or in PyTorch's format"),
    (b"\x80\x02}", "it is in PyTorch's format"),
    (b"\x89HDF", "it is in TensorFlow's format"),
    (b"GGUF", "it is a GGUF file for llama.cpp"),
];

/// Says what kind of file a path is, if it is none that a model has.
pub(crate) fn kind(path: &Path) -> Option<String> {
    let mut start = Vec::new();
    let file = File::open(path).ok()?;
    file.take(64).read_to_end(&mut start).ok()?;
    if start.is_empty() && path.is_file() {
        return Some("the file is empty".to_owned());
    }
    // That is what such a file should be.
    let is_pytorch = path.extension().is_some_and(|extension| extension == "bin");
    let found = KINDS.iter().find(|(magic, kind)| {
        start.starts_with(magic) && !(is_pytorch && kind.contains("PyTorch"))
    });
    found.map(|(_, kind)| (*kind).to_owned())
}
