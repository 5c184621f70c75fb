use crate::weights::names::modern;
use crate::{NnError, Result, TensorNames};
use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The tensors of a checkpoint by name, in single precision and in main memory.
#[derive(Debug, Default)]
pub struct StateDict {
    tensors: BTreeMap<String, Tensor>,
    /// The element types of tensors that are none of the supported ones.
    others: BTreeMap<String, String>,
    /// The prefix that was removed from the names.
    prefix: Option<String>,
}

impl StateDict {
    /// Reads the weights of a model folder: one `model.safetensors`, or shards with an index. The
    /// prefix of the encoder's names, by `names`, is removed.
    ///
    /// # Errors
    /// If there are no weights, a file is truncated or damaged, or there are several encoders.
    pub fn read(folder: &Path, names: &TensorNames) -> Result<Self> {
        let mut read = Self::default();
        let files = weight_files(folder)?;
        for file in &files {
            read.read_file(file)?;
        }
        let all = read.tensors.keys().chain(read.others.keys());
        let prefix = names.prefix(all.map(String::as_str)).map_err(|found| {
            let problem = format!(
                "holds the weights of several encoders, with the prefixes {}; write the tensors of \
                 one of them to a file of their own",
                found
                    .iter()
                    .map(|p| format!("`{p}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            );
            let path = files.first().map_or(folder, PathBuf::as_path).to_owned();
            NnError::File { path, problem }
        })?;
        read.tensors = without_prefix(read.tensors, &prefix);
        read.others = without_prefix(read.others, &prefix);
        read.prefix = (!names.is_usual(&prefix)).then_some(prefix);
        Ok(read)
    }

    fn read_file(&mut self, path: &Path) -> Result<()> {
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
                // Buffers such as position_ids are integers and not weights. Whether a tensor is
                // a weight is known when the model asks for it.
                Err(dtype) => {
                    self.others.insert(modern(&name), format!("{dtype:?}"));
                    continue;
                }
            };
            if let Some(index) = values.iter().position(|v| !v.is_finite()) {
                return Err(problem(format!(
                    "tensor `{name}` holds {} at element {index}",
                    values[index]
                )));
            }
            let tensor = Tensor::from_vec(values, view.shape(), &Device::Cpu)?;
            self.tensors.insert(modern(&name), tensor);
        }
        Ok(())
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor.
    pub fn dims(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(Tensor::dims)
    }

    /// The element type of a tensor that cannot be read, if it is there.
    pub(crate) fn other_type(&self, name: &str) -> Option<&str> {
        self.others.get(name).map(String::as_str)
    }

    /// The prefix that was removed from the names, if it is an unusual one.
    pub(crate) fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Tensor> {
        self.tensors.remove(name)
    }
}

impl From<BTreeMap<String, Tensor>> for StateDict {
    fn from(tensors: BTreeMap<String, Tensor>) -> Self {
        Self {
            tensors,
            ..Self::default()
        }
    }
}

/// Removes the prefix from the names that have it.
fn without_prefix<T>(tensors: BTreeMap<String, T>, prefix: &str) -> BTreeMap<String, T> {
    let (with, without): (Vec<_>, Vec<_>) = tensors
        .into_iter()
        .partition(|(name, _)| name.starts_with(prefix));
    let with = with
        .into_iter()
        .map(|(name, t)| (name[prefix.len()..].to_owned(), t));
    // Of two tensors with one name, that of the encoder counts.
    without.into_iter().chain(with).collect()
}

/// Reads the tensors of one safetensors file in single precision, by name. Tensors of integers are
/// left out.
///
/// # Errors
/// If the file cannot be read, or is truncated or damaged.
pub fn load_tensors(path: &Path, device: &Device) -> Result<BTreeMap<String, Tensor>> {
    let mut read = StateDict::default();
    read.read_file(path)?;
    read.tensors
        .into_iter()
        .map(|(name, tensor)| Ok((name, tensor.to_device(device)?)))
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
    if let Some(name) = names
        .iter()
        .find(|name| Path::new(name).file_name().is_none_or(|f| f != **name))
    {
        return Err(problem(format!("shard `{name}` is not a file name")));
    }
    let missing: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !folder.join(name).is_file())
        .collect();
    if !missing.is_empty() {
        return Err(problem(format!(
            "names {} of {} files that are not in this folder: {}; download them",
            missing.len(),
            names.len(),
            missing.join(", ")
        )));
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
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
