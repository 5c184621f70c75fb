//! `pytorch_model.bin`, read without Python: its tensors, and nothing else.
//!
//! PyTorch's files hold a pickle, a program for a machine of Python's. The machine here has only
//! the operations that build tensors, and refuses everything else by name; it compares the sizes
//! that the pickle states with those of the file before it reserves memory.

mod legacy;
mod objects;
mod pickle;
mod zip;

use crate::weights::checksum::Checksum;
use crate::weights::stored::{Element, FileTensor, WeightFile};
use crate::{NnError, Result};
use objects::{Object, View};
use pickle::{Pickle, Refusal};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use zip::Archive;

/// Reads the list of tensors in a file of PyTorch's.
///
/// # Errors
/// If the file holds anything but tensors, or is damaged.
pub(super) fn tensors(path: &Path) -> Result<Vec<FileTensor>> {
    let file = Arc::new(WeightFile::open(path)?);
    let start = file.part(0, file.length.min(legacy::MAGIC.len() as u64), 64, "")?;
    if start.starts_with(b"PK\x03\x04") {
        return archive(&file);
    }
    if start == legacy::MAGIC {
        return legacy::tensors(&file);
    }
    let kind = match start.first() {
        None => "is empty",
        Some(0x80) => "is a bare pickle, and PyTorch's files are more than that",
        _ => "is not one of PyTorch's files",
    };
    Err(file.problem(format!("{kind}; download it again")))
}

/// The storages of a file by their keys.
type Places = BTreeMap<String, Place>;

/// The place of a storage in its file.
struct Place {
    start: u64,
    bytes: u64,
    checksum: Option<Arc<Checksum>>,
}

/// The tensors of an archive, the form since PyTorch 1.6.
fn archive(file: &Arc<WeightFile>) -> Result<Vec<FileTensor>> {
    let archive = Archive::read(file)?;
    let mut pickles = archive.names().filter(|name| name.ends_with("/data.pkl"));
    let Some(name) = pickles.next() else {
        return Err(file.problem(
            "is a zip archive without data.pkl, so PyTorch did not write it; download it again",
        ));
    };
    let root = name.strip_suffix("data.pkl").unwrap_or_default();
    let code = format!("{root}code/");
    if archive.names().any(|name| name.starts_with(&code)) {
        return Err(file.problem(
            "is a TorchScript program, which rtune does not run; save the state dict of the model \
             that it was made of",
        ));
    }
    let content = |name: &str| {
        let entry = archive.entry(name);
        entry.map(|entry| archive.content(name, entry)).transpose()
    };
    let is_big_endian = match content(&format!("{root}byteorder"))?.as_deref() {
        None | Some(b"little") => false,
        Some(b"big") => true,
        Some(_) => {
            let problem = "states an unknown byte order in byteorder; download it again";
            return Err(file.problem(problem));
        }
    };
    let bytes = content(name)?.unwrap_or_default();
    let pickle = pickle::run(&bytes, 0).map_err(|refusal| refused(file, name, refusal))?;
    let mut places = Places::new();
    for storage in &pickle.storages {
        let name = format!("{root}data/{}", storage.key);
        if places.contains_key(&storage.key) {
            continue;
        }
        let Some(entry) = archive.entry(&name) else {
            return Err(file.problem(format!("lacks its entry {name}; download it again")));
        };
        let start = archive.start(&name, entry)?;
        let checksum = entry.checksum.map(|stated| {
            Arc::new(Checksum {
                name,
                start,
                size: entry.size,
                stated,
                computed: OnceLock::new(),
            })
        });
        let place = Place {
            start,
            bytes: entry.size,
            checksum,
        };
        places.insert(storage.key.clone(), place);
    }
    views(file, name, &pickle, &places, is_big_endian)
}

fn refused(file: &WeightFile, place: &str, refusal: Refusal) -> NnError {
    let Refusal { offset, problem } = refusal;
    file.problem(format!("byte {offset} of {place}: {problem}"))
}

/// The largest number of tensors, and the longest name of one.
const MAX_TENSORS: usize = 200_000;
const MAX_NAME: usize = 512;

/// The tensors of a state dict.
fn views(
    file: &Arc<WeightFile>,
    place: &str,
    pickle: &Pickle,
    places: &Places,
    is_big_endian: bool,
) -> Result<Vec<FileTensor>> {
    let no_dict = |kind: &str| {
        file.problem(format!(
            "{place} holds {kind} and no state dict; save one in Python: \
             torch.save(model.state_dict(), 'pytorch_model.bin')"
        ))
    };
    let Object::Dict(pairs) = pickle.object(pickle.top) else {
        return Err(no_dict(pickle.object(pickle.top).kind()));
    };
    if pairs.len() > MAX_TENSORS {
        return Err(no_dict("a dictionary with too many entries"));
    }
    let mut tensors = Vec::with_capacity(pairs.len());
    for (key, value) in pairs {
        let name = match pickle.object(*key) {
            Object::Text(name) if name.len() <= MAX_NAME => name,
            _ => return Err(no_dict("a dictionary without names of tensors")),
        };
        let Object::Tensor(view) = pickle.object(*value) else {
            let kind = pickle.object(*value).kind();
            let name: String = name.chars().take(80).flat_map(char::escape_debug).collect();
            return Err(no_dict(&format!("`{name}`, which is {kind},")));
        };
        let tensor = located(view, pickle, places).map_err(|problem| {
            file.problem(format!("tensor `{name}` {problem}; download it again"))
        })?;
        tensors.push(FileTensor {
            file: Arc::clone(file),
            name: name.clone(),
            is_big_endian,
            element: tensor.element,
            dims: view.dims.iter().map(|dim| *dim as usize).collect(),
            strides: (!row_major(view)).then(|| view.strides.clone()),
            start: tensor.start,
            span: tensor.span,
            checksum: tensor.checksum,
        });
    }
    Ok(tensors)
}

/// The place of a tensor in its file.
struct Located {
    element: Element,
    start: u64,
    span: u64,
    checksum: Option<Arc<Checksum>>,
}

/// The place of a view. The sizes that the pickle states are held against those of the file.
fn located(view: &View, pickle: &Pickle, places: &Places) -> Result<Located, String> {
    let storage = pickle.storages.get(view.storage as usize);
    let storage = storage.ok_or("has no storage")?;
    let place = places.get(&storage.key).ok_or("has no storage")?;
    let element = storage.element;
    let product = |n: u64, dim: &u64| n.checked_mul(*dim);
    let count = view.dims.iter().try_fold(1, product);
    let count = count.ok_or("has more elements than any file")?;
    let mut steps = view.dims.iter().zip(&view.strides);
    let last = steps.try_fold(0_u64, |sum, (dim, stride)| {
        sum.checked_add(dim.saturating_sub(1).checked_mul(*stride)?)
    });
    let span = match count {
        0 => Some(0),
        _ => last.and_then(|last| last.checked_add(1)),
    };
    let stored = (place.bytes / element.size()).min(storage.count);
    let is_inside = |span: &u64| {
        let end = view.offset.checked_add(*span);
        end.is_some_and(|end| end <= stored)
    };
    let span = span
        .filter(is_inside)
        .ok_or_else(|| format!("reaches beyond its storage, which has {stored} elements"))?;
    if count > stored {
        return Err(format!("repeats the {stored} elements of its storage"));
    }
    Ok(Located {
        element,
        start: place.start + view.offset * element.size(),
        span,
        checksum: place.checksum.clone(),
    })
}

/// True if the elements lie in row-major order without gaps.
fn row_major(view: &View) -> bool {
    let mut expected = 1_u64;
    for (dim, stride) in view.dims.iter().zip(&view.strides).rev() {
        if *dim != 1 && *stride != expected {
            return false;
        }
        expected = expected.saturating_mul(*dim);
    }
    true
}
