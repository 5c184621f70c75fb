//! Inputs of any model from safetensors files.

use crate::QuantError;
use rtune_graph::{ElementType, Graph};
use rtune_runtime::Feed;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::path::{Path, PathBuf};

/// What one run of a model reads: one safetensors file, with a tensor for each of the model's
/// inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    tensors: Vec<Named>,
}

#[derive(Debug, Clone, PartialEq)]
struct Named {
    name: String,
    dims: Vec<usize>,
    values: Values,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    F32(Vec<f32>),
    I64(Vec<i64>),
    I32(Vec<i32>),
    U8(Vec<u8>),
    Bool(Vec<bool>),
}

impl Sample {
    /// The safetensors files that `path` is or, as a folder, holds, by name.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn files(path: &Path) -> Result<Vec<PathBuf>, QuantError> {
        let is_sample = |path: &Path| {
            path.extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("safetensors"))
        };
        if !path.is_dir() {
            return Ok(Some(path.to_owned())
                .filter(|path| is_sample(path))
                .into_iter()
                .collect());
        }
        let io = |source| QuantError::Io {
            path: path.to_owned(),
            source,
        };
        let entries = std::fs::read_dir(path)
            .map_err(io)?
            .collect::<Result<Vec<_>, _>>()
            .map_err(io)?;
        let mut files: Vec<_> = entries
            .iter()
            .map(std::fs::DirEntry::path)
            .filter(|file| is_sample(file))
            .collect();
        files.sort();
        Ok(files)
    }

    /// Reads a file for a graph.
    ///
    /// # Errors
    /// Where the file cannot be read, lacks an input of the graph, or has it in another type or
    /// rank.
    pub fn read(path: &Path, graph: &Graph) -> Result<Self, QuantError> {
        let bytes = std::fs::read(path).map_err(|source| QuantError::Io {
            path: path.to_owned(),
            source,
        })?;
        let problem = |problem: String| QuantError::Sample {
            path: path.to_owned(),
            problem,
        };
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|e| problem(format!("not a safetensors file, or a truncated one ({e})")))?;
        let inputs = graph
            .inputs()
            .iter()
            .filter(|input| graph.initializer(**input).is_none());
        let tensors = inputs.map(|input| {
            let value = graph.value(*input);
            let view = file.tensor(&value.name).map_err(|_| {
                let found: Vec<_> = file
                    .names()
                    .into_iter()
                    .map(|name| format!("`{name}`"))
                    .collect();
                let found = if found.is_empty() {
                    "none at all".to_owned()
                } else {
                    found.join(", ")
                };
                problem(format!(
                    "has no tensor for the model's input `{}`; it has {found}",
                    value.name
                ))
            })?;
            let fact = graph.fact(*input);
            let values =
                Values::of(&view, fact.map(|fact| fact.element_type)).ok_or_else(|| {
                    let known = [
                        ElementType::Float32,
                        ElementType::Int64,
                        ElementType::Int32,
                        ElementType::Uint8,
                        ElementType::Bool,
                    ];
                    let wanted = match fact {
                        Some(fact) if known.contains(&fact.element_type) => {
                            format!("the model's input is {fact}")
                        }
                        Some(fact) => format!(
                            "inputs of type {} are not supported for calibration",
                            fact.element_type
                        ),
                        None => "supported are F32, I64, I32, U8 and BOOL".to_owned(),
                    };
                    problem(format!(
                        "tensor `{}` has type {:?}; {wanted}",
                        value.name,
                        view.dtype()
                    ))
                })?;
            if let Some((fact, _)) = fact
                .and_then(|fact| Some((fact, fact.rank()?)))
                .filter(|(_, rank)| *rank != view.shape().len())
            {
                let shape = view.shape();
                return Err(problem(format!(
                    "tensor `{}` has shape {shape:?}; the model's input is {fact}",
                    value.name
                )));
            }
            Ok(Named {
                name: value.name.clone(),
                dims: view.shape().to_vec(),
                values,
            })
        });
        Ok(Self {
            tensors: tensors.collect::<Result<_, _>>()?,
        })
    }

    /// The sample as a session takes it.
    pub fn feeds(&self) -> Vec<Feed<'_>> {
        self.tensors.iter().map(Named::feed).collect()
    }

    /// What an input `attention_mask` `[batch, sequence]` says of each token; empty where there is
    /// none.
    pub fn attention_mask(&self) -> Vec<u8> {
        match self
            .tensors
            .iter()
            .find(|tensor| tensor.name == "attention_mask")
            .map(|tensor| &tensor.values)
        {
            Some(Values::I64(mask)) => mask.iter().map(|m| u8::from(*m != 0)).collect(),
            Some(Values::I32(mask)) => mask.iter().map(|m| u8::from(*m != 0)).collect(),
            Some(Values::Bool(mask)) => mask.iter().map(|m| u8::from(*m)).collect(),
            _ => Vec::new(),
        }
    }
}

impl Named {
    fn feed(&self) -> Feed<'_> {
        let Self { name, dims, values } = self;
        match values {
            Values::F32(values) => Feed::f32(name, dims, values),
            Values::I64(values) => Feed::i64(name, dims, values),
            Values::I32(values) => Feed::i32(name, dims, values),
            Values::U8(values) => Feed::u8(name, dims, values),
            Values::Bool(values) => Feed::bool(name, dims, values),
        }
    }
}

impl Values {
    /// The elements, where they have the type that is wanted, or one that it holds without loss.
    fn of(view: &TensorView<'_>, wanted: Option<ElementType>) -> Option<Self> {
        let bytes = view.data();
        let values = match (view.dtype(), wanted) {
            (Dtype::F32, _) => Self::F32(each(bytes, f32::from_le_bytes)),
            (Dtype::I32, Some(ElementType::Int64)) => {
                Self::I64(each(bytes, |b| i64::from(i32::from_le_bytes(b))))
            }
            (Dtype::I64, _) => Self::I64(each(bytes, i64::from_le_bytes)),
            (Dtype::I32, _) => Self::I32(each(bytes, i32::from_le_bytes)),
            (Dtype::U8, Some(ElementType::Bool)) | (Dtype::BOOL, _) => {
                Self::Bool(each(bytes, |[b]| b != 0))
            }
            (Dtype::U8, _) => Self::U8(bytes.to_vec()),
            _ => return None,
        };
        wanted
            .is_none_or(|wanted| wanted == values.element_type())
            .then_some(values)
    }

    fn element_type(&self) -> ElementType {
        match self {
            Self::F32(_) => ElementType::Float32,
            Self::I64(_) => ElementType::Int64,
            Self::I32(_) => ElementType::Int32,
            Self::U8(_) => ElementType::Uint8,
            Self::Bool(_) => ElementType::Bool,
        }
    }
}

fn each<T, const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(|chunk| value(*chunk))
        .collect()
}
