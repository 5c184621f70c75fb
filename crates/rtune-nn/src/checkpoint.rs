//! Reading checkpoints in Hugging Face layout: one `model.safetensors`, or shards with an index.

use crate::{NnError, Param, Result};
use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The tensors of a checkpoint, in memory, by the names that rtune uses.
#[derive(Debug)]
pub struct Checkpoint {
    tensors: BTreeMap<String, Stored>,
}

#[derive(Debug)]
struct Stored {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// What became of each tensor when a model was loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Taken from the checkpoint.
    pub loaded: Vec<String>,
    /// Not in the checkpoint, so given initial values: parts of the head.
    pub initialized: Vec<String>,
    /// In the checkpoint, but not part of the model.
    pub unexpected: Vec<String>,
}

impl Checkpoint {
    /// Reads the weights of a model folder. `prefix` is what checkpoints with a head put before the
    /// encoder's names.
    ///
    /// # Errors
    /// Where there are no weights, or a file is truncated or corrupt.
    pub fn open(folder: &Path, prefix: &str) -> Result<Self> {
        let mut tensors = BTreeMap::new();
        for file in weight_files(folder)? {
            read_file(&file, prefix, &mut tensors)?;
        }
        Ok(Self { tensors })
    }

    /// The tensors, ready to be taken into a model on `device`.
    pub fn weights(self, seed: u64, device: &Device) -> Weights {
        Weights {
            tensors: self.tensors,
            device: device.clone(),
            random: ChaCha8Rng::seed_from_u64(seed),
            report: LoadReport::default(),
            missing: Vec::new(),
            mismatched: Vec::new(),
        }
    }
}

/// Reads the tensors of one safetensors file in single precision, by name.
///
/// # Errors
/// Where the file cannot be read, or is truncated or corrupt.
pub fn load_tensors(path: &Path, device: &Device) -> Result<BTreeMap<String, Tensor>> {
    let mut stored = BTreeMap::new();
    read_file(path, "", &mut stored)?;
    let tensor =
        |(name, Stored { shape, values })| Ok((name, Tensor::from_vec(values, shape, device)?));
    stored.into_iter().map(tensor).collect()
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
    let names: BTreeSet<&str> = map.values().filter_map(|v| v.as_str()).collect();
    // A shard is a file of this folder; anything else would let a model read files of its choice.
    match names
        .iter()
        .find(|name| Path::new(name).file_name().is_none_or(|f| f != **name))
    {
        Some(name) => Err(problem(format!("shard `{name}` is not a file name"))),
        None => Ok(names.into_iter().map(|name| folder.join(name)).collect()),
    }
}

fn read_file(path: &Path, prefix: &str, tensors: &mut BTreeMap<String, Stored>) -> Result<()> {
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
        let values = to_f32(&view).map_err(|dtype| {
            problem(format!(
                "tensor `{name}` has type {dtype:?}; supported are F64, F32, F16 and BF16"
            ))
        });
        // Buffers such as position_ids are integers and no weights.
        let Ok(values) = values else {
            if matches!(
                view.dtype(),
                Dtype::I64 | Dtype::I32 | Dtype::U8 | Dtype::BOOL
            ) {
                continue;
            }
            return values.map(|_: Vec<f32>| ());
        };
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            return Err(problem(format!(
                "tensor `{name}` holds {} at element {index}",
                values[index]
            )));
        }
        tensors.insert(
            modern_name(&name, prefix),
            Stored {
                shape: view.shape().to_vec(),
                values,
            },
        );
    }
    Ok(())
}

/// Old checkpoints call a normalization's weights gamma and beta, and those with a head name the
/// encoder first.
fn modern_name(name: &str, prefix: &str) -> String {
    let name = name
        .strip_prefix(prefix)
        .and_then(|n| n.strip_prefix('.'))
        .unwrap_or(name);
    match name.rsplit_once('.') {
        Some((module, "gamma")) => format!("{module}.weight"),
        Some((module, "beta")) => format!("{module}.bias"),
        _ => name.to_owned(),
    }
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
        #[allow(clippy::cast_possible_truncation)] // The model computes in single precision.
        Dtype::F64 => Ok(all(bytes, |b| f64::from_le_bytes(b) as f32)),
        Dtype::F16 => Ok(all(bytes, |b| half::f16::from_le_bytes(b).to_f32())),
        Dtype::BF16 => Ok(all(bytes, |b| half::bf16::from_le_bytes(b).to_f32())),
        other => Err(other),
    }
}

/// Tensors on their way into a model; keeps the load report.
#[derive(Debug)]
pub struct Weights {
    tensors: BTreeMap<String, Stored>,
    device: Device,
    random: ChaCha8Rng,
    report: LoadReport,
    missing: Vec<String>,
    mismatched: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl Weights {
    /// A weight of the encoder, which the checkpoint must have; what is wrong is collected until
    /// [`Weights::finish`].
    pub(crate) fn encoder(&mut self, name: &str, shape: &[usize]) -> Result<Param> {
        match self.take(name, shape)? {
            Some(param) => Ok(param),
            None => {
                self.missing.push(name.to_owned());
                self.placeholder(name)
            }
        }
    }

    /// A weight of the head; where the checkpoint lacks it, it is drawn from a normal distribution.
    pub(crate) fn head(&mut self, name: &str, shape: &[usize], deviation: f32) -> Result<Param> {
        if let Some(param) = self.take(name, shape)? {
            return Ok(param);
        }
        self.report.initialized.push(name.to_owned());
        let values = (0..shape.iter().product())
            .map(|_| deviation * normal(&mut self.random))
            .collect();
        self.param(name, shape, values)
    }

    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Option<Param>> {
        let Some(stored) = self.tensors.remove(name) else {
            return Ok(None);
        };
        if stored.shape != shape {
            self.mismatched
                .push((name.to_owned(), shape.to_vec(), stored.shape));
            return self.placeholder(name).map(Some);
        }
        self.report.loaded.push(name.to_owned());
        self.param(name, shape, stored.values).map(Some)
    }

    /// Stands in for a weight that cannot be had, until [`Weights::finish`] says so; the config's
    /// shape may be absurd.
    fn placeholder(&self, name: &str) -> Result<Param> {
        self.param(name, &[0], Vec::new())
    }

    fn param(&self, name: &str, shape: &[usize], values: Vec<f32>) -> Result<Param> {
        Ok(Param::new(
            name,
            Tensor::from_vec(values, shape, &self.device)?,
        ))
    }

    /// The load report.
    ///
    /// # Errors
    /// Where a weight of the encoder is missing, or a shape differs from the config's.
    pub(crate) fn finish(mut self, folder: &Path) -> Result<LoadReport> {
        if !self.missing.is_empty() || !self.mismatched.is_empty() {
            return Err(NnError::Weights {
                folder: folder.to_owned(),
                missing: self.missing,
                mismatched: self.mismatched,
            });
        }
        self.report.unexpected = self.tensors.into_keys().collect();
        Ok(self.report)
    }
}

/// One draw from the standard normal distribution (Box and Muller, 1958).
fn normal(random: &mut ChaCha8Rng) -> f32 {
    let radius = (-2.0 * (1.0 - random.random::<f32>()).ln()).sqrt();
    radius * (std::f32::consts::TAU * random.random::<f32>()).cos()
}
