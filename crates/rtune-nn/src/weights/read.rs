use crate::weights::names::canonical;
use crate::{NnError, Result};
use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The tensors of a checkpoint by name, in single precision and in main memory.
#[derive(Debug, Default)]
pub struct StateDict {
    tensors: BTreeMap<String, Tensor>,
}

impl StateDict {
    /// Reads the weights of a model folder: one `model.safetensors`, or shards with an index. The
    /// first of the `prefixes` that a tensor's name starts with is removed from it.
    ///
    /// # Errors
    /// If there are no weights, or a file is truncated or damaged.
    pub fn read(folder: &Path, prefixes: &[&str]) -> Result<Self> {
        let mut tensors = BTreeMap::new();
        for file in weight_files(folder)? {
            read_file(&file, prefixes, &mut tensors)?;
        }
        Ok(Self { tensors })
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor.
    pub fn dims(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(Tensor::dims)
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Tensor> {
        self.tensors.remove(name)
    }
}

impl From<BTreeMap<String, Tensor>> for StateDict {
    fn from(tensors: BTreeMap<String, Tensor>) -> Self {
        Self { tensors }
    }
}

/// Reads the tensors of one safetensors file in single precision, by name.
///
/// # Errors
/// If the file cannot be read, or is truncated or damaged.
pub fn load_tensors(path: &Path, device: &Device) -> Result<BTreeMap<String, Tensor>> {
    let mut tensors = BTreeMap::new();
    read_file(path, &[], &mut tensors)?;
    tensors
        .into_iter()
        .map(|(name, tensor): (_, Tensor)| Ok((name, tensor.to_device(device)?)))
        .collect()
}

fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let single = folder.join("model.safetensors");
    if single.is_file() {
        return Ok(vec![single]);
    }
    let index = folder.join("model.safetensors.index.json");
    if !index.is_file() {
        return Err(NnError::MissingFile {
            folder: folder.to_owned(),
            expected: "model.safetensors",
        });
    }
    let text = std::fs::read_to_string(&index).map_err(NnError::io(&index))?;
    let problem = |problem: String| NnError::File {
        path: index.clone(),
        problem,
    };
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| problem(format!("not JSON: {e}")))?;
    let map = json
        .get("weight_map")
        .and_then(|m| m.as_object())
        .ok_or_else(|| problem("has no weight_map".to_owned()))?;
    let names: Option<BTreeSet<&str>> = map.values().map(|value| value.as_str()).collect();
    let names = names.ok_or_else(|| problem("weight_map names a file by no string".to_owned()))?;
    // A shard is a file in this folder: an index must not make rtune read other files.
    match names
        .iter()
        .find(|name| Path::new(name).file_name().is_none_or(|f| f != **name))
    {
        Some(name) => Err(problem(format!("shard `{name}` is not a file name"))),
        None => Ok(names.into_iter().map(|name| folder.join(name)).collect()),
    }
}

fn read_file(path: &Path, prefixes: &[&str], tensors: &mut BTreeMap<String, Tensor>) -> Result<()> {
    let bytes = std::fs::read(path).map_err(NnError::io(path))?;
    let problem = |problem: String| NnError::File {
        path: path.to_owned(),
        problem,
    };
    let file = SafeTensors::deserialize(&bytes).map_err(|e| {
        problem(format!(
            "not a safetensors file, or a truncated one ({e}); download it again"
        ))
    })?;
    for (name, view) in file.tensors() {
        let values = match to_f32(&view) {
            Ok(values) => values,
            // Buffers such as position_ids are integers and not weights.
            Err(Dtype::I64 | Dtype::I32 | Dtype::U8 | Dtype::BOOL) => continue,
            Err(dtype) => {
                return Err(problem(format!(
                    "tensor `{name}` has type {dtype:?}; supported are F64, F32, F16 and BF16"
                )));
            }
        };
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            return Err(problem(format!(
                "tensor `{name}` holds {} at element {index}",
                values[index]
            )));
        }
        let tensor = Tensor::from_vec(values, view.shape(), &Device::Cpu)?;
        tensors.insert(canonical(&name, prefixes), tensor);
    }
    Ok(())
}

fn to_f32(view: &TensorView<'_>) -> Result<Vec<f32>, Dtype> {
    fn all<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes
            .as_chunks::<N>()
            .0
            .iter()
            .map(|chunk| value(*chunk))
            .collect()
    }
    let bytes = view.data();
    match view.dtype() {
        Dtype::F32 => Ok(all(bytes, f32::from_le_bytes)),
        Dtype::F64 => Ok(all(bytes, |b| f64::from_le_bytes(b) as f32)),
        Dtype::F16 => Ok(all(bytes, |b| half::f16::from_le_bytes(b).to_f32())),
        Dtype::BF16 => Ok(all(bytes, |b| half::bf16::from_le_bytes(b).to_f32())),
        other => Err(other),
    }
}
