use crate::weights::bin;
use crate::weights::names::modern;
use crate::weights::stored::{Element, FileTensor, WeightFile};
use crate::{NnError, Result, TensorNames};
use candle_core::{Device, Tensor};
use safetensors::SafeTensorError;
use safetensors::tensor::Metadata;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The tensors of a checkpoint by name, in single precision and in main memory. Those of files are
/// read when a model takes them.
#[derive(Debug, Default)]
pub struct StateDict {
    tensors: BTreeMap<String, Stored>,
    /// The element types of tensors that are none of the supported ones.
    others: BTreeMap<String, String>,
    /// The prefix that was removed from the names.
    prefix: Option<String>,
}

/// A tensor that a model may take.
#[derive(Debug)]
enum Stored {
    Memory(Tensor),
    File(FileTensor),
}

impl Stored {
    fn dims(&self) -> &[usize] {
        match self {
            Self::Memory(tensor) => tensor.dims(),
            Self::File(tensor) => &tensor.dims,
        }
    }

    fn read(self) -> Result<Tensor> {
        match self {
            Self::Memory(tensor) => Ok(tensor),
            Self::File(tensor) => tensor.read(),
        }
    }
}

impl StateDict {
    /// The names of all tensors in the weights of a model folder.
    ///
    /// # Errors
    /// If there are no weights, or a file is truncated or damaged.
    pub(crate) fn stored_names(folder: &Path) -> Result<BTreeSet<String>> {
        let mut read = Self::default();
        for file in weight_files(folder)? {
            read.read_file(&file)?;
        }
        let others = read.others.into_keys();
        Ok(read.tensors.into_keys().chain(others).collect())
    }

    /// Opens the weights of a model folder: `model.safetensors`, or else `pytorch_model.bin`, each
    /// as one file or as shards with an index. The prefix of the encoder's names, by `names`, is
    /// removed.
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
        for prefix in [&prefix, names.outer(&prefix)] {
            read.tensors = without_prefix(read.tensors, prefix);
            read.others = without_prefix(read.others, prefix);
        }
        read.prefix = (!names.is_usual(&prefix)).then_some(prefix);
        Ok(read)
    }

    fn read_file(&mut self, path: &Path) -> Result<()> {
        if path.extension().is_some_and(|extension| extension == "bin") {
            for tensor in bin::tensors(path)? {
                self.insert(tensor);
            }
            return Ok(());
        }
        let file = Arc::new(WeightFile::open(path)?);
        let (header, metadata) = header(&file)?.map_err(|e| {
            file.problem(format!(
                "not a safetensors file, or a truncated one ({e}); download it again"
            ))
        })?;
        // In an order of its own: that of the map changes from run to run.
        let tensors: BTreeMap<_, _> = metadata.tensors().into_iter().collect();
        for (name, info) in tensors {
            let (start, _) = info.data_offsets;
            let element = Element::of(info.dtype);
            self.insert(FileTensor {
                file: Arc::clone(&file),
                name,
                element,
                is_big_endian: false,
                dims: info.shape.clone(),
                strides: None,
                start: header + start as u64,
                span: info.shape.iter().product::<usize>() as u64,
                checksum: None,
            });
        }
        Ok(())
    }

    fn insert(&mut self, tensor: FileTensor) {
        let name = modern(&tensor.name);
        match tensor.element {
            // Buffers such as position_ids are integers and not weights. Whether a tensor is a
            // weight is known when the model asks for it.
            Element::Other(kind, _) => {
                self.others.insert(name, kind.to_owned());
            }
            _ => {
                self.tensors.insert(name, Stored::File(tensor));
            }
        }
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor.
    pub fn dims(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(Stored::dims)
    }

    /// The element type of a tensor that cannot be read, if it is there.
    pub(crate) fn other_type(&self, name: &str) -> Option<&str> {
        self.others.get(name).map(String::as_str)
    }

    /// The prefix that was removed from the names, if it is an unusual one.
    pub(crate) fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    /// Takes a tensor out, and reads it.
    pub(crate) fn take(&mut self, name: &str) -> Result<Tensor> {
        match self.tensors.remove(name) {
            Some(stored) => stored.read(),
            None => Err(NnError::operation(format!("there is no tensor `{name}`"))),
        }
    }

    /// Takes a tensor out without reading it.
    pub(crate) fn discard(&mut self, name: &str) {
        self.tensors.remove(name);
    }
}

impl From<BTreeMap<String, Tensor>> for StateDict {
    fn from(tensors: BTreeMap<String, Tensor>) -> Self {
        let tensors = tensors.into_iter();
        Self {
            tensors: tensors.map(|(name, t)| (name, Stored::Memory(t))).collect(),
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
        .map(|(name, tensor)| Ok((name, tensor.read()?.to_device(device)?)))
        .collect()
}

/// Position of the data of a safetensors file, and its tensors.
fn header(file: &WeightFile) -> Result<Result<(u64, Metadata), SafeTensorError>> {
    /// The longest header that safetensors allows.
    const LIMIT: u64 = 100_000_000;
    if file.length < 8 {
        return Ok(Err(SafeTensorError::HeaderTooSmall));
    }
    let size = file.part(0, 8, 8, "the header")?;
    let size = size
        .iter()
        .rev()
        .fold(0, |n, byte| n << 8 | u64::from(*byte));
    if size > LIMIT {
        return Ok(Err(SafeTensorError::HeaderTooLarge));
    }
    if size > file.length - 8 {
        return Ok(Err(SafeTensorError::InvalidHeaderLength));
    }
    let text = file.part(8, size, LIMIT, "the header")?;
    let metadata: Metadata = match serde_json::from_slice(&text) {
        Ok(metadata) => metadata,
        Err(error) => return Ok(Err(SafeTensorError::InvalidHeaderDeserialization(error))),
    };
    let is_complete = metadata.data_len() as u64 == file.length - 8 - size;
    Ok(match is_complete {
        true => Ok((8 + size, metadata)),
        false => Err(SafeTensorError::MetadataIncompleteBuffer),
    })
}

/// The files of weights that are read, the first that a folder holds. Each may be in shards, which
/// a file lists whose name has another end.
pub(crate) const WEIGHT_FILES: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// The file of a folder's weights, or their index.
pub(crate) fn weights_of(folder: &Path) -> Option<PathBuf> {
    let names = WEIGHT_FILES.iter();
    let names = names.flat_map(|name| [(*name).to_owned(), format!("{name}.index.json")]);
    let mut paths = names.map(|name| folder.join(name));
    paths.find(|path| path.is_file())
}

fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let Some(index) = weights_of(folder) else {
        return Err(NnError::MissingFile {
            folder: folder.to_owned(),
            expected: "model.safetensors",
        });
    };
    if index
        .extension()
        .is_none_or(|extension| extension != "json")
    {
        return Ok(vec![index]);
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
