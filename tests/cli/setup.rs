//! The set-up of a case. A folder always holds the tiny model as `model`, and rows as `train.csv`
//! and `test.csv`; directives at the top of the case add to it or damage it, in order:
//!
//! | directive | effect |
//! |---|---|
//! | `with onnx` | adds a fine-tuned run as `run`, and its export as `onnx` |
//! | `with int8` | `with onnx`, and adds the quantized model as `int8` |
//! | `file PATH` | writes the lines below, each after `\| `; `\xNN` stands for a byte |
//! | `append PATH` | appends the lines below to a file |
//! | `repeat PATH WORD COUNT` | appends a word to a file again and again |
//! | `replace PATH` | replaces the text of the first line below by that of the second |
//! | `copy FROM TO` | copies a file or folder |
//! | `remove PATH` | deletes a file |
//! | `cut PATH` | keeps the first half of a file |
//! | `folder PATH` | creates an empty folder |
//! | `tensor PATH NAME TYPE DIM…` | writes a `.safetensors` file with one tensor of zeros |
//! | `prefix PATH PREFIX…` | writes the tensors of a file with a prefix, or with each of several |
//! | `cast PATH NAME TYPE` | gives a tensor of a file another element type |
//! | `fixture PATH` | copies a file of `fixtures/data` to the file of the same name |
//! | `model PATH FAMILY` | copies a folder of `fixtures/encoders`, or `../classifiers/NAME` |
//! | `foreign PATH relu` | writes another tool's ONNX model |
//! | `foreign PATH product` | with a constant product; `nan`: with a NaN in it; `old`: opset 11 |
//! | `graph PATH` | writes the ONNX model that the lines below describe; see `graph.rs` |
//! | `library PATH` | compiles the C code below to a shared library |
//! | `shell COMMAND` | runs a shell command; the case is ignored if it fails |
//! | `environment NAME VALUE` | sets a variable for the commands; without a value, unsets it |

use crate::case::Directive;
use crate::graph;
use candle_core::safetensors::load;
use candle_core::{DType, Device, Tensor};
use libtest_mimic::Failed;
use rtune_testkit::{fixtures, json, tiny_export_with, tiny_model_of, tiny_workspace};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// Folders that take a training run to make, made once.
#[derive(Default)]
pub(crate) struct Prepared {
    tiny: OnceLock<TempDir>,
    onnx: OnceLock<TempDir>,
    int8: OnceLock<TempDir>,
}

impl Prepared {
    fn tiny(&self) -> &Path {
        self.tiny.get_or_init(tiny_workspace).path()
    }

    fn onnx(&self) -> &Path {
        let make = || {
            let folder = tempfile::tempdir().unwrap();
            copy(self.tiny(), folder.path()).unwrap();
            // The rule that `auto` takes changes with the recipe of the training.
            tiny_export_with(folder.path(), &["--decision", "mean"]);
            folder
        };
        self.onnx.get_or_init(make).path()
    }

    pub(crate) fn int8(&self) -> &Path {
        let make = || {
            let folder = tempfile::tempdir().unwrap();
            copy(self.onnx(), folder.path()).unwrap();
            let quantize = "quantize --model onnx --calib train.csv --output int8";
            json(folder.path(), &quantize.split(' ').collect::<Vec<_>>());
            folder
        };
        self.int8.get_or_init(make).path()
    }
}

/// Makes the folder of a case and returns the variables of its commands; `None` if the case needs a
/// program that there is not.
pub(crate) fn apply(
    directives: &[Directive<'_>],
    folder: &Path,
    prepared: &Prepared,
) -> Result<Option<Vec<(String, String)>>, Failed> {
    copy(prepared.tiny(), folder)?;
    let mut environment = Vec::new();
    let is_complete = change(directives, folder, prepared, &mut environment)?;
    Ok(is_complete.then_some(environment))
}

/// Applies directives to the folder of a case and the variables of its commands; false if a program
/// is needed and there is none.
pub(crate) fn change(
    directives: &[Directive<'_>],
    folder: &Path,
    prepared: &Prepared,
    environment: &mut Vec<(String, String)>,
) -> Result<bool, Failed> {
    for directive in directives {
        let at = |name: &str| folder.join(name);
        let lines: Vec<u8> = directive
            .block
            .iter()
            .flat_map(|line| bytes(line))
            .collect();
        match *directive.words.as_slice() {
            ["with", "onnx"] => copy(prepared.onnx(), folder)?,
            ["with", "int8"] => copy(prepared.int8(), folder)?,
            ["file", path] => write(&at(path), &lines)?,
            ["append", path] => {
                let content = std::fs::read(at(path))?;
                write(&at(path), &[content, lines].concat())?;
            }
            ["replace", path] => replace(&at(path), &directive.block)?,
            ["copy", from, to] => copy(&at(from), &at(to))?,
            ["fixture", from, to] => copy(&fixtures().join(from), &at(to))?,
            ["remove", path] => std::fs::remove_file(at(path))?,
            ["cut", path] => {
                let content = std::fs::read(at(path))?;
                write(&at(path), &content[..content.len() / 2])?;
            }
            ["folder", path] => std::fs::create_dir_all(at(path))?,
            ["tensor", path, name, kind, ref dims @ ..] => tensor(&at(path), name, kind, dims)?,
            ["prefix", path, ref prefixes @ ..] => {
                let tensors = load(at(path), &Device::Cpu)?;
                let under = |prefix: &&str| {
                    let all = tensors.iter();
                    let named = all.map(|(name, t)| (format!("{prefix}{name}"), t.clone()));
                    named.collect::<Vec<_>>()
                };
                let all = prefixes.iter().flat_map(under).collect();
                candle_core::safetensors::save(&all, at(path))?;
            }
            ["cast", path, name, kind] => {
                let mut tensors = load(at(path), &Device::Cpu)?;
                let kind: DType = kind.parse().map_err(|_| format!("unknown type {kind}"))?;
                let tensor = tensors.get_mut(name).ok_or("no such tensor")?;
                *tensor = tensor.to_dtype(kind)?;
                candle_core::safetensors::save(&tensors, at(path))?;
            }
            ["repeat", path, word, count] => {
                let content = std::fs::read(at(path))?;
                let words = word.repeat(count.parse()?);
                write(&at(path), &[content, words.into_bytes()].concat())?;
            }
            ["shell", ref words @ ..] => {
                let mut shell = Command::new("sh");
                let status = shell
                    .arg("-c")
                    .arg(words.join(" "))
                    .current_dir(folder)
                    .status();
                if !status.is_ok_and(|status| status.success()) {
                    return Ok(false);
                }
            }
            ["fixture", name] => copy(&fixtures().join("data").join(name), &at(name))?,
            ["model", path, family] => {
                tiny_model_of(&fixtures().join("encoders").join(family), &at(path))
            }
            ["graph", path] => write(&at(path), &graph::encode(&directive.block)?)?,
            ["foreign", path, kind] => write(&at(path), &foreign(kind)?)?,
            ["library", path] => {
                if !library(&at(path), &lines)? {
                    return Ok(false);
                }
            }
            ["environment", name, ref value @ ..] => {
                environment.retain(|(other, _)| other != name);
                environment.extend(value.first().map(|v| (name.to_owned(), (*v).to_owned())));
            }
            ref other => return Err(format!("unknown directive `{}`", other.join(" ")).into()),
        }
    }
    Ok(true)
}

/// The bytes of a line and its end.
fn bytes(line: &str) -> Vec<u8> {
    let mut parts = line.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(&part.as_bytes()[2..]);
    }
    bytes.push(b'\n');
    bytes
}

fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, content)
}

pub(crate) fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.is_dir() {
        return std::fs::copy(from, to).map(drop);
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn replace(path: &Path, block: &[&str]) -> Result<(), Failed> {
    let [from, to] = *block else {
        return Err("`replace` needs two lines".into());
    };
    let text = std::fs::read_to_string(path)?;
    if !text.contains(from) {
        return Err(format!("{} does not hold `{from}`", path.display()).into());
    }
    Ok(write(path, text.replace(from, to).as_bytes())?)
}

pub(crate) fn tensor(path: &Path, name: &str, kind: &str, dims: &[&str]) -> Result<(), Failed> {
    let dims = dims.iter().map(|dim| dim.parse());
    let dims: Vec<usize> = dims.collect::<Result<_, _>>()?;
    let kind: DType = kind.parse().map_err(|_| format!("unknown type {kind}"))?;
    write(path, b"")?;
    let tensors = [(name, Tensor::zeros(dims, kind, &Device::Cpu)?)];
    Ok(candle_core::safetensors::save(&tensors.into(), path)?)
}

/// A valid model that rtune did not make.
pub(crate) fn foreign(kind: &str) -> Result<Vec<u8>, Failed> {
    use rtune_graph::{Dim, ElementType, Fact, GraphBuilder, NodeDraft, Tensor};
    let opset = if kind == "old" { 11 } else { 17 };
    let mut graph = GraphBuilder::new("foreign", opset);
    let fact = Fact::new(ElementType::Float32, [Dim::symbol("n")]);
    let x = graph.input("pixels", fact)?;
    let mut y = graph.add(NodeDraft::new("Relu", "relu").inputs([x]).output("y"))?;
    match kind {
        "relu" => {}
        "product" | "nan" | "old" => {
            let first = if kind == "nan" { f32::NAN } else { 0.5 };
            let weight = Tensor::from_f32(&[2, 1], &[first, -1.0])?;
            let weight = graph.constant("weight", weight)?;
            y = graph.add(NodeDraft::new("MatMul", "product").inputs([y, weight]))?;
        }
        _ => return Err(format!("unknown kind of model `{kind}`").into()),
    }
    graph.output(y)?;
    Ok(rtune_onnx::encode(&graph.finish())?.to_vec())
}

/// Compiles a shared library; false if there is no C compiler.
fn library(path: &Path, code: &[u8]) -> std::io::Result<bool> {
    let source = path.with_extension("c");
    write(&source, code)?;
    let mut command = Command::new("cc");
    command
        .args(["-shared", "-fPIC", "-o"])
        .arg(path)
        .arg(&source);
    Ok(command.status().is_ok_and(|status| status.success()))
}
